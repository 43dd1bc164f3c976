import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';
import type { CommandResult } from './support/run-policy.ts';

const shop = join(import.meta.dirname, 'fixtures/explain/shop');
const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;

describe('policy explain -k', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'nftpolicy-kustomize-'));
    cpSync(shop, join(directory, 'base'), { recursive: true });
    const write = (path: string, text: string): void => writeFileSync(join(directory, path), text);
    write('base/kustomization.yaml', 'resources: [policies.yaml, cluster.yaml]\n');
    write(
      'kustomization.yaml',
      `resources: [base]
patches:
  - target: {kind: NetworkPolicy, name: web-egress}
    patch: |-
      - {op: replace, path: /spec/egress/1/ports/0/port, value: 8081}
`,
    );
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const explain = async (path: string, env: Readonly<Record<string, string | undefined>>): Promise<CommandResult> =>
    await runPolicy(['explain', '-k', path, '-n', 'shop', 'web-7d9c5', 'api-6f4b8:8080'], { cwd: directory, env });

  test.runIf(hasKubectl)('answers from what kubectl renders, and names places there', async () => {
    expect((await explain('base', process.env)).code).toBe(0);
    const { code, stdout, stderr } = await explain('.', process.env);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^DENIED\[E030\] {2}shop\/web-7d9c5 -> shop\/api-6f4b8 {2}TCP 8080\n/);
    expect(stdout).toMatch(/ {2}--> kustomize:\.:\d+:\d+\n/);
    expect(stdout).toMatch(/- port: 8081\n.*\^+ TCP 8081, not 8080\n/);
    expect(stdout).toContain('judged 7 policies, 7 pods, 2 services, 5 namespaces, 2 nodes from kustomize:.\n');
  });

  test.runIf(hasKubectl)('takes files besides', async () => {
    const open = { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Egress'], egress: [{}] };
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'open', namespace: 'shop' },
    };
    writeFileSync(join(directory, 'open.json'), JSON.stringify({ ...policy, spec: open }));
    const args = ['explain', '-k', '.', '-f', 'open.json', '-n', 'shop', 'web-7d9c5', 'api-6f4b8:8080'];
    const { code, stdout } = await runPolicy(args, { cwd: directory, env: process.env });
    expect(stdout).toContain('admitted by shop/open, rule 1');
    expect(code).toBe(0);
  });

  test.runIf(hasKubectl)('passes on why kubectl renders nothing', async () => {
    const { code, stdout, stderr } = await explain('nowhere', process.env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^policy explain: kubectl kustomize nowhere failed: must build at directory: /);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('says what to do without kubectl', async () => {
    expect(await explain('base', { PATH: directory })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'policy explain: -k needs kubectl, which is not installed; render the kustomization elsewhere and give it with -f -\n',
    });
  });
});
