import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = mkdtempSync(join(tmpdir(), 'nftpolicy-unreadable-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const pod = (name: string, address: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: { nodeName: 'a', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: address }] },
  });

const policy = (name: string, spec: unknown): string =>
  JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'shop' },
    spec,
  });

const tab = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut, namespace: shop}
spec:
  podSelector: {}
\tpolicyTypes: [Ingress, Egress]
`;

const open = { podSelector: {}, ingress: [{}], egress: [{}] };

beforeAll(() => {
  const files: Readonly<Record<string, string>> = {
    'cluster.yaml': [pod('web', '10.0.0.1'), pod('api', '10.0.0.2')].join('\n---\n'),
    'policies.yaml': tab,
    'flows.yaml': '{flows: [{from: shop/web, to: shop/api, port: 80, protocol: TCP, expect: allow}]}',
    'open.yaml': policy('open', open),
    'closed.yaml': policy('closed', { podSelector: {} }),
    'nearly.yaml': policy('nearly', {
      podSelector: {},
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'wbe' } } }], ports: [{ port: 80 }] }],
    }),
    'template.yaml': 'kind: ConfigMap\nmetadata: {name: {{ .Values.name }}}\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
});

const explain = (...files: readonly string[]) =>
  runPolicy(['explain', ...files.flatMap((file) => ['-f', file]), 'shop/web', 'shop/api:80'], { cwd });

describe('a policy that cannot be read', () => {
  test.each([
    { name: 'may isolate', files: ['cluster.yaml', 'policies.yaml'] },
    { name: 'may admit', files: ['cluster.yaml', 'policies.yaml', 'closed.yaml'] },
  ])('$name: explain does not know', async ({ files }) => {
    const { code, stdout, stderr } = await explain(...files);
    expect(code).toBe(3);
    expect(stderr).toContain('policies.yaml:7:1: error[I002]');
    expect(stdout).toMatch(/^UNKNOWN\[E090\] {2}/);
    expect(stdout).toContain('missing facts:\n  namespace shop: policies\n');
    expect(stdout).toContain('help: correct policies.yaml:7: what could not be read there may be a policy');
    expect(stdout).not.toMatch(/becomes|closest/);
  });

  test('leaves what misses in those that can be read', async () => {
    const { stdout } = await explain('cluster.yaml', 'policies.yaml', 'nearly.yaml');
    expect(stdout).toMatch(/^UNKNOWN\[E090\] {2}/);
    expect(stdout).toContain('closest: shop/nearly, rule 1 -- 1 of 2 conditions fails [E012]\n');
    expect(stdout).not.toContain('help: did you mean');
  });

  test('takes nothing from what another one admits', async () => {
    const { code, stdout } = await explain('cluster.yaml', 'policies.yaml', 'open.yaml');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ALLOWED {2}/);
  });

  test('is not looked for in a text that names none', async () => {
    const { code, stdout, stderr } = await explain('cluster.yaml', 'closed.yaml', 'template.yaml');
    expect(code).toBe(1);
    expect(stderr).toContain('template.yaml:2');
    expect(stdout).toMatch(/^DENIED\[E021\] {2}/);
  });

  test('is no part of a what-if', async () => {
    const { code, stdout, stderr } = await runPolicy(
      ['explain', '-f', 'cluster.yaml', '--what-if', 'policies.yaml', 'shop/web', 'shop/api:80'],
      { cwd },
    );
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('policy explain: not all of --what-if could be read\n');
  });

  test('leaves nothing to test', async () => {
    const { code, stdout, stderr } = await runPolicy(['test', cwd], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('policies.yaml:7:1: error[I002]');
    expect(stdout).toBe('0 passed, 0 failed in 0 cases\n');
  });
});
