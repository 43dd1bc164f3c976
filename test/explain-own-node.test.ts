import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = join(import.meta.dirname, 'fixtures/explain/entrances');
const ask = (...args: readonly string[]) =>
  runPolicy(['explain', '-f', 'policies.yaml', '-f', 'cluster.yaml', ...args], { cwd });

const dns = ['--node-dns', '169.254.20.10,10.96.0.10'];

// The pod "shut" on node a has isolated egress and no rule.
describe('what a pod sends to its own node', () => {
  test.each([
    { name: 'passes', to: 'node/a:9100', flags: [], is: 'ALLOWED' },
    { name: 'is judged where the agent polices it', to: 'node/a:9100', flags: ['--police-node-egress'], is: 'DENIED' },
    { name: 'passes to an address for DNS', to: '169.254.20.10:9253', flags: dns, is: 'ALLOWED' },
    { name: 'needs a rule where such an address is not named', to: '169.254.20.10:53/udp', flags: [], is: 'DENIED' },
    ...['169.254.20.10:53/udp', '169.254.20.10:53', '10.96.0.10:53/udp'].map((to) => ({
      name: `passes to ${to} although it is policed`,
      to,
      flags: [...dns, '--police-node-egress'],
      is: 'ALLOWED',
    })),
    ...['169.254.20.10:53/sctp', '169.254.20.10:9253', 'node/a:53/udp'].map((to) => ({
      name: `is judged to ${to} where it is policed`,
      to,
      flags: [...dns, '--police-node-egress'],
      is: 'DENIED',
    })),
  ])('$name', async ({ to, flags, is }) => {
    const { stdout } = await ask('shop/shut', to, ...flags);
    expect(stdout.split(/[\s[]/, 1)[0]).toBe(is);
  });

  test('an edit is judged by an agent that polices too', async () => {
    const { stdout } = await ask('shop/shut', 'node/a:9100', '--police-node-egress');
    expect(stdout).toContain('= likely; this flow becomes ALLOWED, no other judged flow changes\n');
  });

  test('is what names are resolved by', async () => {
    const { stdout } = await ask('shop/shut', 'shop/svc/web:80', ...dns, '--police-node-egress');
    expect(stdout).toContain('1 dns      shut -> 169.254.20.10 and 1 more  UDP 53, TCP 53  ALLOWED\n');
  });

  test('the usual address of such a cache is pointed out', async () => {
    const { stdout } = await ask('shop/shut', '169.254.20.10:53/udp');
    expect(stdout).toContain('if it does here, say --node-dns 169.254.20.10\n');
  });

  test('an address that is none is refused', async () => {
    const { code, stderr } = await ask('shop/shut', 'node/a:53', '--node-dns', 'auto');
    expect([code, stderr]).toEqual([
      2,
      'policy explain: --node-dns takes addresses, separated by commas: 169.254.20.10, not auto\n',
    ]);
  });
});
