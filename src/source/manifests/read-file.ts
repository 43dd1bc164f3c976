import { isAscii, isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { err, ok } from '../../model/result.ts';
import type { Result } from '../../model/result.ts';
import { maxTextLength } from './yaml.ts';

/** Reads a file as UTF-8 text; the error says for people why it cannot be read. */
export function readTextFile(path: string): Result<string, string> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return err(describeFileError(error));
  }
  if (bytes.length > maxTextLength) return err(`the file has more than ${maxTextLength} bytes`);
  if (isAscii(bytes)) return ok(bytes.toString('latin1'));
  return isUtf8(bytes) ? ok(bytes.toString('utf8')) : err('the file is not UTF-8 text');
}

/** What the file system answered, for people. */
export function describeFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file or directory';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    case 'ENOTDIR':
      return 'a part of its path is no directory';
    case 'ELOOP':
      return 'its symbolic links lead in a circle';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
