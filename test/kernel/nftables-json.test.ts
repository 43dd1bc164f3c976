/** nftables-json against the real nft and kernel, inside a network namespace of its own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Command, Family, Listing, NamedSet, Statement, TableRef } from 'nftables-json';
import {
  FakeExecutor,
  NftError,
  NftProcess,
  Transaction,
  accept,
  anonymousSet,
  concat,
  counter,
  ct,
  decodeListing,
  drop,
  elem,
  goto,
  isInvalid,
  jump,
  limit,
  loadOrder,
  match,
  meta,
  payload,
  prefix,
  printReplacing,
  printTable,
  probeCapabilities,
  range,
  setRef,
  updateSet,
  vmap,
} from 'nftables-json';
import { comparable, executorContract } from '../../packages/nftables-json/src/executor.contract.ts';

const isRoot = process.getuid?.() === 0;
// Without root there is no kernel to ask; with REQUIRE_KERNEL the set-up fails instead of skipping.
const skip = !isRoot && process.env['REQUIRE_KERNEL'] === undefined;
const namespace = `nftjson-${process.pid}`;
const command = ['ip', 'netns', 'exec', namespace, 'nft'];
const nft = new NftProcess({ command });
const isOldest = !skip && execFileSync('nft', ['--version'], { encoding: 'utf8' }).includes('v1.0.6 ');

const table = { family: 'inet', name: 't' } as const;
const inTable = { family: 'inet', table: 't' } as const;
const saddr = payload('ip', 'saddr');
const elements = async (name: string): Promise<unknown[]> =>
  ((await nft.listSet({ ...inTable, name }))?.elem ?? []).toSorted((a, b) =>
    JSON.stringify(a) < JSON.stringify(b) ? -1 : 1,
  );

function transactionOf(commands: readonly Command[]): Transaction {
  const transaction = new Transaction();
  for (const each of commands) transaction.push(each);
  return transaction;
}

function loadText(text: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'nftjson-text-'));
  try {
    writeFileSync(join(directory, 'rules.nft'), text);
    execFileSync('ip', ['netns', 'exec', namespace, 'nft', '-f', join(directory, 'rules.nft')], { stdio: 'pipe' });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.skipIf(skip)('nft on this kernel', () => {
  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', namespace]);
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', namespace]);
  });

  describe('keeps the executor contract, and the fake answers alike', () => {
    const fake = new FakeExecutor();
    executorContract(
      () => nft,
      () => fake,
      isOldest,
    );
  });

  describe('behaves as the package relies on:', () => {
    beforeEach(async () => {
      await nft.run(new Transaction().addTable(table).deleteTable(table).addTable(table));
    });

    test('adding a set with elements adds them to the existing set', async () => {
      const set = { ...inTable, name: 's', type: 'ipv4_addr' } as const;
      await nft.run(new Transaction().addSet({ ...set, elem: ['10.0.0.1'] }));
      await nft.run(new Transaction().addSet({ ...set, elem: ['10.0.0.2'] }));
      expect(await elements('s')).toEqual(['10.0.0.1', '10.0.0.2']);
    });

    test('flushing a map and adding it with elements replaces them in one transaction', async () => {
      const map = { ...inTable, name: 'm', type: 'ipv4_addr', map: 'verdict' } as const;
      const old = [
        ['10.0.0.1', accept()],
        ['10.0.0.2', drop()],
      ] as const;
      await nft.run(new Transaction().addChain({ ...inTable, name: 'c' }).addMap({ ...map, elem: old }));
      await nft.run(new Transaction().flushMap(map).addMap({ ...map, elem: [['10.0.0.1', goto('c')]] }));
      expect((await nft.listMap(map))?.elem).toEqual([['10.0.0.1', { goto: { target: 'c' } }]]);
    });

    test('create drops the elements of a set without a word in 1.0.6, so transactions refuse it', async () => {
      const set: NamedSet = { ...inTable, name: 's', type: 'ipv4_addr', elem: ['10.0.0.1'] };
      expect(new Transaction().create({ set }).invalid?.reason).toContain('cannot bring elements');
      const directory = mkdtempSync(join(tmpdir(), 'nftjson-create-'));
      const file = join(directory, 'create.json');
      writeFileSync(file, JSON.stringify({ nftables: [{ create: { set } }] }));
      execFileSync('ip', ['netns', 'exec', namespace, 'nft', '-j', '-f', file]);
      rmSync(directory, { recursive: true });
      if (isOldest) expect(await elements('s')).toEqual([]);
      expect(await nft.listSet(set)).toMatchObject({ name: 's' });
    });

    test('a record of denials is a timeout set with a size, created with the rule that writes it', async () => {
      const denied: NamedSet = {
        ...inTable,
        name: 'denied-4',
        type: ['ipv4_addr', 'inet_proto', 'inet_service'],
        flags: ['timeout'],
        timeout: 300,
        size: 4096,
      };
      const key = concat(saddr, meta('l4proto'), payload('th', 'dport'));
      const expr = [
        limit({ rate: 100, per: 'second', burst: 100 }),
        updateSet('denied-4', elem(key, { timeout: 300 }), [counter()]),
      ];
      const rule = { ...inTable, chain: 'deny', expr };
      const chain = { ...inTable, name: 'deny' };
      await nft.run(new Transaction().addSet(denied).addChain(chain).addRule(rule));
      const flags = isOldest ? ['timeout'] : ['timeout', 'dynamic'];
      expect(await nft.listSet(denied)).toMatchObject({ flags, size: 4096, timeout: 300 });
      expect((await nft.list(table))?.rules[0]?.expr).toEqual(expr);
      await nft.run(new Transaction().flushChain(chain).addRule(rule));
      // The set became dynamic with its first rule; in 1.0.6's JSON that cannot be said, so it is not added again.
      await expect(nft.run(new Transaction().addSet(denied))).rejects.toMatchObject({ code: 'exists' });
    });

    test('the flag dynamic is refused in JSON by 1.0.6', async () => {
      const set: NamedSet = { ...inTable, name: 's', type: 'ipv4_addr', flags: ['dynamic', 'timeout'], size: 16 };
      const outcome = await nft.run(new Transaction().addSet(set)).then(
        () => 'ok',
        (error: unknown) => (isInvalid(error) ? 'invalid' : error),
      );
      expect(outcome).toBe(isOldest ? 'invalid' : 'ok');
    });

    test('concatenated intervals hold prefixes and ranges, and overlaps are refused', async () => {
      const set = {
        ...inTable,
        name: 's',
        type: ['ipv4_addr', 'inet_proto', 'inet_service'],
        flags: ['interval'],
      } as const;
      const first = concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90));
      await nft.run(new Transaction().addSet({ ...set, elem: [first] }));
      expect(await elements('s')).toEqual([first]);
      await expect(
        nft.run(new Transaction().addSet({ ...set, elem: [concat('10.0.0.1', 'tcp', 80)] })),
      ).rejects.toMatchObject({ code: 'exists' });
    });

    test('interfaces and addresses are one key', async () => {
      const key = concat('vethA', '10.0.0.1');
      const set = { ...inTable, name: 's', type: ['ifname', 'ipv4_addr'], elem: [key] } as const;
      await nft.run(
        new Transaction()
          .addSet(set)
          .addChain({ ...inTable, name: 'c' })
          .addRule({
            ...inTable,
            chain: 'c',
            expr: [match(concat(meta('iifname'), saddr), setRef('s'), '!='), drop()],
          }),
      );
      expect(await elements('s')).toEqual([key]);
    });

    test('a map listed before its chains is loaded in load order', async () => {
      await nft.run(
        new Transaction()
          .addChain({ ...inTable, name: 'c' })
          .addMap({ ...inTable, name: 'm', type: 'ipv4_addr', map: 'verdict', elem: [['10.0.0.1', goto('c')]] }),
      );
      const listing = (await nft.list(table)) as Listing;
      await nft.run(new Transaction().deleteTable(table));
      await nft.run(transactionOf(loadOrder(listing).map((object) => ({ add: object }))));
      expect(comparable(await nft.list(table))).toEqual(comparable(listing));
    });

    test('comments of 128 bytes and interface names of 15 bytes pass', async () => {
      const name = 'a'.repeat(15);
      await nft.run(
        new Transaction()
          .addChain({ ...inTable, name: 'c' })
          .addRule({ ...inTable, chain: 'c', comment: 'x'.repeat(128), expr: [match(meta('iifname'), name), drop()] })
          .addSet({ ...inTable, name: 's', type: 'ifname', elem: [name] }),
      );
      expect((await nft.list(table))?.rules[0]?.comment).toHaveLength(128);
      expect(await elements('s')).toEqual([name]);
    });

    test('a hundred thousand elements go in one transaction', async () => {
      const ips = Array.from(
        { length: 100_000 },
        (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      );
      await nft.run(new Transaction().addSet({ ...inTable, name: 's', type: 'ipv4_addr', elem: ips }));
      expect((await nft.listSet({ ...inTable, name: 's' }))?.elem).toHaveLength(100_000);
    });

    test('without /etc/protocols five protocols have names still, and all are listed by number', async () => {
      const hide = '[ ! -e /etc/protocols ] || mount --bind /dev/null /etc/protocols; exec "$@"';
      const bare = new NftProcess({ command: ['unshare', '--mount', 'sh', '-c', hide, 'sh', ...command] });
      const names = ['tcp', 'udp', 'sctp', 'icmp', 'icmpv6'];
      const set = { ...inTable, name: 's', type: 'inet_proto', elem: names } as const;
      await bare.run(new Transaction().addSet(set));
      const numbers = [...((await bare.listSet(set))?.elem ?? [])] as number[];
      expect(numbers.sort((a, b) => a - b)).toEqual([1, 6, 17, 58, 132]);
      const other = new Transaction().addSet({ ...set, elem: ['ipv6-icmp'] });
      await expect(bare.run(other)).rejects.toMatchObject({ code: 'invalid' });
    });

    test('its features can be asked for and nothing is left behind', async () => {
      const { features, version } = await probeCapabilities(nft);
      expect(version.major).toBeGreaterThanOrEqual(1);
      for (const name of [
        'inet-table',
        'conntrack',
        'concatenated-sets',
        'concatenated-intervals',
        'verdict-maps',
        'recording-sets',
        'bridge-table',
      ] as const)
        expect([name, features.get(name)]).toEqual([name, { available: true }]);
      expect(await nft.list({ family: 'inet', name: 'nftables-json-probe' })).toBeUndefined();
      expect(await nft.list({ family: 'bridge', name: 'nftables-json-probe' })).toBeUndefined();
    });
  });

  describe('in the bridge family', () => {
    const bridge = { family: 'bridge', name: 't' } as const;
    const inBridge = { family: 'bridge', table: 't' } as const;
    const rule = (...expr: readonly Statement[]): Command => ({ add: { rule: { ...inBridge, chain: 'c', expr } } });
    beforeEach(async () => {
      await nft.run(
        new Transaction()
          .addTable(bridge)
          .deleteTable(bridge)
          .addTable(bridge)
          .addChain({ ...inBridge, name: 'c' }),
      );
    });
    afterEach(async () => {
      await nft.run(new Transaction().deleteTable(bridge));
    });
    const exprs = async (): Promise<unknown[]> => ((await nft.list(bridge))?.rules ?? []).map(({ expr }) => expr);

    test('a VLAN tag is an ether type', async () => {
      const tagged = match(payload('ether', 'type'), anonymousSet(['8021q', '8021ad']));
      await nft.run(transactionOf([rule(tagged, drop()), rule(match(payload('ether', 'type'), '8021q'), drop())]));
      expect(await exprs()).toEqual([
        [tagged, drop()],
        [match(payload('ether', 'type'), '8021q'), drop()],
      ]);
    });

    test('a redundant ether type is left out of listings', async () => {
      const source = match(saddr, '10.0.0.1');
      await nft.run(transactionOf([rule(match(payload('ether', 'type'), 'ip'), source, accept())]));
      expect(await exprs()).toEqual([[source, accept()]]);
    });

    test('ports go together with MAC, IP and ARP addresses', async () => {
      const keys = [payload('ether', 'saddr'), saddr, payload('arp', 'saddr ip'), payload('ip6', 'saddr')];
      const types = ['ether_addr', 'ipv4_addr', 'ipv4_addr', 'ipv6_addr'];
      const statements = keys.map((key, index) => match(concat(meta('iifname'), key), setRef(`s${index}`)));
      await nft.run(
        transactionOf([
          ...types.map((type, index): Command => ({
            add: { set: { ...inBridge, name: `s${index}`, type: ['ifname', type] } },
          })),
          ...statements.map((statement) => rule(statement, accept())),
        ]),
      );
      expect(await exprs()).toEqual(statements.map((statement) => [statement, accept()]));
    });

    test('the name of the bridge can be matched exactly when the probe says so', async () => {
      const { features } = await probeCapabilities(nft);
      const outcome = await nft.run(transactionOf([rule(match(meta('ibrname'), 'cni0'), drop())])).then(
        () => true,
        (error: unknown) => {
          if (error instanceof NftError && error.code === 'unsupported') return false;
          throw error;
        },
      );
      expect(outcome).toBe(features.get('bridge-meta')?.available);
    });
  });

  describe('loads printed text', () => {
    test.each<{ readonly name: string; readonly family: Family }>([
      { name: 'of a routed ruleset', family: 'inet' },
      { name: 'of a bridge ruleset', family: 'bridge' },
    ])('$name as the same objects', async ({ family }) => {
      const ref: TableRef = { family, name: 'printed' };
      await nft.run(transactionOf(family === 'inet' ? routedRuleset(ref) : bridgeRuleset(ref)));
      const loaded = (await nft.list(ref)) as Listing;
      loadText(`${printReplacing(ref)}${printTable(loaded)}`);
      const again = (await nft.list(ref)) as Listing;
      expect(comparable(again)).toEqual(comparable(loaded));
      expect(printTable(again)).toBe(printTable(loaded));
      await nft.run(new Transaction().deleteTable(ref));
    });
  });

  test('the fake follows the kernel through random transactions', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(anyCommand, { minLength: 1, maxLength: 4 }).filter(plain), { maxLength: 8 }),
        async (all) => {
          const fake = new FakeExecutor();
          const start = new Transaction().addTable(table).deleteTable(table).addTable(table);
          for (const executor of [nft, fake]) await executor.run(start);
          for (const commands of all) {
            const transaction = transactionOf(commands);
            const [faked, real] = [await codeOf(fake.run(transaction)), await codeOf(nft.run(transaction))];
            // Of several faults each may name another one; which of them is not worth copying.
            const known = mayHaveSeveralFaults(commands)
              ? (code: string): string => (code === 'ok' ? code : 'failed')
              : String;
            expect({ commands, outcome: known(faked) }).toEqual({ commands, outcome: known(real) });
          }
          expect(comparable(await fake.list(table))).toEqual(comparable(await nft.list(table)));
        },
      ),
      { numRuns: Number(process.env['NFTJSON_RUNS'] ?? 25) },
    );
  });

  test('text that is not a listing of nft is refused, and a real one decodes', () => {
    const text = execFileSync('ip', ['netns', 'exec', namespace, 'nft', '-j', 'list', 'tables'], { encoding: 'utf8' });
    expect(decodeListing(text.replace(/"table"/g, '"other"'))).toBeUndefined();
  });
});

async function codeOf(work: Promise<void>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (error instanceof NftError) return error.code;
    throw error;
  }
}

/** nft forgets elements of a set that the same transaction flushes later, so the kernel never refuses them. */
function plain(commands: readonly Command[]): boolean {
  const filled = commands.findIndex((each) => 'add' in each && ('set' in each.add || 'map' in each.add));
  return filled === -1 || !commands.slice(filled).some((each) => 'flush' in each && !('chain' in each.flush));
}

function mayHaveSeveralFaults(commands: readonly Command[]): boolean {
  return commands.length > 1 || JSON.stringify(commands).includes('"dport"');
}

const chainName = fc.constantFrom('a', 'b', 'hook');
const address = fc.constantFrom('10.0.0.1', '10.0.0.2');
const verdict = fc.oneof(fc.constant(accept()), chainName.map(goto), chainName.map(jump));
const verdictMap = { ...inTable, name: 'm', type: 'ipv4_addr', map: 'verdict' } as const;
const addressSet = { ...inTable, name: 's', type: 'ipv4_addr', size: 2 } as const;
const anyStatement: fc.Arbitrary<Statement> = fc.oneof(
  verdict,
  fc.constant(match(saddr, setRef('s'))),
  fc.constant(vmap(saddr, setRef('m'))),
  fc.tuple(chainName, chainName).map(([one, two]) =>
    vmap(
      payload('tcp', 'dport'),
      anonymousSet([
        [80, goto(one)],
        [443, jump(two)],
      ]),
    ),
  ),
);
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.constantFrom<Command>(
    { add: { chain: { ...inTable, name: 'a' } } },
    { add: { chain: { ...inTable, name: 'b' } } },
    { create: { chain: { ...inTable, name: 'a' } } },
    { add: { chain: { ...inTable, name: 'hook', type: 'filter', hook: 'forward', prio: 0, policy: 'accept' } } },
    { add: { chain: { ...inTable, name: 'hook', type: 'filter', hook: 'forward', prio: 0, policy: 'drop' } } },
    { add: { set: addressSet } },
    { add: { map: verdictMap } },
    { delete: { set: { ...inTable, name: 's' } } },
    { delete: { map: { ...inTable, name: 'm' } } },
    { flush: { set: { ...inTable, name: 's' } } },
    { flush: { map: { ...inTable, name: 'm' } } },
    { flush: { table } },
  ),
  chainName.map((name): Command => ({ delete: { chain: { ...inTable, name } } })),
  chainName.map((name): Command => ({ flush: { chain: { ...inTable, name } } })),
  fc
    .tuple(chainName, anyStatement)
    .map(([chain, statement]): Command => ({ add: { rule: { ...inTable, chain, expr: [statement] } } })),
  address.map((each): Command => ({ add: { set: { ...addressSet, elem: [each] } } })),
  address.map((each): Command => ({ delete: { element: { ...inTable, name: 's', elem: [each] } } })),
  address.map((each): Command => ({ delete: { element: { ...inTable, name: 'm', elem: [each] } } })),
  fc
    .tuple(address, verdict)
    .map(([each, value]): Command => ({ add: { map: { ...verdictMap, elem: [[each, value]] } } })),
);

/** What a routed node would have: every statement and element form in the inet family. */
function routedRuleset(ref: TableRef): readonly Command[] {
  const at = { family: ref.family, table: ref.name };
  const rule = (chain: string, comment: string | undefined, ...expr: readonly Statement[]): Command => ({
    add: { rule: comment === undefined ? { ...at, chain, expr } : { ...at, chain, expr, comment } },
  });
  const key = concat(saddr, payload('ip', 'daddr'), meta('l4proto'), payload('th', 'dport'));
  const protocols = match(meta('l4proto'), anonymousSet(['tcp', 'udp', 'sctp']));
  const neighbour = anonymousSet(['nd-router-solicit', 'nd-neighbor-solicit', 'nd-neighbor-advert']);
  return [
    { add: { table: ref } },
    ...['prologue', 'deny', 'pod-vethA-egress'].map((name): Command => ({ add: { chain: { ...at, name } } })),
    { add: { chain: { ...at, name: 'forward-egress', type: 'filter', hook: 'forward', prio: -11, policy: 'accept' } } },
    {
      add: {
        set: {
          ...at,
          name: 'denied-4',
          type: ['ipv4_addr', 'ipv4_addr', 'inet_proto', 'inet_service'],
          flags: ['timeout'],
          timeout: 300,
          size: 4096,
        },
      },
    },
    {
      add: {
        set: {
          ...at,
          name: 'sources-4',
          type: ['ifname', 'ipv4_addr'],
          elem: [concat('vethA', '10.244.1.10'), concat('vethB', '10.244.1.11')],
        },
      },
    },
    {
      add: {
        set: {
          ...at,
          name: 'peers-6',
          type: 'ipv6_addr',
          elem: ['fd00:10:244:1::b', 'fd00::1', '::1', 'fe80::1', '2001:db8::', 'ff02::fb', '64:ff9b::1'],
        },
      },
    },
    {
      add: {
        set: {
          ...at,
          name: 'flat-4',
          type: ['ipv4_addr', 'inet_proto', 'inet_service'],
          elem: [concat('10.0.0.1', 'tcp', 80), concat('10.0.0.1', 'udp', 53)],
        },
      },
    },
    {
      add: {
        set: {
          ...at,
          name: 'blocks-4',
          type: ['ipv4_addr', 'inet_proto', 'inet_service'],
          flags: ['interval'],
          elem: [concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90)), concat(range('11.0.0.1', '11.0.0.9'), 'udp', 53)],
        },
      },
    },
    {
      add: {
        map: {
          ...at,
          name: 'pods',
          type: 'ifname',
          map: 'verdict',
          elem: [
            ['vethA', goto('pod-vethA-egress')],
            ['vethB', accept()],
            ['vethC', drop()],
          ],
        },
      },
    },
    {
      add: {
        map: {
          ...at,
          name: 'pods-6',
          type: 'ipv6_addr',
          map: 'verdict',
          elem: [
            ['fd00::1', goto('pod-vethA-egress')],
            ['::1', accept()],
          ],
        },
      },
    },
    rule('prologue', undefined, match(ct('direction'), 'reply'), accept()),
    rule('prologue', undefined, match(ct('state'), 'related', 'in'), accept()),
    rule('prologue', undefined, match(ct('state'), ['established', 'related'], 'in'), accept()),
    rule(
      'prologue',
      undefined,
      match(payload('icmpv6', 'type'), neighbour),
      match(payload('ip6', 'hoplimit'), 255),
      accept(),
    ),
    rule(
      'deny',
      undefined,
      match(meta('nfproto'), 'ipv4'),
      protocols,
      limit({ rate: 100, per: 'second', burst: 100 }),
      updateSet('denied-4', elem(key, { timeout: 300 }), [counter()]),
    ),
    rule('deny', undefined, drop()),
    rule(
      'pod-vethA-egress',
      'own address',
      match(meta('oifname'), 'vethA'),
      match(payload('ip', 'daddr'), '10.244.1.10'),
      accept(),
    ),
    rule(
      'pod-vethA-egress',
      'a/b egress[0]',
      match(payload('tcp', 'dport'), 5432),
      match(payload('ip6', 'daddr'), setRef('peers-6')),
      accept(),
    ),
    rule('pod-vethA-egress', undefined, match(payload('tcp', 'dport'), anonymousSet([80, 443])), accept()),
    rule(
      'pod-vethA-egress',
      undefined,
      match(payload('udp', 'dport'), range(8081, 8082)),
      match(saddr, prefix('192.168.0.0', 16)),
      match(saddr, '192.168.50.2', '!='),
      accept(),
    ),
    rule(
      'pod-vethA-egress',
      undefined,
      match(concat(saddr, meta('l4proto'), payload('th', 'dport')), setRef('flat-4')),
      accept(),
    ),
    rule(
      'pod-vethA-egress',
      undefined,
      match(concat(saddr, meta('l4proto'), payload('th', 'dport')), setRef('blocks-4')),
      accept(),
    ),
    rule('pod-vethA-egress', undefined, counter(), goto('deny')),
    rule(
      'forward-egress',
      "source is not the pod's address",
      match(meta('iifname'), 'veth*'),
      match(concat(meta('iifname'), saddr), setRef('sources-4'), '!='),
      goto('deny'),
    ),
    rule('forward-egress', undefined, jump('prologue')),
    rule('forward-egress', undefined, vmap(meta('iifname'), setRef('pods'))),
    rule('forward-egress', undefined, vmap(payload('ip6', 'saddr'), setRef('pods-6'))),
    rule('forward-egress', undefined, match(meta('iifname'), anonymousSet(['vethX', 'vethY'])), goto('deny')),
  ];
}

/** What a bridge would have: frames, ARP and VLAN tags. */
function bridgeRuleset(ref: TableRef): readonly Command[] {
  const at = { family: ref.family, table: ref.name };
  const rule = (chain: string, ...expr: readonly Statement[]): Command => ({ add: { rule: { ...at, chain, expr } } });
  return [
    { add: { table: ref } },
    { add: { chain: { ...at, name: 'bound' } } },
    { add: { chain: { ...at, name: 'guard', type: 'filter', hook: 'prerouting', prio: -350, policy: 'accept' } } },
    {
      add: {
        set: { ...at, name: 'macs', type: ['ifname', 'ether_addr'], elem: [concat('vethA', '02:00:00:00:00:0a')] },
      },
    },
    { add: { set: { ...at, name: 'known-4', type: 'ipv4_addr', elem: ['10.244.1.10', '10.244.1.11'] } } },
    { add: { map: { ...at, name: 'ports', type: 'ifname', map: 'verdict', elem: [['vethA', goto('bound')]] } } },
    rule('bound', match(payload('ether', 'type'), anonymousSet(['8021q', '8021ad'])), counter(), drop()),
    rule('bound', match(concat(meta('iifname'), payload('ether', 'saddr')), setRef('macs'), '!='), counter(), drop()),
    rule(
      'bound',
      match(saddr, '0.0.0.0'),
      match(payload('udp', 'sport'), 68),
      match(payload('udp', 'dport'), 67),
      accept(),
    ),
    rule(
      'bound',
      match(payload('arp', 'saddr ip'), prefix('10.244.1.0', 24)),
      match(payload('arp', 'saddr ip'), setRef('known-4'), '!='),
      accept(),
    ),
    rule('bound', match(payload('ip6', 'saddr'), prefix('fe80::', 10)), accept()),
    rule('bound', match(payload('ip6', 'saddr'), '::'), accept()),
    rule('guard', vmap(meta('iifname'), setRef('ports'))),
    rule('guard', match(meta('iifname'), 'veth*'), drop()),
  ];
}
