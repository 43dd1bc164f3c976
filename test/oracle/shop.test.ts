import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import type { ExpectedFlow } from '../support/flow-line.ts';
import { oracleJudge } from './oracle.ts';
import type { RawObject } from './question.ts';

const shop = join(import.meta.dirname, '../fixtures/explain/shop');

function objectsOf(file: string): RawObject[] {
  const documents = parseAllDocuments(readFileSync(join(shop, file), 'utf8'));
  return documents.map((document) => document.toJS() as RawObject | null).filter((object) => object !== null);
}

test('the flows of the explained shop have the verdicts that the explanations claim', () => {
  const objects = [...objectsOf('cluster.yaml'), ...objectsOf('policies.yaml')];
  const { flows } = parse(readFileSync(join(shop, 'flows.yaml'), 'utf8')) as { flows: ExpectedFlow[] };
  expect(flows.length).toBeGreaterThan(0);
  expect(objects.filter((object) => object['kind'] === 'NetworkPolicy').length).toBeGreaterThan(0);
  const expected = flows.map(({ expect: verdict, egress, ingress }) => ({ verdict, egress, ingress }));
  expect(oracleJudge(objects, flows)).toEqual(expected);
});
