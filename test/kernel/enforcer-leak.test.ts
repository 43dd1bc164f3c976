/** Packets while the enforcer changes everything around them: nothing denied arrives, nothing allowed is lost. */
import { NftProcess, accept, drop, goto, jump, match, meta, payload, ct, vmap } from 'nftables-json';
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { DesiredChain, DesiredRule, DesiredSet, Ruleset } from '../../src/compiler/ruleset.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { chain, map, rule, set, table } from '../../src/enforcer/testing/rulesets.ts';
import { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';

const port = 7100;

let lab: Lab;
let node: LabNode;
let pods: { allowed: LabPod; denied: LabPod; target: LabPod };

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node-1', mode: 'routed' });
  pods = {
    allowed: await node.addPod({ name: 'allowed' }),
    denied: await node.addPod({ name: 'denied' }),
    target: await node.addPod({ name: 'target' }),
  };
});

afterAll(() => lab.close());

/** What may change while the verdicts stay: `allowed` reaches `target`, `denied` does not. */
interface Variant {
  readonly name: string;
  readonly targetChain?: string;
  readonly peers?: string;
  readonly peerType?: DesiredSet['type'];
  readonly members?: readonly string[];
  readonly extraRules?: number;
  readonly deniedIsolated?: boolean;
  readonly allowedIsolated?: boolean;
  readonly priority?: number;
  readonly mapName?: string;
  readonly withdrawn?: boolean;
  /** As compiled now: known pods first, the prologue in their chains. Else as before that: the prologue in front. */
  readonly dispatchFirst?: boolean;
}

/** The frame of the compiled ruleset around the same pod chains. */
function dispatchFirst(former: Ruleset): Ruleset {
  const inet = former.get('inet')!;
  const sources = new Map([pods.allowed, pods.denied, pods.target].map((pod) => [pod.hostInterface, pod]));
  const senders = [...inet.maps.get('pod-egress')!.elements].map(([name, verdict]) => {
    const source = addressOf(sources.get(name)!, 'IPv4');
    return [`${name} . ${source}`, verdict] as const;
  });
  const map = { name: 'pod-senders-4', type: ['ifname', 'ipv4_addr'], elements: new Map(senders) };
  const rewritten = [...inet.chains.values()].map((one): DesiredChain => {
    const [first, ...others] = one.rules;
    if (one.name.startsWith('pod-')) return { ...one, rules: [rule(jump('prologue')), ...one.rules] };
    if (first === undefined || one.base === undefined) return one;
    const [dispatch, ...tails] = others;
    const bySender = rule(vmap({ concat: [meta('iifname'), payload('ip', 'saddr')] }, '@pod-senders-4'));
    const closed = tails.map(({ statements }) => rule(...statements.slice(0, -1), goto('closed')));
    return { ...one, rules: [one.name === 'forward-egress' ? bySender : dispatch!, ...closed] };
  });
  const closed = chain('closed', rule(jump('prologue')), rule(goto('deny')));
  return new Map([
    [
      'inet',
      table('inet', {
        sets: [...inet.sets.values()],
        maps: [...[...inet.maps.values()].filter(({ name }) => name !== 'pod-egress'), map],
        chains: [...rewritten, closed],
      }),
    ],
  ]);
}

function ruleset(variant: Variant): Ruleset {
  if (variant.dispatchFirst === true) return dispatchFirst(ruleset({ ...variant, dispatchFirst: false }));
  const own = addressOf(pods.allowed, 'IPv4');
  const { targetChain = 'pod-target-ingress', peers = 'peers-4', peerType = ['ipv4_addr'], members = [] } = variant;
  const saddr = payload('ip', 'saddr');
  const key = peerType.length === 1 ? saddr : { concat: [saddr, meta('l4proto')] };
  const elements = [own, ...members].map((address) => (peerType.length === 1 ? address : `${address} . udp`));
  const fillers = Array.from({ length: variant.extraRules ?? 0 }, (_, index): DesiredRule =>
    rule(match(payload('tcp', 'dport'), 1_000 + index), accept()),
  );
  const chains: DesiredChain[] = [
    chain('prologue', rule(match(ct('direction'), 'reply'), accept())),
    chain('deny', rule(drop())),
    chain(targetChain, ...fillers, rule(match(key, `@${peers}`), accept()), rule(goto('deny'))),
  ];
  const egress: Record<string, string> = {
    [pods.allowed.hostInterface]: 'accept',
    [pods.denied.hostInterface]: 'accept',
    [pods.target.hostInterface]: 'accept',
  };
  if (variant.deniedIsolated === true) {
    chains.push(chain('pod-denied-egress', rule(goto('deny'))));
    egress[pods.denied.hostInterface] = 'pod-denied-egress';
  }
  if (variant.allowedIsolated === true) {
    chains.push(chain('pod-allowed-egress', rule(match(payload('udp', 'dport'), port), accept()), rule(goto('deny'))));
    egress[pods.allowed.hostInterface] = 'pod-allowed-egress';
  }
  const ingress: Record<string, string> = {
    [pods.allowed.hostInterface]: 'accept',
    [pods.denied.hostInterface]: 'accept',
    [pods.target.hostInterface]: targetChain,
  };
  const { mapName = 'pod-ingress', priority = -10 } = variant;
  const base = (name: string, at: number, interfaceKey: string, dispatch: string): DesiredChain => ({
    name,
    base: { type: 'filter', hook: 'forward', priority: at },
    rules: [
      rule(jump('prologue')),
      rule(vmap(meta(interfaceKey), `@${dispatch}`)),
      ...Object.keys(egress).map((name) => rule(match(meta(interfaceKey), name), goto('deny'))),
    ],
  });
  chains.push(base('forward-egress', priority - 1, 'iifname', 'pod-egress'));
  chains.push(base('forward-ingress', priority, 'oifname', mapName));
  return new Map([
    [
      'inet',
      table('inet', {
        sets: [set(peers, peerType, ...elements)],
        maps: [map('pod-egress', 'ifname', egress), map(mapName, 'ifname', ingress)],
        chains,
      }),
    ],
  ]);
}

const many = Array.from({ length: 300 }, (_, index) => `10.77.${index >> 8}.${index & 255}`);

const variants: readonly Variant[] = [
  { name: 'the policy changes', extraRules: 20 },
  { name: 'peers join', members: many },
  { name: 'peers leave', members: many.slice(100) },
  { name: 'another peer set is used', peers: 'peers-b-4' },
  { name: 'the receiver gets another chain', targetChain: 'pod-target-ingress-b' },
  { name: 'the denied sender becomes isolated', deniedIsolated: true },
  { name: 'the allowed sender becomes isolated', allowedIsolated: true },
  { name: 'the dispatch map is another', mapName: 'pod-ingress-b' },
  { name: 'the frame becomes that of the next version, and back', dispatchFirst: true },
  {
    name: 'that happens and the senders become isolated',
    dispatchFirst: true,
    deniedIsolated: true,
    allowedIsolated: true,
  },
];

/** Flips between the plain ruleset and `variant` for a while under both streams. */
async function flip(
  variant: Variant,
  durationMs: number,
): Promise<{ readonly leaked: number; readonly sent: number; readonly lost: number; readonly changes: number }> {
  const executor = new NftProcess({ command: ['ip', 'netns', 'exec', node.netns, 'nft'] });
  const enforcer = new Enforcer({ executor, pollMs: 3_600_000 });
  enforcer.start();
  try {
    const [a, b] = [ruleset({ name: 'plain' }), ruleset(variant)];
    enforcer.setDesired(a);
    await enforcer.idle();
    await lab.traffic.listen(pods.target, 'udp', port);
    const to = addressOf(pods.target, 'IPv4');
    const before = await lab.traffic.received(pods.target, port);
    const streams = await Promise.all(
      [pods.allowed, pods.denied].map((from) => lab.traffic.stream({ from, to, port }, { rate: 5_000, sockets: 4 })),
    );
    const until = Date.now() + durationMs;
    let changes = 0;
    while (Date.now() < until) {
      enforcer.setDesired(changes % 2 === 0 ? b : a);
      await enforcer.idle();
      changes++;
    }
    expect(enforcer.status()).toMatchObject({ problems: [], lastApply: { ok: true } });
    const [sent = 0] = await Promise.all(streams.map((stream) => stream.halt()));
    // Until what was in flight has arrived.
    let after = await lab.traffic.received(pods.target, port);
    const count = (seen: ReadonlyMap<string, number>, pod: LabPod): number => seen.get(addressOf(pod, 'IPv4')) ?? 0;
    for (let looks = 0; looks < 20 && count(after, pods.allowed) - count(before, pods.allowed) < sent; looks++)
      after = await lab.traffic.received(pods.target, port);
    const arrived = count(after, pods.allowed) - count(before, pods.allowed);
    return { leaked: count(after, pods.denied) - count(before, pods.denied), sent, lost: sent - arrived, changes };
  } finally {
    await enforcer.close();
  }
}

test('without rules the denied sender does reach the receiver', async () => {
  await lab.traffic.listen(pods.target, 'udp', port);
  const to = addressOf(pods.target, 'IPv4');
  const probe = await lab.traffic.probe({ from: pods.denied, to, port, protocol: 'udp' });
  expect(probe.outcome).toBe('answered');
});

test.each(variants)('nothing leaks and nothing is lost while $name', async (variant) => {
  const result = await flip(variant, 1_500);
  expect(result.changes).toBeGreaterThan(5);
  expect(result.sent).toBeGreaterThan(1_000);
  expect(result).toMatchObject({ leaked: 0, lost: 0 });
});

// These happen on an upgrade that changes the schema, not in operation.
test.each<Variant>([
  { name: 'the hook gets another priority', priority: -20 },
  { name: 'a set gets another type', peerType: ['ipv4_addr', 'inet_proto'] },
])('nothing leaks while $name', async (variant) => {
  const result = await flip(variant, 1_500);
  expect(result.changes).toBeGreaterThan(5);
  expect(result.leaked).toBe(0);
  expect(result.lost / result.sent).toBeLessThan(0.01);
});
