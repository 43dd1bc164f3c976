import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { compareText } from '../../model/names.ts';
import { inputDiagnostic } from './input-diagnostic.ts';
import { describeFileError } from './read-file.ts';

const manifestName = /\.(?:ya?ml|json)$/;
/** What `policy test` expects of the objects beside it: no object itself. */
const expectationsName = /^flows\.(?:ya?ml|json)$/;

/** Whether a file in a directory is read: `*.yaml`, `*.yml`, `*.json`, but not the `flows.yaml` of `policy test`. */
export function isManifestName(name: string): boolean {
  return manifestName.test(name) && !expectationsName.test(name);
}

/**
 * The files behind paths, as kubectl finds them: a file whatever its name, a directory's manifests sorted by name, and
 * those of directories below it if `recursive`. Symbolic links to files are followed, to directories not. A file
 * reached twice is listed once.
 */
export function listManifestFiles(
  paths: readonly string[],
  options: { readonly recursive: boolean },
): { readonly files: readonly string[]; readonly diagnostics: readonly Diagnostic[] } {
  const files: string[] = [];
  const diagnostics: Diagnostic[] = [];
  const seen = new Set<string>();
  const failed = (path: string, error: unknown): void => {
    diagnostics.push(cannotRead(path, describeFileError(error)));
  };
  const add = (path: string): void => {
    const real = realpathSync(path);
    if (!seen.has(real)) files.push(path);
    seen.add(real);
  };
  const walk = (directory: string): void => {
    const entries = readdirSync(directory, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
      const path = join(directory, entry.name);
      try {
        if (entry.isDirectory()) {
          if (options.recursive) walk(path);
        } else if (isManifestName(entry.name) && statSync(path).isFile()) add(path);
      } catch (error) {
        failed(path, error);
      }
    }
  };
  for (const path of paths) {
    try {
      if (statSync(path).isDirectory()) walk(path);
      else add(path);
    } catch (error) {
      failed(path, error);
    }
  }
  return { files, diagnostics };
}

/** Says that an input cannot be read. */
export function cannotRead(path: string, why: string): Diagnostic {
  return inputDiagnostic('I001', 'error', `cannot read ${path}: ${why}`, 'nothing in it is taken into account');
}
