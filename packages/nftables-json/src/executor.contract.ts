/** What every Executor does; run against each implementation. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contractCases, sampleRuleset } from './contract-cases.ts';
import { inTable, objectWords, verbs } from './contract-words.ts';
import type { Listing } from './decode.ts';
import { elementKey, splitMember } from './element-key.ts';
import { NftError } from './errors.ts';
import type { Executor } from './executor.ts';
import type { Command, NamedMap, NamedSet, Rule } from './grammar.ts';
import { Transaction } from './transaction.ts';

const table = { family: inTable.family, name: inTable.table };

function transactionOf(commands: readonly Command[]): Transaction {
  const transaction = new Transaction();
  for (const command of commands) transaction.push(command);
  return transaction;
}

async function codeOf(work: Promise<void>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (error instanceof NftError) return error.code;
    throw error;
  }
}

function withoutHandle<T extends { readonly handle?: number }>(object: T): Omit<T, 'handle'> {
  const { handle: _handle, ...rest } = object;
  return rest;
}

function comparableSet(set: NamedSet | NamedMap): unknown {
  const members = (set.elem ?? []).map((member) => {
    const { key, value } = splitMember(member);
    return [elementKey(key), value ?? null];
  });
  // nft 1.0.6 hides `dynamic`, 1.1.7 counts the elements of sets that have a size.
  const flags = set.flags?.filter((flag) => flag !== 'dynamic');
  const { count: _count, ...shape } = withoutHandle(set) as Omit<NamedSet, 'handle'> & { readonly count?: number };
  return {
    ...shape,
    ...(flags !== undefined && { flags }),
    elem: members.map((member) => JSON.stringify(member)).sort(),
  };
}

/** What a listing says, without handles and without the order that executors are free to choose. */
export function comparable(listing: Listing | undefined): unknown {
  if (listing === undefined) return undefined;
  const rules = new Map<string, Omit<Rule, 'handle'>[]>();
  for (const rule of listing.rules) rules.set(rule.chain, [...(rules.get(rule.chain) ?? []), withoutHandle(rule)]);
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  return {
    table: withoutHandle(listing.table),
    sets: listing.sets.toSorted(byName).map(comparableSet),
    maps: listing.maps.toSorted(byName).map(comparableSet),
    chains: listing.chains.toSorted(byName).map(withoutHandle),
    rules: [...rules].sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

/**
 * Declares the suite. `executor` is asked for before every test and may be the same each time; the table named by
 * `inTable` is the suite's own. With `reference` each outcome is also compared with that executor's, which answers as
 * the newest nft does; `oldest` says that `executor` runs nft 1.0.6.
 */
export function executorContract(executor: () => Executor, reference?: () => Executor, oldest = false): void {
  let nft: Executor;
  let other: Executor | undefined;

  beforeEach(async () => {
    nft = executor();
    other = reference?.();
    for (const each of [nft, other])
      await each?.run(new Transaction().addTable(table).deleteTable(table).addTable(table));
  });
  afterEach(async () => {
    for (const each of [nft, other]) await each?.run(new Transaction().addTable(table).deleteTable(table));
  });

  async function sameAsReference(): Promise<void> {
    if (other !== undefined) expect(comparable(await nft.list(table))).toEqual(comparable(await other.list(table)));
  }

  describe.each(contractCases)('$verb $object', ({ name, given = [], when, outcome, inOldest }) => {
    test(name, async () => {
      const expected = oldest ? (inOldest ?? outcome) : outcome;
      for (const commands of given) for (const each of [nft, other]) await each?.run(transactionOf(commands));
      const before = comparable(await nft.list(table));
      const transaction = transactionOf(when);
      expect(transaction.invalid).toBeUndefined();

      expect(await codeOf(nft.check(transaction))).toBe(expected);
      expect(comparable(await nft.list(table))).toEqual(before);

      expect(await codeOf(nft.run(transaction))).toBe(expected);
      if (outcome !== 'ok') expect(comparable(await nft.list(table))).toEqual(before);
      if (other !== undefined) expect(await codeOf(other.run(transaction))).toBe(outcome);
      await sameAsReference();
    });
  });

  test('every verb and object that nft combines has a case', () => {
    const combined = new Set(contractCases.map(({ verb, object }) => `${verb} ${object}`));
    const impossible = new Set([
      'create rule',
      ...objectWords.filter((word) => word !== 'rule').flatMap((word) => [`insert ${word}`, `replace ${word}`]),
      'flush rule',
      'flush element',
    ]);
    const all = verbs.flatMap((verb) => objectWords.map((object) => `${verb} ${object}`));
    expect(all.filter((pair) => !impossible.has(pair)).filter((pair) => !combined.has(pair))).toEqual([]);
    expect(all.filter((pair) => impossible.has(pair) && combined.has(pair))).toEqual([]);
  });

  test('a case is about its verb and object', () => {
    const strays = contractCases.filter(
      ({ verb, object, when }) =>
        !when.some((command) => Object.entries(command).some(([word, target]) => word === verb && object in target)),
    );
    expect(strays.map(({ name }) => name)).toEqual([]);
  });

  test('a table that is not there lists as undefined', async () => {
    expect(await nft.list({ family: 'inet', name: 'missing' })).toBeUndefined();
    expect(await nft.listSet({ family: 'inet', table: 'missing', name: 's' })).toBeUndefined();
    expect(await nft.listSet({ ...inTable, name: 's' })).toBeUndefined();
    expect(await nft.listMap({ ...inTable, name: 'm' })).toBeUndefined();
  });

  test('a listing has every object, with handles, in the JSON of the command', async () => {
    await nft.run(transactionOf(sampleRuleset));
    const listing = await nft.list(table);
    expect(listing?.rules.every((rule) => Number.isSafeInteger(rule.handle))).toBe(true);
    expect(listing?.chains.every((chain) => Number.isSafeInteger(chain.handle))).toBe(true);
    expect(comparable(listing)).toMatchObject({
      sets: [{ name: 's', type: 'ipv4_addr' }],
      maps: [{ name: 'm', type: 'ipv4_addr', map: 'verdict' }],
      chains: [{ name: 'forward', hook: 'forward', prio: -11, policy: 'accept' }, { name: 'pod' }],
      rules: [
        [
          'forward',
          [
            { expr: [{ vmap: { data: '@m' } }] },
            { expr: [{ match: { right: 'veth*' } }, { goto: { target: 'pod' } }] },
          ],
        ],
        [
          'pod',
          [
            {
              comment: 'namespace/policy ingress[0]',
              expr: [
                { match: { op: '==', right: { range: [8081, 8082] } } },
                { match: { op: '==', right: '@s' } },
                { counter: { packets: 0, bytes: 0 } },
                { accept: null },
              ],
            },
            { expr: [{ match: { right: { set: ['tcp', 'udp'] } } }, { drop: null }] },
          ],
        ],
      ],
    });
    expect((await nft.listSet({ ...inTable, name: 's' }))?.elem?.toSorted()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect((await nft.listMap({ ...inTable, name: 'm' }))?.elem).toContainEqual([
      '10.0.0.1',
      { goto: { target: 'pod' } },
    ]);
    expect(await nft.listSet({ ...inTable, name: 'm' })).toBeUndefined();
    expect(await nft.listMap({ ...inTable, name: 's' })).toBeUndefined();
  });

  test('a rule is replaced in its place and deleted by its handle', async () => {
    const rule = { ...inTable, chain: 'c', expr: [{ accept: null }] } as const;
    await nft.run(
      new Transaction()
        .addChain({ ...inTable, name: 'c' })
        .addRule(rule)
        .addRule(rule),
    );
    const first = (await nft.list(table))?.rules[0]?.handle ?? -1;
    await nft.run(new Transaction().replaceRule({ ...rule, expr: [{ drop: null }], handle: first }));
    const rules = (await nft.list(table))?.rules ?? [];
    expect(rules.map(({ expr }) => expr)).toEqual([[{ drop: null }], [{ accept: null }]]);
    await nft.run(new Transaction().deleteRule({ ...inTable, chain: 'c', handle: rules[0]?.handle ?? -1 }));
    expect((await nft.list(table))?.rules.map(({ expr }) => expr)).toEqual([[{ accept: null }]]);
  });

  test('calls take effect in the order in which they were made', async () => {
    const chain = { ...inTable, name: 'c' } as const;
    const first = nft.run(new Transaction().addChain(chain));
    const second = nft.run(new Transaction().addRule({ ...inTable, chain: 'c', expr: [{ drop: null }] }));
    const third = nft.list(table);
    await Promise.all([first, second]);
    expect((await third)?.rules).toHaveLength(1);
  });

  test('a failed call does not hold up the next one', async () => {
    const failing = nft.run(new Transaction().deleteChain({ ...inTable, name: 'missing' }));
    const next = nft.run(new Transaction().addChain({ ...inTable, name: 'c' }));
    await expect(failing).rejects.toMatchObject({ name: 'NftError', code: 'not-found' });
    await expect(next).resolves.toBeUndefined();
  });

  test('an empty transaction does nothing', async () => {
    await expect(nft.run(new Transaction())).resolves.toBeUndefined();
    await expect(nft.check(new Transaction())).resolves.toBeUndefined();
  });

  test('an invalid transaction is refused whole and names its command', async () => {
    const transaction = new Transaction().addChain({ ...inTable, name: 'c' }).addChain({ ...inTable, name: '1c' });
    await expect(nft.run(transaction)).rejects.toMatchObject({ code: 'invalid', commandIndex: 1 });
    await expect(nft.check(transaction)).rejects.toMatchObject({ code: 'invalid', commandIndex: 1 });
    expect((await nft.list(table))?.chains).toEqual([]);
  });

  test('a name that nft would read as an option is refused', async () => {
    await expect(nft.list({ family: 'inet', name: '-a' })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('words of nft may be names', async () => {
    const ref = { ...inTable, name: 'missing' } as const;
    await nft.run(new Transaction().addSet({ ...ref, type: 'ipv4_addr' }).addChain({ ...inTable, name: 'fwd' }));
    expect((await nft.listSet(ref))?.name).toBe('missing');
    expect((await nft.list(table))?.chains[0]?.name).toBe('fwd');
  });

  test('an aborted signal rejects with its reason and nothing runs', async () => {
    const reason = new Error('shutting down');
    const signal = AbortSignal.abort(reason);
    const transaction = new Transaction().addChain({ ...inTable, name: 'c' });
    await expect(nft.run(transaction, { signal })).rejects.toBe(reason);
    await expect(nft.list(table, { signal })).rejects.toBe(reason);
    expect((await nft.list(table))?.chains).toEqual([]);
  });
}
