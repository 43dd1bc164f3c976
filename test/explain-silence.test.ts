import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = join(import.meta.dirname, 'fixtures/explain/entrances');
const ask = (files: readonly string[], ...args: readonly string[]) =>
  runPolicy(['explain', ...files.flatMap((file) => ['-f', file]), ...args], { cwd });
const all = ['policies.yaml', 'cluster.yaml'];

describe('what was not given', () => {
  test('a namespace of which nothing is known may have policies', async () => {
    const { code, stdout } = await ask(all, 'shop/web-1', 'pay/gateway:8443');
    expect(code).toBe(3);
    expect(stdout).toContain('ingress to gateway: undecided (the policies of namespace "pay" were not given)\n');
    expect(stdout).toContain('missing facts:\n  namespace pay: policies\n');
    expect(stdout).toContain('help: give the policies of namespace "pay" with -f, or ask a cluster');
  });

  test('a namespace that is known to have none has none', async () => {
    const { code, stdout } = await ask(all, 'shop/web-1', 'ingress/deploy/gateway:8443');
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });

  test('a blocker stays one, and an edit promises no more than it keeps', async () => {
    const { code, stdout } = await ask(all, 'shop/shut', 'pay/gateway:8443');
    expect(code).toBe(1);
    expect(stdout).toContain('ingress to gateway: undecided (the policies of namespace "pay" were not given)\n');
    expect(stdout).not.toContain('has no labels');
    expect(stdout).not.toContain('becomes ALLOWED');
  });

  test('labels that decide whether a policy isolates are missing facts', async () => {
    const { code, stdout } = await ask(['policies.yaml'], 'shop/shut', 'pay/gateway:8443');
    expect(code).toBe(3);
    expect(stdout).toContain('no egress rules; whether it isolates needs labels of shut (:38)\n');
    expect(stdout).toContain('  pod shop/shut: labels\n');
  });
});
