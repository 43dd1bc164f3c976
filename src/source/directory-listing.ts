import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compareText } from '../model/names.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import { isManifestName } from './manifests/list-files.ts';
import { describeFileError } from './manifests/read-file.ts';

/** The manifests of a directory at one moment. */
export interface DirectoryListing {
  /** Identity of the directory itself: another after it was replaced. */
  readonly identity: string;
  /** Path -> what tells one content from the next, or why the file cannot be looked at. Sorted by path. */
  readonly files: ReadonlyMap<string, Result<string, string>>;
}

/**
 * Lists `*.yaml`, `*.yml` and `*.json` directly in a directory, symbolic links to files included. Names that begin
 * with a dot are left out: those are editors' files, and the folders behind a mounted ConfigMap.
 */
export function listDirectory(directory: string): Result<DirectoryListing, string> {
  try {
    const identity = statSync(directory, { bigint: true });
    const names = readdirSync(directory).filter((name) => !name.startsWith('.') && isManifestName(name));
    const files = new Map<string, Result<string, string>>();
    for (const name of names.sort(compareText)) {
      const path = join(directory, name);
      const stamp = stampOf(path);
      if (stamp !== undefined) files.set(path, stamp);
    }
    return ok({ identity: `${identity.dev}:${identity.ino}`, files });
  } catch (error) {
    return err(describeFileError(error));
  }
}

/** Whether two listings show the same files with the same contents. */
export function sameListing(a: DirectoryListing, b: DirectoryListing): boolean {
  if (a.identity !== b.identity || a.files.size !== b.files.size) return false;
  for (const [path, stamp] of a.files) if (!sameStamp(stamp, b.files.get(path))) return false;
  return true;
}

/** Whether a file did not change between two looks. */
export function sameStamp(a: Result<string, string>, b: Result<string, string> | undefined): boolean {
  if (b === undefined) return false;
  return a.ok ? b.ok && a.value === b.value : !b.ok && a.error === b.error;
}

function stampOf(path: string): Result<string, string> | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    if (!stat.isFile()) return undefined;
    return ok(`${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`);
  } catch (error) {
    return err(describeFileError(error));
  }
}
