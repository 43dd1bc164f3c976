import * as fc from 'fast-check';
import { FakeExecutor } from 'nftables-json';
import type { Command } from 'nftables-json';
import { describe, expect, test } from 'vitest';

import { tableName } from '../compiler/ruleset.ts';
import { ElementSet } from '../compiler/element-set.ts';
import type { DesiredSet, Ruleset, TableFamily } from '../compiler/ruleset.ts';
import { decodeTable } from './dataplane.ts';
import type { Dataplane } from './dataplane.ts';
import { plan } from './plan.ts';
import type { Step } from './plan.ts';
import { readDataplane } from './readback.ts';
import { bridgedRuleset, routedRuleset, rulesets } from './testing/rulesets.ts';

const families: readonly TableFamily[] = ['inet', 'bridge'];

async function applyAll(executor: FakeExecutor, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await executor.run(step.transaction);
}

/** Chains that a transaction creates, and chains its map elements go to. */
function createdAndBound(commands: readonly Command[]): { created: Set<string>; bound: Set<string> } {
  const created = new Set<string>();
  const bound = new Set<string>();
  for (const command of commands) {
    if (!('add' in command)) continue;
    if ('chain' in command.add) created.add(`${command.add.chain.family} ${command.add.chain.name}`);
    if ('map' in command.add)
      for (const [, verdict] of command.add.map.elem ?? [])
        if (typeof verdict === 'object' && 'goto' in verdict)
          bound.add(`${command.add.map.family} ${verdict.goto.target}`);
  }
  return { created, bound };
}

async function hasBaseChain(executor: FakeExecutor, family: string): Promise<boolean> {
  const listing = await executor.list({ family: family as TableFamily, name: tableName });
  return listing?.chains.some((chain) => chain.hook !== undefined) ?? false;
}

/** A name that is a base chain in one and a called chain in the other: the one case that replaces a table. */
function replaces(steps: readonly Step[]): boolean {
  return steps.some(
    ({ kind, transaction }) =>
      kind !== 'sweep' && transaction.commands.some((command) => 'delete' in command && 'table' in command.delete),
  );
}

describe('plan', () => {
  test('of a ruleset onto itself is empty', () => {
    fc.assert(
      fc.property(rulesets(), (ruleset) => {
        expect(plan(ruleset, ruleset)).toEqual([]);
        expect(plan(ruleset, structuredClone(ruleset))).toEqual([]);
      }),
    );
  });

  test('applied to a gives b, whatever a was, and every step can be executed', async () => {
    await fc.assert(
      fc.asyncProperty(rulesets(), rulesets(), async (a, b) => {
        const executor = new FakeExecutor();
        await applyAll(executor, plan(new Map(), a));
        const first = await readDataplane(executor);
        expect(plan(first, a)).toEqual([]);
        // From the listing and from the values we applied: the same end.
        await applyAll(executor, plan(first, b));
        expect(plan(await readDataplane(executor), b)).toEqual([]);
        await applyAll(executor, plan(b, a));
        expect(plan(await readDataplane(executor), a)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test('binds no map element in the transaction that creates its chain once packets are judged', async () => {
    await fc.assert(
      fc.asyncProperty(rulesets(), rulesets(), async (a, b) => {
        const executor = new FakeExecutor();
        await applyAll(executor, plan(new Map(), a));
        const steps = plan(a, b);
        fc.pre(!replaces(steps));
        for (const step of steps) {
          const live = new Map<string, boolean>();
          for (const family of families) live.set(family, await hasBaseChain(executor, family));
          const { created, bound } = createdAndBound(step.transaction.commands);
          for (const chain of bound)
            if (live.get(chain.split(' ')[0] ?? '') === true) expect(created).not.toContain(chain);
          await executor.run(step.transaction);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('deletes no chain in the transaction that takes its last map element away', async () => {
    await fc.assert(
      fc.asyncProperty(rulesets(), rulesets(), async (a, b) => {
        const executor = new FakeExecutor();
        await applyAll(executor, plan(new Map(), a));
        const steps = plan(a, b);
        fc.pre(!replaces(steps));
        for (const step of steps) {
          const before = boundChains(await readDataplane(executor));
          for (const command of step.transaction.commands)
            if ('delete' in command && 'chain' in command.delete)
              expect(before).not.toContain(`${command.delete.chain.family} ${command.delete.chain.name}`);
          await executor.run(step.transaction);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('uses neither `add element` nor a flush of a table', () => {
    fc.assert(
      fc.property(rulesets(), rulesets(), (a, b) => {
        for (const { transaction } of plan(a, b))
          for (const command of transaction.commands) {
            expect('add' in command && 'element' in command.add).toBe(false);
            expect('flush' in command && 'table' in command.flush).toBe(false);
          }
      }),
    );
  });

  test('changes everything a packet can notice in one transaction', () => {
    fc.assert(
      fc.property(rulesets(), rulesets(), (a, b) => {
        expect(plan(a, b).filter((step) => step.kind === 'switch').length).toBeLessThanOrEqual(1);
      }),
    );
  });

  test.each([
    { name: 'routed', ruleset: routedRuleset() },
    { name: 'bridged', ruleset: bridgedRuleset() },
  ])('starts the $name ruleset with filled maps first and base chains last', ({ ruleset }) => {
    const steps = plan(new Map(), ruleset);
    expect(steps.map((step) => step.kind)).toEqual(['prepare', 'switch']);
    const hooks = (step: Step | undefined): number =>
      (step?.transaction.commands ?? []).filter(
        (command) => 'add' in command && 'chain' in command.add && command.add.chain.hook !== undefined,
      ).length;
    expect(hooks(steps[0])).toBe(0);
    expect(hooks(steps[1])).toBeGreaterThanOrEqual(2);
  });

  test('a peer that joins is one `add set` with one element', () => {
    const a = routedRuleset();
    const b = withPeer(a, '10.244.2.7');
    const [step, ...rest] = plan(a, b);
    expect(rest).toEqual([]);
    expect(step?.transaction.commands).toEqual([
      {
        add: {
          set: { family: 'inet', table: tableName, name: 'peers-api-4', type: 'ipv4_addr', elem: ['10.244.2.7'] },
        },
      },
    ]);
  });

  test('a peer that leaves refills the set in one transaction', () => {
    const a = routedRuleset();
    const [step, ...rest] = plan(withPeer(a, '10.244.2.7'), a);
    expect(rest).toEqual([]);
    expect(step?.transaction.commands.map((command) => Object.keys(command)[0])).toEqual(['flush', 'add']);
  });

  test('a peer that leaves a big set is deleted alone', () => {
    const big = Array.from({ length: 5000 }, (_, index) => `10.9.${index >> 8}.${index & 255}`);
    const a = withPeer(routedRuleset(), ...big);
    const [step, ...rest] = plan(a, withPeer(routedRuleset(), ...big.slice(1)));
    expect(rest).toEqual([]);
    expect(step?.transaction.commands).toEqual([
      { delete: { element: { family: 'inet', table: tableName, name: 'peers-api-4', elem: ['10.9.0.0'] } } },
    ]);
  });
});

function withPeer(ruleset: Ruleset, ...peers: readonly string[]): Ruleset {
  const table = ruleset.get('inet');
  const set = table?.sets.get('peers-api-4');
  if (table === undefined || set === undefined) throw new Error('the ruleset has no set peers-api-4');
  const sets = new Map(table.sets).set(set.name, { ...set, elements: new Set([...set.elements, ...peers]) });
  return new Map(ruleset).set('inet', { ...table, sets });
}

function boundChains(dataplane: Dataplane): Set<string> {
  const bound = new Set<string>();
  for (const [family, table] of dataplane)
    for (const map of table.maps.values())
      for (const verdict of map.elements.values())
        if (typeof verdict === 'string' && verdict.startsWith('goto ')) bound.add(`${family} ${verdict.slice(5)}`);
  return bound;
}

test('a table that sleeps is woken, and nothing else is done when all else is right', () => {
  const asleep: Dataplane = new Map(
    [...routedRuleset()].map(([family, table]) => [family, { ...table, flagged: true as const }]),
  );
  const steps = plan(
    asleep,
    new Map(
      [...asleep].map(([family, table]) => {
        const { flagged: _, ...rest } = table;
        return [family, rest];
      }),
    ) as Ruleset,
  );
  expect(steps.map(({ kind, transaction }) => [kind, transaction.commands])).toEqual([
    ['switch', [{ add: { table: { family: 'inet', name: tableName } } }]],
  ]);
});

test('flags of a listed table are seen: a dormant table holds every rule and runs none', () => {
  const listing = { sets: [], maps: [], chains: [], rules: [], others: [] };
  const table = { family: 'inet', name: tableName } as const;
  expect(decodeTable('inet', { ...listing, table })).not.toHaveProperty('flagged');
  expect(decodeTable('inet', { ...listing, table: { ...table, flags: 'dormant' } }).flagged).toBe(true);
});

describe('a set that descends from the one in the kernel', () => {
  const members = Array.from({ length: 5000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const withSet = (elements: ReadonlySet<string>, type: readonly string[]): Ruleset => {
    const base = routedRuleset();
    const inet = base.get('inet')!;
    const peers: DesiredSet = { name: 'peers-x-4', type, interval: false, elements };
    return new Map([...base, ['inet', { ...inet, sets: new Map([...inet.sets, [peers.name, peers]]) }]]);
  };

  test('is changed by what differs, without looking at the rest', () => {
    const before = new ElementSet(new Set(members));
    const after = before.with({ added: new Set(['10.2.0.1']), removed: new Set() });
    const steps = plan(withSet(before, ['ipv4_addr']), withSet(after, ['ipv4_addr']));
    expect(steps.map(({ transaction }) => transaction.commands.length)).toEqual([1]);
    expect(JSON.stringify(steps[0]?.transaction.commands)).toContain('"elem":["10.2.0.1"]');
  });

  test('spells protocols as nft does', () => {
    const before = new ElementSet(new Set(members.map((address) => `${address} . tcp . 80`)));
    const gone = new Set([`${members[7]} . tcp . 80`]);
    const after = before.with({ added: new Set(['10.2.0.1 . udp . 53']), removed: gone });
    const type = ['ipv4_addr', 'inet_proto', 'inet_service'];
    const known = plan(withSet(before, type), withSet(after, type)).map(({ transaction }) => transaction.encode());
    const compared = plan(withSet(new Set(before), type), withSet(new Set(after), type)).map(({ transaction }) =>
      transaction.encode(),
    );
    expect(known).toEqual(compared);
    expect(known.length).toBeGreaterThan(0);
  });
});
