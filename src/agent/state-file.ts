import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { ModelObject } from '../model/snapshot.ts';

/** Grows when objects mean something else than before: a file of another format is not used. */
const format = 2;
/** Largest file that is written or read. */
const defaultLimitBytes = 128 * 1024 * 1024;
/** Objects that are turned into text before others get a turn of the event loop. */
const chunk = 500;
/** What pods of one workload have in common, and most of what they weigh: written once. */
const sharedFields = ['labels', 'namedPorts', 'declaredPorts', 'owner'] as const;

/** The first line of the file: whose it is. */
interface Header {
  readonly nftpolicy: 'objects';
  readonly format: number;
  readonly node: string;
  readonly savedAt: string;
}

/** The last line: what is before it, or the file is not whole. */
interface Seal {
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
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.tmp`;
  try {
    const bytes = await writeWhole(temporary, node, objects, limitBytes);
    if (bytes <= limitBytes) {
      await rename(temporary, path);
      return { kind: 'written', bytes };
    }
  } catch (error) {
    // Half a file would go on filling the disk that was full.
    await rm(temporary, { force: true });
    throw error;
  }
  await rm(temporary);
  return { kind: 'too-large', limitBytes };
}

/** Answers how long the file has become, which is beyond the limit if it is not whole. */
async function writeWhole(
  path: string,
  node: string,
  objects: readonly ModelObject[],
  limitBytes: number,
): Promise<number> {
  const file = await open(path, 'w', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  const write = async (text: string): Promise<void> => {
    const data = Buffer.from(text);
    bytes += data.length;
    hash.update(data);
    await file.writeFile(data);
  };
  try {
    const header: Header = { nftpolicy: 'objects', format, node, savedAt: new Date().toISOString() };
    await write(`${JSON.stringify(header)}\n`);
    const parts = new Map<object, number>();
    for (let start = 0; start < objects.length; start += chunk) {
      if (bytes > limitBytes) return bytes;
      let text = '';
      for (const object of objects.slice(start, start + chunk)) text += linesOf(object, parts);
      await write(text);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const seal: Seal = { sha256: hash.copy().digest('hex') };
    await write(`${JSON.stringify(seal)}\n`);
    // Without it a power cut may leave the new name on an empty file.
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

/** Reads what {@link writeState} wrote for this node. Nothing that does not match its own hash is believed. */
export async function readState(
  path: string,
  node: string,
  options: { readonly limitBytes?: number } = {},
): Promise<ReadResult> {
  const limitBytes = options.limitBytes ?? defaultLimitBytes;
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
  const header = end < 0 ? undefined : (readLine(content, 0, end) as Partial<Header> | null | undefined);
  if (header?.nftpolicy !== 'objects') return { kind: 'unusable', why: 'it does not begin as it should' };
  if (header.format !== format) return { kind: 'unusable', why: `it has format ${header.format}, not ${format}` };
  if (header.node !== node) return { kind: 'unusable', why: `it was written for node ${header.node}` };
  const sealAt = content.lastIndexOf('\n', -2) + 1;
  const seal = readLine(content, sealAt, content.length) as Partial<Seal> | null | undefined;
  if (seal?.sha256 !== createHash('sha256').update(content.subarray(0, sealAt)).digest('hex'))
    return { kind: 'unusable', why: 'it is not what was written: its hash differs' };
  return { kind: 'read', objects: readObjects(content.subarray(end + 1, sealAt)), savedAt: String(header.savedAt) };
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

function readLine(content: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(content.toString('utf8', start, end));
  } catch {
    return undefined;
  }
}

/** An object's line, behind those of the parts that it is the first to have. */
function linesOf(object: ModelObject, parts: Map<object, number>): string {
  if (object.kind !== 'Pod') return `${toText(object)}\n`;
  let before = '';
  const pod: Record<string, unknown> = { ...object };
  for (const field of sharedFields) {
    const part = object[field];
    if (part === undefined) continue;
    let number = parts.get(part);
    if (number === undefined) {
      number = parts.size;
      parts.set(part, number);
      before += `${toText({ $part: part })}\n`;
    }
    pod[field] = number;
  }
  return `${before}${toText(pod)}\n`;
}

function readObjects(lines: Buffer): readonly ModelObject[] {
  const parts: unknown[] = [];
  const objects: ModelObject[] = [];
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf('\n', start);
    const value = fromPlain(JSON.parse(lines.toString('utf8', start, end))) as Record<string, unknown>;
    if ('$part' in value) parts.push(value['$part']);
    else {
      if (value['kind'] === 'Pod')
        for (const field of sharedFields) if (typeof value[field] === 'number') value[field] = parts[value[field]];
      objects.push(value as unknown as ModelObject);
    }
    start = end + 1;
  }
  return objects;
}

/** JSON knows neither maps nor large integers: both become objects with one key that no model object has. */
function toText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return { $int: String(item) };
    if (item instanceof Map) return { $map: [...item] };
    return item instanceof Set ? { $set: [...item] } : item;
  });
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
