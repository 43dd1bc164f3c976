import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = mkdtempSync(join(tmpdir(), 'nftpolicy-parts-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const pod = (name: string, status: unknown): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', labels: { app: name } },
  spec: { nodeName: 'a', containers: [{ name: 'c' }] },
  status,
});
const workload = (name: string, ports: unknown): unknown => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'shop' },
  spec: {
    selector: select(name),
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', ports }] } },
  },
});
const running = (last: number): unknown => ({
  phase: 'Running',
  podIPs: [{ ip: `10.0.0.${last}` }, { ip: `fd00::${last}` }],
});
const policy = (name: string, spec: unknown): unknown => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace: 'shop' },
  spec,
});
const select = (app: string): unknown => ({ matchLabels: { app } });

beforeAll(() => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'late', namespace: 'shop' },
    spec: { clusterIP: '10.96.0.1', selector: { app: 'late' }, ports: [{ port: 80 }] },
  };
  const objects = [pod('web', running(1)), pod('api', running(2)), pod('late', { phase: 'Pending' }), service];
  const from4 = [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 80 }] }];
  const files: Readonly<Record<string, readonly unknown[]>> = {
    'cluster.yaml': objects,
    'workloads.yaml': [
      workload('web', [{ containerPort: 9999 }]),
      workload('db', [{ name: 'pg', containerPort: 5432 }]),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'db', namespace: 'shop' },
        spec: { clusterIP: 'fd00:96::1', selector: { app: 'db' }, ports: [{ port: 80, targetPort: 'pg' }] },
      },
      policy('db', { podSelector: select('db'), ingress: [{ ports: [{ port: 5432 }] }] }),
    ],
    'block.yaml': [policy('api', { podSelector: select('api'), ingress: from4 })],
    'range.yaml': [
      policy('api', { podSelector: select('api') }),
      policy('web', {
        podSelector: select('web'),
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 8000, endPort: 8010 }] }],
      }),
    ],
  };
  for (const [name, list] of Object.entries(files))
    writeFileSync(join(cwd, name), list.map((object) => JSON.stringify(object)).join('\n---\n'));
});

const ask = (file: string, ...args: readonly string[]) =>
  runPolicy(['explain', '-f', 'cluster.yaml', '-f', file, ...args], { cwd });

describe('a block', () => {
  test('means the addresses in it, not the other ones of a pod', async () => {
    const { code, stdout } = await ask('block.yaml', '10.0.0.0/8', 'shop/api:80');
    expect(stdout).toContain('ALLOWED  shop/web -> shop/api  TCP 80\n');
    expect(stdout).not.toContain('IPv6');
    expect(code).toBe(0);
    const other = await ask('block.yaml', 'fd00::/64', 'shop/api:80');
    expect(other.stdout).toContain('DENIED[E042]  shop/web -> shop/api  TCP 80\n');

    expect(other.code).toBe(1);
    const pod = await ask('block.yaml', 'shop/web', 'shop/api:80', '--family', '6');
    expect(pod.stdout).toContain('addresses of its own family only; select web by its labels\n');
  });
});

describe('no port', () => {
  test('has an edit for the range that is denied, and none for what is left of all', async () => {
    const { stdout } = await ask('range.yaml', 'shop/web', 'shop/api');
    expect(stdout).toContain('DENIED[E021]       shop/web -> shop/api  TCP 8000-8010\n');
    const edits = stdout.split('\n').filter((line) => line.includes('"protocol"') || line.includes('help:'));
    expect(edits.join('\n')).toContain('"port": 8000, "endPort": 8010');
    expect(edits).toHaveLength(2);
  });
});

describe('a Service', () => {
  test('leads to the workloads that would make its pods', async () => {
    const { code, stdout } = await runPolicy(
      ['explain', '-f', 'workloads.yaml', '-n', 'shop', 'deploy/web', 'svc/db:80'],
      { cwd },
    );
    expect(code).toBe(0);
    expect(stdout).toContain('ALLOWED  deployment shop/web -> service shop/db:80 -> deployment shop/db  TCP 5432\n');
  });

  test('and a workload of that name is asked for instead of a pod that nobody gave', async () => {
    const { code, stderr } = await runPolicy(['explain', '-f', 'workloads.yaml', '-n', 'shop', 'web', 'svc/db:80'], {
      cwd,
    });
    expect([code, stderr]).toEqual([
      2,
      'policy explain: there is no pod shop/web, but a Deployment: ask for deployment/web\n',
    ]);
  });

  test('does not lead to a pod that has not started', async () => {
    const { code, stdout } = await ask('block.yaml', '-n', 'shop', 'web', 'svc/late:80');
    expect(code).toBe(3);
    expect(stdout).toContain('0 of 1 endpoints ready');
    expect(stdout).toContain('help: late is not ready\n');
  });
});
