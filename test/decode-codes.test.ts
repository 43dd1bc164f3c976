import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { decodeCodes } from '../src/model/decode/codes.ts';
import { maxDiagnostics } from '../src/model/decode/findings.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import { decodeDocuments } from '../src/source/manifests/decode-documents.ts';
import { parseManifests } from '../src/source/manifests/yaml.ts';

const directory = join(import.meta.dirname, '../docs/codes');
const pages = new Map(
  readdirSync(directory)
    .filter((name) => /^D\d+\.md$/.test(name))
    .map((name) => [name.slice(0, -'.md'.length), readFileSync(join(directory, name), 'utf8')]),
);

/** Codes of everything that is wrong with a text. */
function codesOf(text: string): readonly string[] {
  const { documents, diagnostics } = parseManifests(text, 'page.yaml');
  return [...diagnostics, ...decodeDocuments(documents).diagnostics].map(({ code }) => code);
}

const examplesOf = (page: string): readonly string[] =>
  [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);

describe('docs/codes', () => {
  test('has a page for every code of the decoder, and for no other', () => {
    expect([...pages.keys()].sort()).toEqual(Object.keys(decodeCodes).sort());
  });

  test.each(Object.entries(decodeCodes))('%s says what it means, what it does and what to do', (code, name) => {
    const page = pages.get(code) ?? '';
    expect(page.split('\n')[0]).toBe(`# ${code}: ${name}`);
    for (const part of ['Severity: ', '## Example', '## What it does to enforcement', '## Fix']) {
      expect(page).toContain(`\n${part}`);
    }
  });

  // D099 takes a hundred problems: it has a test of its own.
  const withExamples = Object.keys(decodeCodes).filter((code) => code !== 'D099');

  test.each(withExamples)('the example of %s raises it and nothing else, the corrected one nothing', (code) => {
    const [wrong = '', corrected = '', ...rest] = examplesOf(pages.get(code) ?? '');
    expect(rest).toEqual([]);
    expect(codesOf(wrong)).toEqual([code]);
    expect(corrected).not.toBe('');
    expect(codesOf(corrected)).toEqual([]);
  });

  test('D099 counts what D105 leaves out, as its page says', () => {
    const ports = Array.from({ length: maxDiagnostics + 50 }, () => ({ port: 0 }));
    const raw = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p' },
      spec: { ingress: [{ ports }] },
    };
    const { diagnostics } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
    const codes = diagnostics.map(({ code }) => code);
    expect(codes.filter((code) => code === 'D105')).toHaveLength(100);
    expect(codes.at(-1)).toBe('D099');
    expect(diagnostics.at(-1)?.message).toContain('50 more');
  });
});
