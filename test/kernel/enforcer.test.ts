/** The enforcer against the real nft, in a network namespace of its own. */
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { NftProcess, Transaction, match, meta, drop } from 'nftables-json';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { tableName } from '../../src/compiler/ruleset.ts';
import type { DesiredChain, DesiredSet, Ruleset } from '../../src/compiler/ruleset.ts';
import { cleanup } from '../../src/enforcer/cleanup.ts';
import { systemClock } from '../../src/enforcer/clock.ts';
import { readDenied } from '../../src/enforcer/denied.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { plan } from '../../src/enforcer/plan.ts';
import { readDataplane } from '../../src/enforcer/readback.ts';
import { bridgedRuleset, chain, routedRuleset, rule, set } from '../../src/enforcer/testing/rulesets.ts';
import { NftMonitor } from '../../src/enforcer/watcher.ts';

const namespace = `nfp-enf-${process.pid}`;
const command = ['ip', 'netns', 'exec', namespace, 'nft'];
const executor = new NftProcess({ command });

function nft(...args: readonly string[]): string {
  return execFileSync(command[0] ?? '', [...command.slice(1), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The whole state of the private namespace, as text; foreign tables only. */
function foreignTables(): string {
  return ['inet foreign', 'ip kube-proxy'].map((table) => nft('list', 'table', ...table.split(' '))).join('\n');
}

async function expectInKernel(ruleset: Ruleset): Promise<void> {
  const steps = plan(await readDataplane(executor), ruleset);
  expect(steps.map((step) => [step.kind, step.transaction.commands])).toEqual([]);
}

function changed(
  ruleset: Ruleset,
  change: {
    readonly chains?: readonly DesiredChain[];
    readonly sets?: readonly DesiredSet[];
    readonly without?: readonly string[];
  },
): Ruleset {
  const table = ruleset.get('inet')!;
  const chains = new Map(table.chains);
  const sets = new Map(table.sets);
  for (const one of change.chains ?? []) chains.set(one.name, one);
  for (const one of change.sets ?? []) sets.set(one.name, one);
  for (const name of change.without ?? []) {
    chains.delete(name);
    sets.delete(name);
  }
  return new Map(ruleset).set('inet', { ...table, chains, sets });
}

/** Events about intervals end nft 1.0.6. */
function withoutIntervals(): Ruleset {
  const base = changed(routedRuleset(), { without: ['blocks-4'] });
  return changed(base, { chains: [chain('pod-vethB-ingress', rule(drop()))] });
}

let enforcer: Enforcer;
let monitor: NftMonitor | undefined;

async function apply(ruleset: Ruleset): Promise<void> {
  enforcer.setDesired(ruleset);
  await enforcer.idle();
  expect(enforcer.status()).toMatchObject({ lastApply: { ok: true }, problems: [] });
  await expectInKernel(ruleset);
}

function start(options: { readonly watch: boolean; readonly auditMs?: number; readonly pollMs?: number }): void {
  monitor = options.watch ? new NftMonitor({ command, clock: systemClock }) : undefined;
  enforcer = new Enforcer({
    executor,
    ...(monitor === undefined ? {} : { watcher: monitor }),
    auditMs: options.auditMs ?? 3_600_000,
    pollMs: options.pollMs ?? 3_600_000,
  });
  enforcer.start();
}

beforeAll(() => {
  if (process.getuid?.() !== 0) throw new Error('kernel tests need root');
  execFileSync('ip', ['netns', 'add', namespace]);
});

afterAll(() => {
  execFileSync('ip', ['netns', 'del', namespace]);
});

beforeEach(() => {
  nft('add', 'table', 'inet', 'foreign');
  nft('add', 'set', 'inet', 'foreign', 'peers-api-4', '{ type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }');
  nft('add', 'table', 'ip', 'kube-proxy');
  nft('add', 'chain', 'ip', 'kube-proxy', 'deny');
});

afterEach(async () => {
  await enforcer.close();
  nft('flush', 'ruleset');
});

describe('the enforcer in the kernel', () => {
  test('applies the routed and the bridged ruleset, changes between them, and reads back what it wrote', async () => {
    start({ watch: false });
    const foreign = foreignTables();
    for (const ruleset of [routedRuleset(), bridgedRuleset(), routedRuleset(), bridgedRuleset()]) await apply(ruleset);
    expect(foreignTables()).toBe(foreign);
  });

  test('adopts the tables of a run before without writing', async () => {
    start({ watch: false });
    await apply(bridgedRuleset());
    await enforcer.close();
    const handles = nft('-a', 'list', 'table', 'inet', tableName);
    start({ watch: false });
    await apply(bridgedRuleset());
    expect(nft('-a', 'list', 'table', 'inet', tableName)).toBe(handles);
  });

  test('changes the type of a set, the hook of a chain and the key of a map in place', async () => {
    start({ watch: false });
    const base = routedRuleset();
    await apply(base);
    const table = base.get('inet')!;
    const ingress = table.chains.get('forward-ingress')!;
    await apply(
      changed(base, {
        chains: [{ ...ingress, base: { type: 'filter', hook: 'forward', priority: -5 } }],
        sets: [
          set('sources-4', ['ifname', 'ipv4_addr'], 'vethZ . 10.244.1.99'),
          { ...table.sets.get('blocks-4')!, interval: false, elements: new Set(['10.0.0.1 . tcp . 80']) },
        ],
      }),
    );
    await apply(base);
  });

  test('adds and removes chains, sets and members', async () => {
    start({ watch: false });
    const base = routedRuleset();
    await apply(base);
    const members = Array.from({ length: 1_500 }, (_, index) => `10.8.${index >> 8}.${index & 255}`);
    const more = changed(base, {
      sets: [set('peers-api-4', ['ipv4_addr'], ...members), set('extra-4', ['ipv4_addr'], '10.1.1.1')],
      chains: [
        chain('pod-vethD-egress', rule(match({ payload: { protocol: 'ip', field: 'daddr' } }, '@extra-4'), drop())),
      ],
    });
    await apply(more);
    await apply(changed(more, { sets: [set('peers-api-4', ['ipv4_addr'], ...members.slice(3))] }));
    await apply(base);
  });

  test('one chain that the kernel refuses closes its pod and lets the rest in', async () => {
    start({ watch: false });
    const base = routedRuleset();
    const bad = chain('pod-vethB-ingress', rule(match(meta('no-such-key'), 1), drop()));
    enforcer.setDesired(changed(base, { chains: [bad] }));
    await enforcer.idle();
    expect(enforcer.status()).toMatchObject({ appliedGeneration: 1 });
    expect(enforcer.status().problems).toMatchObject([
      { object: 'inet chain pod-vethB-ingress', closed: [{ map: 'pod-ingress', key: 'vethB' }] },
    ]);
    expect(nft('list', 'map', 'inet', tableName, 'pod-ingress')).toMatch(/"vethB" : goto deny/);
    expect(nft('list', 'map', 'inet', tableName, 'pod-egress')).toMatch(/"vethA" : goto pod-vethA-egress/);
    await apply(base);
  });

  test('overlapping intervals of one set close only the pods whose chains name it', async () => {
    start({ watch: false });
    const base = routedRuleset();
    const blocks = base.get('inet')!.sets.get('blocks-4')!;
    const elements = new Set(['10.0.0.0/8 . tcp . 80', '10.1.0.0/16 . tcp . 80-90']);
    enforcer.setDesired(changed(base, { sets: [{ ...blocks, elements }] }));
    await enforcer.idle();
    expect(enforcer.status().problems).toMatchObject([{ object: 'inet set blocks-4', closed: [{ key: 'vethB' }] }]);
    await apply(base);
  });

  const table = `inet ${tableName}`.split(' ');
  const strangers: readonly { readonly name: string; readonly run: () => void }[] = [
    { name: 'flush ruleset', run: () => nft('flush', 'ruleset') },
    { name: 'delete a table', run: () => nft('delete', 'table', ...table) },
    { name: 'flush a chain', run: () => nft('flush', 'chain', ...table, 'forward-ingress') },
    { name: 'add a rule to our chain', run: () => nft('insert', 'rule', ...table, 'pod-vethB-ingress', 'accept') },
    {
      name: 'add a chain',
      run: () => nft('add', 'chain', ...table, 'stranger', '{ type filter hook input priority 0; policy drop; }'),
    },
    {
      name: 'delete a base chain',
      run: () =>
        nft('flush', 'chain', ...table, 'forward-egress').concat(nft('delete', 'chain', ...table, 'forward-egress')),
    },
    { name: 'change a policy', run: () => nft('chain', ...table, 'forward-egress', '{ policy drop; }') },
    { name: 'delete a set element', run: () => nft('delete', 'element', ...table, 'peers-api-4', '{ 10.244.1.10 }') },
    { name: 'add a set element', run: () => nft('add', 'element', ...table, 'sources-4', '{ "vethB" . 10.244.1.10 }') },
    { name: 'delete a map element', run: () => nft('delete', 'element', ...table, 'pod-ingress', '{ "vethB" }') },
    { name: 'empty the guard', run: () => nft('flush', 'chain', 'bridge', tableName, 'guard') },
  ];

  test.each(strangers)('finds and repairs what a stranger did: $name', async ({ run }) => {
    start({ watch: false });
    const both = new Map([...routedRuleset(), ['bridge', bridgedRuleset().get('bridge')!] as const]);
    await apply(both);
    expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
    run();
    expect(await enforcer.verify()).toEqual({ clean: false, repaired: true });
    await expectInKernel(both);
    expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
    expect(enforcer.status().driftRepaired).toBe(1);
  });

  test("the watcher notices a stranger's change, and neither our own nor those of other tables", async () => {
    start({ watch: true });
    const quiet = withoutIntervals();
    await apply(quiet);
    await expect.poll(() => monitor?.healthy, { timeout: 20_000 }).toBe(true);
    await enforcer.verify();
    const verifiedAt = enforcer.status().verifiedAt;
    await apply(changed(quiet, { sets: [set('peers-api-4', ['ipv4_addr'], '10.9.9.9')] }));
    nft('add', 'rule', 'ip', 'kube-proxy', 'deny', 'drop');
    await systemClock.sleep(500);
    expect(enforcer.status()).toMatchObject({ driftRepaired: 0, verifiedAt });
    nft('flush', 'chain', ...table, 'deny');
    await expect.poll(() => enforcer.status().driftRepaired, { timeout: 10_000 }).toBe(1);
  });

  test("the watcher that lost what the kernel told looks for a stranger's change among it", async () => {
    start({ watch: true });
    await apply(withoutIntervals());
    await expect.poll(() => monitor?.healthy, { timeout: 20_000 }).toBe(true);
    await enforcer.verify();
    const [monitorId = 0] = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' })
      .split('\n')
      .map(Number);
    process.kill(monitorId, 'SIGSTOP');
    const foreign = { family: 'inet', table: 'foreign' } as const;
    for (let name = 0; name < 6; name += 1) {
      const elem = Array.from({ length: 60_000 }, (_, index) => `10.${name}.${index >> 8}.${index & 255}`);
      await executor.run(new Transaction().addSet({ ...foreign, name: `many-${name}`, type: 'ipv4_addr', elem }));
    }
    nft('flush', 'chain', ...table, 'deny');
    process.kill(monitorId, 'SIGCONT');
    await expect.poll(() => enforcer.status().driftRepaired, { timeout: 20_000 }).toBe(1);
  });

  test('without a watcher the tables are looked at again and again', async () => {
    start({ watch: false, pollMs: 100 });
    await apply(routedRuleset());
    nft('flush', 'ruleset');
    await expect.poll(() => enforcer.status().driftRepaired, { timeout: 10_000 }).toBe(1);
    await expectInKernel(routedRuleset());
  });

  test('reads the deny record', async () => {
    start({ watch: false });
    await apply(routedRuleset());
    nft('add', 'element', ...table, 'denied-4', '{ 10.0.0.1 . 10.0.0.2 . tcp . 80 timeout 60s }');
    nft('add', 'element', ...table, 'denied-6', '{ fd00::1 . fd00::2 . udp . 53 timeout 90s }');
    expect(await readDenied(executor)).toMatchObject([
      { from: 'fd00::1', to: 'fd00::2', protocol: 'udp', port: 53 },
      { from: '10.0.0.1', to: '10.0.0.2', protocol: 'tcp', port: 80 },
    ]);
    // Denials are no drift.
    expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
  });

  test('cleanup leaves nothing of ours and everything of others', async () => {
    start({ watch: false });
    const foreign = foreignTables();
    await apply(bridgedRuleset());
    await enforcer.close();
    expect(await cleanup(executor)).toEqual(['inet', 'bridge']);
    expect(await cleanup(executor)).toEqual([]);
    expect(nft('list', 'tables')).not.toContain(tableName);
    expect(foreignTables()).toBe(foreign);
  });
});
