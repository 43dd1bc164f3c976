import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { FakeExecutor, NftError, Transaction, drop } from 'nftables-json';
import type { CallOptions, Command, Executor, Listing, TableRef } from 'nftables-json';
import { afterEach, describe, expect, test } from 'vitest';

import { tableName } from '../compiler/ruleset.ts';
import type { DesiredChain, Ruleset } from '../compiler/ruleset.ts';
import { cleanup } from './cleanup.ts';
import type { Clock } from './clock.ts';
import { mapElements } from './dataplane.ts';
import { Enforcer } from './enforcer.ts';
import type { EnforcerOptions } from './enforcer.ts';
import { plan } from './plan.ts';
import { readDataplane } from './readback.ts';
import { bridgedRuleset, chain, routedRuleset, rule, rulesets } from './testing/rulesets.ts';
import type { Watcher } from './watcher.ts';

/** A clock on which back-off passes at once and longer waits end only by `advance`. */
class TestClock implements Clock {
  #now = 0;
  readonly slept: number[] = [];
  readonly #sleepers = new Set<{ readonly at: number; readonly resolve: () => void }>();

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    if (ms <= 5_000) {
      this.slept.push(ms);
      this.#now += ms;
      await setImmediate();
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { at: this.#now + ms, resolve };
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#sleepers.delete(sleeper);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers) if (sleeper.at <= this.#now) sleeper.resolve();
  }
}

/** A fake that refuses commands by a predicate, as a kernel without some feature would. */
class PickyExecutor implements Executor {
  readonly inner = new FakeExecutor();
  refuses: (command: Command) => boolean = () => false;
  unreadable = false;
  relisted: (listing: Listing) => Listing = (listing) => listing;
  checks = 0;
  runs: Command[][] = [];

  async run(transaction: Transaction, options?: CallOptions): Promise<void> {
    this.#look(transaction);
    await this.inner.run(transaction, options);
    this.runs.push([...transaction.commands]);
  }

  async check(transaction: Transaction, options?: CallOptions): Promise<void> {
    this.checks++;
    this.#look(transaction);
    await this.inner.check(transaction, options);
  }

  async list(table: TableRef, options?: CallOptions): Promise<Listing | undefined> {
    if (this.unreadable) throw new NftError('what is this', { code: 'table-unreadable' });
    const listing = await this.inner.list(table, options);
    return listing === undefined ? undefined : this.relisted(listing);
  }

  listSet: Executor['listSet'] = async (ref, options) => await this.inner.listSet(ref, options);
  listMap: Executor['listMap'] = async (ref, options) => await this.inner.listMap(ref, options);

  #look(transaction: Transaction): void {
    if (transaction.commands.some((command) => this.refuses(command)))
      throw new NftError('Operation not supported', { code: 'unsupported' });
  }
}

let running: Enforcer[] = [];

function started(options: Partial<EnforcerOptions> & { readonly executor: Executor }): Enforcer {
  const enforcer = new Enforcer({ clock: new TestClock(), random: () => 0, pollMs: 3_600_000, ...options });
  enforcer.start();
  running.push(enforcer);
  return enforcer;
}

afterEach(async () => {
  for (const enforcer of running) await enforcer.close();
  running = [];
});

async function apply(enforcer: Enforcer, ruleset: Ruleset): Promise<void> {
  enforcer.setDesired(ruleset);
  await enforcer.idle();
}

/** Lets the enforcer come to rest. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

async function expectEqual(executor: Executor, ruleset: Ruleset): Promise<void> {
  expect(plan(await readDataplane(executor), ruleset)).toEqual([]);
}

function addsRuleTo(name: string): (command: Command) => boolean {
  return (command) => 'add' in command && 'rule' in command.add && command.add.rule.chain === name;
}

function withChain(ruleset: Ruleset, ...chains: readonly DesiredChain[]): Ruleset {
  const table = ruleset.get('inet')!;
  const all = new Map(table.chains);
  for (const one of chains) all.set(one.name, one);
  return new Map(ruleset).set('inet', { ...table, chains: all });
}

describe('the enforcer', () => {
  test('brings a ruleset into an empty kernel and then has nothing to do', async () => {
    const executor = new PickyExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, bridgedRuleset());
    await expectEqual(executor, bridgedRuleset());
    expect(enforcer.status()).toMatchObject({ appliedGeneration: 1, problems: [], tables: ['inet', 'bridge'] });
    const runs = executor.runs.length;
    await apply(enforcer, bridgedRuleset());
    expect(executor.runs.length).toBe(runs);
    expect(enforcer.status().appliedGeneration).toBe(2);
  });

  test('adopts what is there: an equal ruleset is not written again', async () => {
    const executor = new PickyExecutor();
    for (const step of plan(new Map(), routedRuleset())) await executor.run(step.transaction);
    executor.runs = [];
    await apply(started({ executor }), routedRuleset());
    expect(executor.runs).toEqual([]);
  });

  test('sweeps orphans of our tables behind the first change, and leaves other tables alone', async () => {
    const executor = new PickyExecutor();
    const other = { family: 'inet', name: 'other' } as const;
    await executor.run(
      new Transaction()
        .addTable({ family: 'inet', name: tableName })
        .addChain({ family: 'inet', table: tableName, name: 'orphan' })
        .addTable(other)
        .addChain({ family: 'inet', table: 'other', name: 'orphan' }),
    );
    await apply(started({ executor }), routedRuleset());
    await expectEqual(executor, routedRuleset());
    expect((await executor.list(other))?.chains.map((one) => one.name)).toEqual(['orphan']);
    expect(executor.runs.at(-1)?.every((command) => 'delete' in command || 'flush' in command)).toBe(true);
  });

  test('applies the newest of many rulesets', async () => {
    const executor = new PickyExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    const before = executor.runs.length;
    for (let index = 0; index < 50; index++)
      enforcer.setDesired(withChain(routedRuleset(), chain(`extra-${index}`, rule(drop()))));
    await enforcer.idle();
    const last = withChain(routedRuleset(), chain('extra-49', rule(drop())));
    await expectEqual(executor, last);
    expect(executor.runs.length - before).toBeLessThanOrEqual(2);
  });

  test('reaches every ruleset from every other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rulesets(), { minLength: 1, maxLength: 5 }), async (sequence) => {
        const executor = new FakeExecutor();
        const enforcer = started({ executor });
        for (const ruleset of sequence) {
          await apply(enforcer, ruleset);
          await expectEqual(executor, ruleset);
        }
        expect(enforcer.status().problems).toEqual([]);
        await enforcer.close();
      }),
      { numRuns: 150 },
    );
  });

  test.each(['not-found', 'exists', 'busy', 'timeout', 'crashed', 'mixed-versions', 'permission', 'system'] as const)(
    'gets over a passing %s, whether or not the transaction was applied',
    async (code) => {
      for (const applied of [false, true]) {
        const executor = new FakeExecutor();
        const enforcer = started({ executor });
        executor.failNextRun(new NftError('passing', { code }), { applied });
        await apply(enforcer, routedRuleset());
        await expectEqual(executor, routedRuleset());
        executor.failNextRun(new NftError('passing', { code }), { applied });
        executor.failNextRun(new NftError('passing', { code }), { applied });
        await apply(enforcer, bridgedRuleset());
        await expectEqual(executor, bridgedRuleset());
        expect(enforcer.status().problems).toEqual([]);
      }
    },
  );

  test('gives up for now after five attempts, says so, and tries again later', async () => {
    const executor = new FakeExecutor();
    const clock = new TestClock();
    const enforcer = started({ executor, clock });
    for (let index = 0; index < 5; index++) executor.failNextRun(new NftError('no right', { code: 'permission' }));
    await apply(enforcer, routedRuleset());
    expect(enforcer.status()).toMatchObject({ appliedGeneration: 0, lastApply: { ok: false } });
    expect(enforcer.status().problems).toMatchObject([{ kind: 'not-applied', code: 'permission' }]);
    expect(clock.slept.length).toBe(4);
    expect(clock.slept).toEqual([50, 100, 200, 400]);
    clock.advance(30_000);
    await expect.poll(() => enforcer.status().appliedGeneration).toBe(1);
    expect(enforcer.status().problems).toEqual([]);
  });

  test('a chain the kernel refuses closes its pod and nothing else', async () => {
    const executor = new PickyExecutor();
    executor.refuses = addsRuleTo('pod-vethB-ingress');
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    const [problem, ...rest] = enforcer.status().problems;
    expect(rest).toEqual([]);
    expect(problem).toMatchObject({
      kind: 'refused',
      object: 'inet chain pod-vethB-ingress',
      code: 'unsupported',
      closed: [{ family: 'inet', map: 'pod-ingress', key: 'vethB', chain: 'pod-vethB-ingress' }],
    });
    const table = (await readDataplane(executor)).get('inet')!;
    expect(mapElements(table.maps.get('pod-ingress')!).get('vethB')).toBe('goto deny');
    expect(mapElements(table.maps.get('pod-egress')!).get('vethA')).toBe('goto pod-vethA-egress');
    expect(enforcer.status()).toMatchObject({ appliedGeneration: 1, lastApply: { ok: true } });
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'a machine that cannot run nft in the middle of that search, at question %i, closes nobody else',
    async (failing) => {
      const executor = new PickyExecutor();
      executor.refuses = addsRuleTo('pod-vethB-ingress');
      const check = executor.check.bind(executor);
      let asked = 0;
      executor.check = async (transaction, options) => {
        asked += 1;
        if (asked === failing) throw new NftError('no memory', { code: 'system' });
        await check(transaction, options);
      };
      const enforcer = started({ executor });
      await apply(enforcer, routedRuleset());
      expect(asked).toBeGreaterThanOrEqual(failing);
      expect(enforcer.status().problems.map(({ object }) => object)).toEqual(['inet chain pod-vethB-ingress']);
    },
  );

  test('a pod whose new chain is refused does not stay `accept`', async () => {
    const executor = new PickyExecutor();
    const enforcer = started({ executor });
    const open = routedRuleset();
    const table = open.get('inet')!;
    const ingress = table.maps.get('pod-ingress')!;
    await apply(enforcer, open);
    const maps = new Map(table.maps).set('pod-ingress', {
      ...ingress,
      elements: new Map(ingress.elements).set('vethC', { kind: 'goto', chain: 'pod-vethC-ingress' }),
    });
    const isolated = withChain(new Map(open).set('inet', { ...table, maps }), chain('pod-vethC-ingress', rule(drop())));
    executor.refuses = addsRuleTo('pod-vethC-ingress');
    await apply(enforcer, isolated);
    const entries = mapElements((await readDataplane(executor)).get('inet')!.maps.get('pod-ingress')!);
    expect(entries.get('vethC')).toBe('goto deny');
    expect(entries.get('vethB')).toBe('goto pod-vethB-ingress');
    // It is tried again as soon as it changes.
    executor.refuses = () => false;
    const changed = withChain(isolated, chain('pod-vethC-ingress', rule(drop())));
    await apply(enforcer, changed);
    await expectEqual(executor, changed);
    expect(enforcer.status().problems).toEqual([]);
  });

  test('a set the kernel refuses closes the pods whose chains name it', async () => {
    const executor = new PickyExecutor();
    executor.refuses = (command) => 'add' in command && 'set' in command.add && command.add.set.name === 'blocks-4';
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    expect(enforcer.status().problems).toMatchObject([
      { object: 'inet set blocks-4', closed: [{ map: 'pod-ingress', key: 'vethB' }] },
    ]);
  });

  test('a refused map element leaves that pod to the tail', async () => {
    const executor = new PickyExecutor();
    executor.refuses = (command) =>
      'add' in command && 'map' in command.add && (command.add.map.elem ?? []).some(([key]) => key === 'vethC');
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    expect(enforcer.status().problems.map((problem) => problem.object)).toEqual([
      'inet element pod-egress { vethC }',
      'inet element pod-ingress { vethC }',
    ]);
    const table = (await readDataplane(executor)).get('inet')!;
    expect(mapElements(table.maps.get('pod-ingress')!).has('vethC')).toBe(false);
    expect(mapElements(table.maps.get('pod-ingress')!).get('vethA')).toBe('accept');
  });

  test('finds two bad chains among two hundred with few questions', async () => {
    const executor = new PickyExecutor();
    const chains = Array.from({ length: 200 }, (_, index) => chain(`pod-v${index}-ingress`, rule(drop())));
    const bad = new Set(['pod-v17-ingress', 'pod-v180-ingress']);
    executor.refuses = (command) => 'add' in command && 'rule' in command.add && bad.has(command.add.rule.chain);
    const enforcer = started({ executor });
    await apply(enforcer, withChain(routedRuleset(), ...chains));
    expect(enforcer.status().problems.map((problem) => problem.object)).toEqual(
      [...bad].map((name) => `inet chain ${name}`),
    );
    expect(executor.checks).toBeLessThan(50);
  });

  test('keeps the old rules when a base chain is refused', async () => {
    const executor = new PickyExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    executor.refuses = addsRuleTo('forward-ingress');
    await apply(enforcer, bridgedRuleset());
    expect(enforcer.status()).toMatchObject({ appliedGeneration: 1, lastApply: { ok: false } });
    expect(enforcer.status().problems).toMatchObject([{ kind: 'not-applied' }]);
    const table = (await readDataplane(executor)).get('inet')!;
    expect(table.maps.has('pod-ingress')).toBe(true);
  });

  test('tells refused objects again after a while', async () => {
    const executor = new PickyExecutor();
    const clock = new TestClock();
    executor.refuses = addsRuleTo('pod-vethB-ingress');
    const enforcer = started({ executor, clock });
    await apply(enforcer, routedRuleset());
    executor.refuses = () => false;
    clock.advance(30_000);
    await expect.poll(() => enforcer.status().problems).toEqual([]);
    await expectEqual(executor, routedRuleset());
  });

  test('repairs what a stranger did and counts it', async () => {
    const executor = new FakeExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
    const table = { family: 'inet', table: tableName } as const;
    await executor.run(
      new Transaction().flushChain({ ...table, name: 'deny' }).flushMap({ ...table, name: 'pod-egress' }),
    );
    expect(await enforcer.verify()).toEqual({ clean: false, repaired: true });
    await expectEqual(executor, routedRuleset());
    await executor.run(new Transaction().deleteTable({ family: 'inet', name: tableName }));
    expect(await enforcer.verify()).toEqual({ clean: false, repaired: true });
    await expectEqual(executor, routedRuleset());
    expect(enforcer.status().driftRepaired).toBe(2);
  });

  test('looks at the tables when the watcher calls, and seldom otherwise', async () => {
    const executor = new FakeExecutor();
    const clock = new TestClock();
    let call = (): void => undefined;
    const watcher: Watcher = {
      healthy: true,
      start: (onForeignChange) => {
        call = onForeignChange;
      },
      willWrite: () => undefined,
      didWrite: () => undefined,
      close: async () => await Promise.resolve(),
    };
    const enforcer = started({ executor, clock, watcher });
    await apply(enforcer, routedRuleset());
    await executor.run(new Transaction().flushChain({ family: 'inet', table: tableName, name: 'deny' }));
    clock.advance(1_000);
    await Promise.resolve();
    expect(enforcer.status().driftRepaired).toBe(0);
    call();
    await expect.poll(() => enforcer.status().driftRepaired).toBe(1);
    await expectEqual(executor, routedRuleset());
  });

  test('looks the more seldom the longer a look takes', async () => {
    const executor = new PickyExecutor();
    const clock = new TestClock();
    const watcher: Watcher = {
      healthy: true,
      start: () => undefined,
      willWrite: () => undefined,
      didWrite: () => undefined,
      close: async () => await Promise.resolve(),
    };
    let looks = 0;
    const list = executor.list.bind(executor);
    executor.list = async (table, options) => {
      if (table.family === 'inet') {
        looks++;
        clock.advance(4_000);
      }
      return await list(table, options);
    };
    const enforcer = started({ executor, clock, watcher });
    await apply(enforcer, routedRuleset());
    const first = looks;
    const advance = async (ms: number): Promise<void> => {
      await settled();
      clock.advance(ms);
      await settled();
    };
    await advance(199_000);
    expect(looks).toBe(first);
    await advance(1_000);
    expect(looks).toBe(first + 1);
  });

  test('a stranger who does the same again during a repair is not forgotten', async () => {
    const executor = new PickyExecutor();
    const clock = new TestClock();
    let call = (): void => undefined;
    const watcher: Watcher = {
      healthy: true,
      start: (onForeignChange) => {
        call = onForeignChange;
      },
      willWrite: () => undefined,
      didWrite: () => undefined,
      close: async () => await Promise.resolve(),
    };
    const enforcer = started({ executor, clock, watcher });
    await apply(enforcer, routedRuleset());
    const intrude = async (): Promise<void> => {
      await executor.inner.run(new Transaction().flushChain({ family: 'inet', table: tableName, name: 'deny' }));
      call();
    };
    let left = 4;
    const run = executor.run.bind(executor);
    executor.run = async (transaction, options) => {
      await run(transaction, options);
      if (left-- > 0) await intrude();
    };
    await intrude();
    await expect.poll(() => left).toBeLessThan(0);
    await expect.poll(async () => plan(await readDataplane(executor), routedRuleset())).toEqual([]);
  });

  test('replaces tables that cannot be read, in one transaction', async () => {
    const executor = new PickyExecutor();
    for (const step of plan(new Map(), routedRuleset())) await executor.run(step.transaction);
    executor.runs = [];
    executor.unreadable = true;
    const enforcer = started({ executor });
    await apply(enforcer, bridgedRuleset());
    executor.unreadable = false;
    expect(executor.runs.length).toBe(1);
    await expectEqual(executor, bridgedRuleset());
  });

  test('a listing it does not recognise is written again, reported, and not called drift', async () => {
    const executor = new PickyExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    executor.relisted = (listing) => ({
      ...listing,
      rules: listing.rules.map((one) => (one.chain === 'prologue' ? { ...one, comment: 'printed otherwise' } : one)),
    });
    for (let looks = 0; looks < 4; looks++) expect(await enforcer.verify()).toEqual({ clean: false, repaired: true });
    expect(enforcer.status().driftRepaired).toBe(1);
    expect(enforcer.status().problems).toMatchObject([{ kind: 'unrecognised' }]);
    executor.relisted = (listing) => listing;
    expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
    expect(enforcer.status().problems).toEqual([]);
  });

  test('can be closed while a transaction runs', async () => {
    const executor = new FakeExecutor();
    const enforcer = started({ executor });
    enforcer.setDesired(routedRuleset());
    await enforcer.close();
    await enforcer.idle();
    expect(enforcer.status().problems).toEqual([]);
  });

  test('a defect stops the change and is told to whoever waits; the rules stay', async () => {
    const executor = new FakeExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    const broken = {
      get: () => {
        throw new Error('broken');
      },
      has: () => true,
    } as unknown as Ruleset;
    enforcer.setDesired(broken);
    await expect(enforcer.idle()).rejects.toThrow('broken');
    expect(enforcer.status().problems).toMatchObject([{ kind: 'defect' }]);
    expect(enforcer.status().lastApply).toMatchObject({ ok: false });
    await expectEqual(executor, routedRuleset());
  });

  test('a defect that one ruleset brings to light does not keep the next one out', async () => {
    const executor = new FakeExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    const broken = new Map(routedRuleset());
    broken.get = (): never => {
      throw new Error('broken');
    };
    enforcer.setDesired(broken);
    await expect(enforcer.idle()).rejects.toThrow('broken');
    await apply(enforcer, bridgedRuleset());
    expect(enforcer.status()).toMatchObject({ problems: [], lastApply: { ok: true } });
    await expectEqual(executor, bridgedRuleset());
  });

  test('refuses a ruleset that would leave every pod open', () => {
    const enforcer = new Enforcer({ executor: new FakeExecutor(), clock: new TestClock() });
    expect(() => enforcer.setDesired(new Map())).toThrow(/inet table/);
  });

  test('leaves the rules in the kernel when it is closed', async () => {
    const executor = new FakeExecutor();
    const enforcer = started({ executor });
    await apply(enforcer, routedRuleset());
    await enforcer.close();
    await expectEqual(executor, routedRuleset());
  });
});

describe('cleanup', () => {
  test('removes our tables only, and twice does no harm', async () => {
    const executor = new FakeExecutor();
    await executor.run(new Transaction().addTable({ family: 'inet', name: 'other' }));
    for (const step of plan(new Map(), bridgedRuleset())) await executor.run(step.transaction);
    expect(await cleanup(executor)).toEqual(['inet', 'bridge']);
    expect(await cleanup(executor)).toEqual([]);
    expect((await readDataplane(executor)).size).toBe(0);
    expect(await executor.list({ family: 'inet', name: 'other' })).toBeDefined();
  });
});
