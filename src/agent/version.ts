import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version of this program, from the package.json it was installed with; `unknown` if there is none. */
export function ownVersion(from: string = import.meta.dirname): string {
  for (let directory = from; ; directory = dirname(directory)) {
    const version = readVersion(join(directory, 'package.json'));
    if (version !== undefined) return version;
    if (directory === dirname(directory)) return 'unknown';
  }
}

function readVersion(path: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(path, 'utf8')) as { name?: unknown; version?: unknown };
    return name === 'nftpolicy' && typeof version === 'string' ? version : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
