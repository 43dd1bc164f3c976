import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { ModelObject } from '../model/snapshot.ts';

/** Grows when objects mean something else than before: a file of another format is not used. */
const format = 1;
/** Largest file that is written or read. */
const defaultLimitBytes = 128 * 1024 * 1024;
/** Objects that are turned into text before others get a turn of the event loop. */
const chunk = 500;

/** The first line of the file: what the rest must be. */
interface Header {
  readonly nftpolicy: 'objects';
  readonly format: number;
  readonly node: string;
  readonly savedAt: string;
  readonly objects: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What became of a write. */
export type WriteResult =
  { readonly kind: 'written'; readonly bytes: number } | { readonly kind: 'too-large'; readonly limitBytes: number };

/** What a file held, or why it cannot be used. */
export type ReadResult =
  | { readonly kind: 'read'; readonly objects: readonly ModelObject[]; readonly savedAt: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unusable'; readonly why: string };

/**
 * Writes objects to one file, whole or not at all: a reader sees the old file or the new one. Throws what the file
 * system throws. Order of objects is kept.
 */
export async function writeState(
  path: string,
  node: string,
  objects: readonly ModelObject[],
  options: { readonly limitBytes?: number } = {},
): Promise<WriteResult> {
  const limitBytes = options.limitBytes ?? defaultLimitBytes;
  const parts: string[] = [];
  const hash = createHash('sha256');
  let bytes = 0;
  for (let start = 0; start < objects.length; start += chunk) {
    const text = objects
      .slice(start, start + chunk)
      .map((object) => `${JSON.stringify(toPlain(object))}\n`)
      .join('');
    bytes += Buffer.byteLength(text);
    if (bytes > limitBytes) return { kind: 'too-large', limitBytes };
    hash.update(text);
    parts.push(text);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const header: Header = {
    nftpolicy: 'objects',
    format,
    node,
    savedAt: new Date().toISOString(),
    objects: objects.length,
    bytes,
    sha256: hash.digest('hex'),
  };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(header)}\n`);
    for (const part of parts) await file.appendFile(part);
    // Without it a power cut may leave the new name on an empty file.
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  return { kind: 'written', bytes };
}

/** Reads what {@link writeState} wrote for this node. Nothing that does not match its own hash is believed. */
export async function readState(
  path: string,
  node: string,
  options: { readonly limitBytes?: number } = {},
): Promise<ReadResult> {
  const limitBytes = (options.limitBytes ?? defaultLimitBytes) + 4096;
  let content: Buffer;
  try {
    const { size } = await stat(path);
    if (size > limitBytes) return { kind: 'unusable', why: `it has ${size} bytes, more than ${limitBytes}` };
    content = await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { kind: 'absent' } : { kind: 'unusable', why: message };
  }
  const end = content.indexOf('\n');
  const header = end < 0 ? undefined : readHeader(content.subarray(0, end).toString('utf8'));
  if (header === undefined) return { kind: 'unusable', why: 'it does not begin as it should' };
  if (header.format !== format) return { kind: 'unusable', why: `it has format ${header.format}, not ${format}` };
  if (header.node !== node) return { kind: 'unusable', why: `it was written for node ${header.node}` };
  const body = content.subarray(end + 1);
  const sha256 = createHash('sha256').update(body).digest('hex');
  if (body.length !== header.bytes || sha256 !== header.sha256) {
    return { kind: 'unusable', why: 'it is not what was written: its hash differs' };
  }
  const lines = body.toString('utf8').split('\n');
  const objects = lines.filter((line) => line !== '').map((line) => fromPlain(JSON.parse(line)) as ModelObject);
  return { kind: 'read', objects, savedAt: header.savedAt };
}

/** The file in a state directory. */
export function stateFile(directory: string): string {
  return join(directory, 'objects.jsonl');
}

/** Removes the file and what an interrupted write left; answers whether there was any. */
export async function removeState(path: string): Promise<boolean> {
  let removed = false;
  for (const name of [path, `${path}.tmp`]) {
    try {
      await unlink(name);
      removed = true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return removed;
}

function readHeader(line: string): Header | undefined {
  try {
    const header = JSON.parse(line) as Partial<Header> | null;
    return header?.nftpolicy === 'objects' ? (header as Header) : undefined;
  } catch {
    return undefined;
  }
}

/** JSON knows neither maps nor large integers: both become objects with one key that no model object has. */
function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (value instanceof Map)
    return { $map: Array.from(value as Map<unknown, unknown>, ([key, item]) => [key, toPlain(item)]) };
  if (value instanceof Set) return { $set: Array.from(value, toPlain) };
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
}

function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  if (typeof record['$int'] === 'string') return BigInt(record['$int']);
  if (Array.isArray(record['$set'])) return new Set(record['$set'].map(fromPlain));
  if (Array.isArray(record['$map'])) {
    return new Map((record['$map'] as [unknown, unknown][]).map(([key, item]) => [key, fromPlain(item)]));
  }
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, fromPlain(item)]));
}
