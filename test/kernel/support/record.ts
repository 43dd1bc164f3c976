import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

const document = join(import.meta.dirname, '../../../docs/conformance.md');
const begin = '<!-- result of the full run -->';
const end = '<!-- end of the result -->';

/** Puts the result of a full run into `docs/conformance.md`. Throws if the document has no place for it. */
export function recordResult(tables: readonly string[], minutes: number): void {
  const text = readFileSync(document, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document} has no place for the result`);
  const nft = execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim();
  const facts = [
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    `- Kernel: Linux ${release()}`,
    `- nft: ${nft}`,
    `- Duration: ${minutes.toFixed(1)} minutes`,
  ];
  const result = [begin, facts.join('\n'), ...tables, ''].join('\n\n');
  writeFileSync(document, text.slice(0, from) + result.trimEnd() + '\n\n' + text.slice(to));
}
