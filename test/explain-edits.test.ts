import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';
import { applyEdits } from './support/apply-edits.ts';
import type { Edit } from './support/apply-edits.ts';

const cwd = mkdtempSync(join(tmpdir(), 'nftpolicy-edits-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const cluster = [
  { kind: 'Namespace', metadata: { name: 'shop' } },
  { kind: 'Namespace', metadata: { name: 'tools' } },
  ...[
    { namespace: 'shop', name: 'web', ip: '10.0.0.1' },
    { namespace: 'shop', name: 'api', ip: '10.0.0.2' },
    { namespace: 'tools', name: 'grafana', ip: '10.0.0.3' },
  ].map(({ namespace, name, ip }) => ({
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: { nodeName: 'a', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  })),
].map((object) => JSON.stringify({ apiVersion: 'v1', ...object }));
writeFileSync(join(cwd, 'cluster.yaml'), cluster.join('\n---\n'));

const head = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'api', namespace: 'shop' },
};
const subject = { podSelector: { matchLabels: { app: 'api' } } };
const fromWeb = [{ podSelector: { matchLabels: { app: 'web' } } }];

/** Asks, makes the edit that is suggested, asks again: the text after the edit and the exit code. */
async function fix(
  text: string,
  from: string,
  to = 'shop/api:8080',
): Promise<{ readonly text: string; readonly code: number }> {
  const file = join(cwd, 'policy.yaml');
  const ask = (...args: readonly string[]) =>
    runPolicy(['explain', '-f', 'policy.yaml', '-f', 'cluster.yaml', from, to, ...args], { cwd });
  writeFileSync(file, text);
  const { stdout } = await ask('-o', 'json');
  const { suggestions } = JSON.parse(stdout) as { suggestions: readonly { readonly edits: readonly Edit[] }[] };
  writeFileSync(file, applyEdits(text, suggestions[0]?.edits ?? []));
  const { code } = await ask();
  return { text: readFileSync(file, 'utf8'), code };
}

describe('edits of JSON are JSON', () => {
  test.each([
    {
      name: 'a misspelt label',
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'wbe' } } }] }],
      from: 'shop/web',
    },
    {
      name: 'the name of a namespace',
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { name: 'tools' } } }] }],
      from: 'tools/grafana',
    },
    { name: 'another port', ingress: [{ from: fromWeb, ports: [{ port: 9090 }] }], from: 'shop/web' },
    { name: 'the name of a port', ingress: [{ from: fromWeb, ports: [{ port: 'https' }] }], from: 'shop/web' },
    {
      name: 'an operator in lower case',
      ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'in', values: ['web'] }] } }] }],
      from: 'shop/web',
    },
    { name: 'a misspelt field', ingress: [{ form: fromWeb }], from: 'shop/web' },
    { name: 'another peer', ingress: [{ from: fromWeb, ports: [{ port: 8080 }] }], from: 'tools/grafana' },
    {
      name: 'an address',
      ingress: [{ from: [{ ipBlock: { cidr: '10.9.0.0/16' } }], ports: [{ port: 8080 }] }],
      from: '203.0.113.7',
    },
    {
      name: 'a rule',
      ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['203.0.113.0/24'] } }] }],
      from: '203.0.113.7',
    },
    { name: 'a first rule', ingress: [], from: 'tools/grafana' },
    { name: 'a section', from: 'tools/grafana' },
    { name: 'a direction', ingress: [{ from: fromWeb }], policyTypes: ['Egress'], from: 'shop/web', closed: true },
  ])('$name', async ({ ingress, policyTypes, from, closed }) => {
    const spec = { ...subject, ...(policyTypes && { policyTypes }), ...(ingress && { ingress }) };
    const shut = { ...head, metadata: { name: 'shut', namespace: 'shop' }, spec: { podSelector: {} } };
    for (const indent of [0, 2]) {
      const items = [{ ...head, spec }, ...(closed === true ? [shut] : [])];
      const { text, code } = await fix(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }, null, indent), from);
      expect(code).toBe(0);
      expect(() => JSON.parse(text) as unknown).not.toThrow();
    }
  });
});

const yaml = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
`;

describe('an edit opens no more than was asked', () => {
  test.each([
    { name: 'a pod', from: 'tools/grafana', peer: 'podSelector: {matchLabels: {app: web}}' },
    { name: 'an address', from: '203.0.113.7', peer: 'ipBlock: {cidr: 10.9.0.0/16}' },
  ])('$name gets a rule of its own where the closest one names no ports', async ({ from, peer }) => {
    const rules = `  ingress:\n    - from:\n        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: nowhere}}\n          podSelector: {matchLabels: {app: grafana}}\n        - ${peer}\n`;
    const { text, code } = await fix(`${yaml}spec:\n  podSelector: {}\n${rules}`, from);
    expect(code).toBe(0);
    expect(text).toMatch(/\n {4}- from:\n(?: {8}.+\n)+ {6}ports:\n {8}- \{protocol: TCP, port: 8080\}\n$/);
  });

  test('a slip is corrected in place, for every port that the rule means', async () => {
    const rules = '  ingress:\n    - from:\n        - podSelector: {matchLabels: {app: wbe}}\n';
    const { text } = await fix(`${yaml}spec:\n  podSelector: {}\n${rules}`, 'shop/web');
    expect(text).toBe(`${yaml}spec:\n  podSelector: {}\n${rules.replace('wbe', 'web')}`);
  });
});

describe('edits of YAML', () => {
  test('fit a text that ends without a line break', async () => {
    const { text, code } = await fix(`${yaml}spec:\n  podSelector: {}`, 'tools/grafana');
    expect(code).toBe(0);
    expect(text).toContain('\n  podSelector: {}\n  ingress:\n    - from:\n');
  });

  test('add to what is written in braces', async () => {
    const { text, code } = await fix(`${yaml}spec: {podSelector: {}}\n`, 'tools/grafana');
    expect(code).toBe(0);
    expect(text).toContain(
      'spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}, podSelector: {matchLabels: {app: grafana}}}], ports: [{protocol: TCP, port: 8080}]}]}\n',
    );
  });

  test('add a peer of two selectors to a list in brackets', async () => {
    const spec =
      'spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}\n';
    const { text, code } = await fix(yaml + spec, 'tools/grafana');
    expect(code).toBe(0);
    expect(text).toContain('{app: web}}}, {namespaceSelector: {matchLabels: ');
  });
});
