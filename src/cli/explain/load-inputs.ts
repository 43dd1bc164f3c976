import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

import { decodeDocuments } from '../../source/manifests/decode-documents.ts';
import { loadManifests } from '../../source/manifests/files.ts';
import type { LoadedManifests } from '../../source/manifests/files.ts';
import { parseManifests } from '../../source/manifests/yaml.ts';
import type { Context } from '../context.ts';

/** Where manifests come from. */
export interface InputFlags {
  readonly filename: readonly string[];
  readonly recursive: boolean;
  /** A directory for `kubectl kustomize`. */
  readonly kustomize?: string | undefined;
}

/** What was loaded, and what the footer calls it. The error is a reason not to go on. */
export type LoadedInputs =
  | { readonly ok: true; readonly loaded: LoadedManifests; readonly names: readonly string[] }
  | { readonly ok: false; readonly error: string };

/** Reads files, directories, standard input and kustomizations. */
export function loadInputs(context: Context, flags: InputFlags): LoadedInputs {
  const { filename, recursive, kustomize } = flags;
  const stdin = filename.includes('-') ? { stdin: context.readStdin() } : {};
  const cwd = resolve(context.cwd) === process.cwd() ? {} : { cwd: context.cwd };
  const loaded = loadManifests({ paths: filename, recursive, ...stdin, ...cwd });
  const names = loaded.files.map(({ file }) => file);
  if (kustomize === undefined) return { ok: true, loaded, names };
  const rendered = renderKustomization(context, kustomize);
  if (!rendered.ok) return rendered;
  const parsed = parseManifests(rendered.text, `kustomize:${kustomize}`);
  const decoded = decodeDocuments(parsed.documents);
  return {
    ok: true,
    names: [...names, `kustomize:${kustomize}`],
    loaded: {
      objects: [...loaded.objects, ...decoded.objects],
      others: [...loaded.others, ...decoded.others],
      diagnostics: [...loaded.diagnostics, ...parsed.diagnostics, ...decoded.diagnostics],
      files: [...loaded.files, parsed.source],
    },
  };
}

function renderKustomization(
  context: Context,
  directory: string,
): { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: string } {
  const path = resolve(context.cwd, directory);
  const result = spawnSync('kubectl', ['kustomize', path], { encoding: 'utf8', maxBuffer: 1 << 28, env: context.env });
  if (result.error !== undefined) {
    const missing = 'code' in result.error && result.error.code === 'ENOENT';
    return {
      ok: false,
      error: missing
        ? `-k needs kubectl, which is not installed; render the kustomization elsewhere and give it with -f -`
        : `kubectl kustomize ${directory}: ${result.error.message}`,
    };
  }
  if (result.status !== 0)
    return { ok: false, error: `kubectl kustomize ${directory} failed: ${kubectlReason(result.stderr)}` };
  return { ok: true, text: result.stdout };
}

/** Without the time and place of kubectl's own source that its log lines begin with. */
function kubectlReason(stderr: string): string {
  const [, quoted] = /^E\d{4} .*? err=("(?:[^"\\]|\\.)*")$/m.exec(stderr) ?? [];
  return quoted === undefined ? stderr.trim().replace(/^error: /, '') : quoted.slice(1, -1).replaceAll('\\"', '"');
}
