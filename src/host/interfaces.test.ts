import { describe, expect, test } from 'vitest';

import { computedInterfaceName } from './evidence.ts';
import type { HostFacts } from './facts.ts';
import { bindInterfaces } from './interfaces.ts';
import type { Link } from './links.ts';
import { sampleEntry, sampleFacts, sampleInside, samplePod, sampleRoute, sampleVeth } from './sample-facts.ts';

const MAC_A = '02:00:00:00:00:0a';
const MAC_B = '02:00:00:00:00:0b';
const api = samplePod('api', ['10.244.1.10', 'fd00:10:244:1::a']);
const database = samplePod('database', ['10.244.1.11']);
const cni0: Link = { index: 9, name: 'cni0', kind: 'bridge', loopback: false, addresses: [] };
const vethA = sampleVeth('vethA', 5);
const vethB = sampleVeth('vethB', 6);
const portA: Link = { ...vethA, master: 'cni0' };
const portB: Link = { ...vethB, master: 'cni0' };
const ip = (text: string): (typeof api.addresses)[number] => text as (typeof api.addresses)[number];

function codes(pods: Parameters<typeof bindInterfaces>[0], facts: Partial<HostFacts>): string[] {
  const { bindings, problems } = bindInterfaces(pods, sampleFacts(facts));
  return [...bindings.map((b) => `${b.pod} -> ${b.interface}`), ...problems.map((p) => `${p.pod}: ${p.code}`)].sort();
}

describe('one source alone', () => {
  const alone: { name: string; facts: Partial<HostFacts>; mac?: string; bridge?: string }[] = [
    {
      name: 'host routes bind a routed pod',
      facts: {
        links: [vethA],
        routes: [sampleRoute('10.244.1.10', 'vethA'), sampleRoute('fd00:10:244:1::a', 'vethA')],
      },
    },
    {
      name: 'a host route of one family is enough',
      facts: { links: [vethA], routes: [sampleRoute('fd00:10:244:1::a', 'vethA')] },
    },
    { name: 'the result cache binds a routed pod', facts: { links: [vethA], cache: [sampleEntry('api', 'vethA')] } },
    {
      name: 'the result cache binds a bridged pod and gives its MAC address',
      facts: {
        links: [cni0, portA],
        cache: [{ ...sampleEntry('api', 'vethA', { mac: MAC_A }), hostInterfaces: ['cni0', 'vethA'] }],
      },
      mac: MAC_A,
      bridge: 'cni0',
    },
    {
      name: 'the peer index binds a bridged pod and gives its MAC address',
      facts: { links: [cni0, portA], namespaces: [sampleInside('71', 5, MAC_A, ['10.244.1.10', 'fd00:10:244:1::a'])] },
      mac: MAC_A,
      bridge: 'cni0',
    },
    {
      name: 'neighbour and forwarding entries bind a bridged pod',
      facts: {
        links: [cni0, portA],
        neighbours: [{ address: ip('10.244.1.10'), interface: 'cni0', mac: MAC_A }],
        forwarding: [{ mac: MAC_A, port: 'vethA', bridge: 'cni0' }],
      },
      mac: MAC_A,
      bridge: 'cni0',
    },
  ];
  test.each(alone)('$name', ({ facts, mac, bridge }) => {
    const { bindings, problems } = bindInterfaces([api], sampleFacts(facts));
    expect(problems).toEqual([]);
    expect(bindings).toEqual([
      {
        pod: 'default/api',
        uid: 'uid-api',
        interface: 'vethA',
        ...(mac === undefined ? {} : { mac }),
        addresses: ['10.244.1.10', 'fd00:10:244:1::a'],
        attachment: bridge === undefined ? { kind: 'routed' } : { kind: 'bridged', bridge },
      },
    ]);
  });

  test('a computed name alone decides nothing', () => {
    const name = computedInterfaceName('cali', 'default', 'api');
    expect(codes([api], { links: [sampleVeth(name, 5)] })).toEqual(['default/api: pod-interface-unconfirmed']);
  });

  test('a computed name is confirmed by the host route', () => {
    const name = computedInterfaceName('eni', 'default', 'api');
    const facts = { links: [sampleVeth(name, 5)], routes: [sampleRoute('10.244.1.10', name)] };
    expect(codes([api], facts)).toEqual([`default/api -> ${name}`]);
  });

  test('the computed name is the prefix and eleven digits of the hash of namespace.name', () => {
    // printf %s default.api | sha1sum
    expect(computedInterfaceName('cali', 'default', 'api')).toBe('calibd0ecddfcf2');
  });
});

describe('disagreement keeps a pod closed', () => {
  const closed: { name: string; facts: Partial<HostFacts>; code: string }[] = [
    {
      name: 'cache and route name different interfaces',
      facts: {
        links: [vethA, vethB],
        routes: [sampleRoute('10.244.1.10', 'vethB')],
        cache: [sampleEntry('api', 'vethA')],
      },
      code: 'pod-interface-contradiction',
    },
    {
      name: 'computed name and route name different interfaces',
      facts: {
        links: [sampleVeth(computedInterfaceName('cali', 'default', 'api'), 5), vethB],
        routes: [sampleRoute('10.244.1.10', 'vethB')],
      },
      code: 'pod-interface-contradiction',
    },
    {
      name: 'the routes of two addresses of one pod lead to different interfaces, whatever the cache says',
      facts: {
        links: [vethA, vethB],
        routes: [sampleRoute('10.244.1.10', 'vethA'), sampleRoute('fd00:10:244:1::a', 'vethB')],
        cache: [sampleEntry('api', 'vethA')],
      },
      code: 'pod-interface-contradiction',
    },
    {
      name: 'two namespaces hold the address and nothing else decides',
      facts: {
        links: [cni0, portA, portB],
        namespaces: [sampleInside('71', 5, MAC_A, ['10.244.1.10']), sampleInside('72', 6, MAC_B, ['10.244.1.10'])],
      },
      code: 'pod-interface-contradiction',
    },
    {
      name: 'the network plugin gave another address than the API names',
      facts: { links: [vethA], cache: [sampleEntry('api', 'vethA', { addresses: [ip('10.244.1.99')] })] },
      code: 'pod-interface-contradiction',
    },
    {
      name: 'a bridged pod whose MAC address nobody knows cannot be guarded',
      facts: { links: [cni0, portA], cache: [sampleEntry('api', 'vethA')] },
      code: 'pod-mac-unknown',
    },
    {
      name: 'a route through a gateway is not a pod of this node',
      facts: {
        links: [vethA],
        routes: [{ ...sampleRoute('10.244.1.10', 'vethA'), hops: [{ interface: 'vethA', gateway: true }] }],
      },
      code: 'pod-interface-missing',
    },
    {
      name: 'an interface with a default route is nobody’s',
      facts: { links: [vethA], routes: [sampleRoute('10.244.1.10', 'vethA'), sampleRoute('default', 'vethA')] },
      code: 'pod-interface-uplink',
    },
    {
      name: 'a veth enslaved to something that is no bridge is refused',
      facts: { links: [{ ...vethA, master: 'ovs-system' }], routes: [sampleRoute('10.244.1.10', 'vethA')] },
      code: 'pod-interface-unsupported',
    },
    {
      name: 'a macvlan pod has no interface on the node',
      facts: { links: [vethA], namespaces: [sampleInside('71', 5, MAC_A, ['10.244.1.10'], { kind: 'macvlan' })] },
      code: 'pod-interface-unsupported',
    },
    { name: 'nothing is known', facts: { links: [vethA] }, code: 'pod-interface-missing' },
  ];
  test.each(closed)('$name', ({ facts, code }) => {
    expect(codes([api], facts)).toEqual([`default/api: ${code}`]);
  });

  test('two pods that lead to one interface are both closed', () => {
    const routes = [sampleRoute('10.244.1.10', 'vethA'), sampleRoute('10.244.1.11', 'vethA')];
    expect(codes([api, database], { links: [vethA], routes })).toEqual([
      'default/api: pod-interface-shared',
      'default/database: pod-interface-shared',
    ]);
  });

  test('two live pods that claim one address are both closed', () => {
    const twin = samplePod('twin', ['10.244.1.10']);
    const facts = { links: [vethA, vethB], cache: [sampleEntry('api', 'vethA'), sampleEntry('twin', 'vethB')] };
    expect(codes([api, twin], facts)).toEqual(['default/api: pod-address-shared', 'default/twin: pod-address-shared']);
  });

  test('a finished pod claims nothing', () => {
    const job = samplePod('job', ['10.244.1.10'], { phase: 'Succeeded' });
    expect(codes([api, job], { links: [vethA], cache: [sampleEntry('api', 'vethA')] })).toEqual([
      'default/api -> vethA',
    ]);
  });

  test('the problem names what could not be looked at: the answer may stand there', () => {
    const gap = (what: string) => ({ what, why: `EACCES: permission denied` });
    const facts = { links: [vethA], gaps: [gap('CNI result cache'), gap('neighbours'), gap('CNI configuration')] };
    expect(bindInterfaces([api], sampleFacts(facts)).problems[0]?.message).toMatch(
      /entry; could not be looked at: CNI result cache \(EACCES: permission denied\), neighbours \(.*\) and 1 more$/,
    );
  });

  test('the problem names what each source says', () => {
    const facts = {
      links: [vethA, vethB],
      routes: [sampleRoute('10.244.1.10', 'vethB')],
      cache: [sampleEntry('api', 'vethA')],
    };
    expect(bindInterfaces([api], sampleFacts(facts)).problems[0]?.message).toBe(
      'pod default/api stays closed: its interface is not certain: cni-cache says vethA, host-route says vethB',
    );
  });
});

describe('an interface that was certain', () => {
  const sure = { links: [cni0, portA], cache: [sampleEntry('api', 'vethA', { mac: MAC_A })] };
  const first = bindInterfaces([api], sampleFacts(sure));
  const last = { bindings: first.bindings, links: sure.links };
  const again = (pods: Parameters<typeof bindInterfaces>[0], facts: Partial<HostFacts>): string[] => {
    const { bindings, problems } = bindInterfaces(pods, sampleFacts(facts), last);
    return [...bindings.map((b) => `${b.pod} -> ${b.interface}`), ...problems.map((p) => `${p.pod}: ${p.code}`)].sort();
  };

  test('stays when every source falls silent and the link is the same', () => {
    expect(bindInterfaces([api], sampleFacts({ links: sure.links }), last)).toEqual(first);
  });

  test('stays when only the source of its MAC address falls silent', () => {
    expect(again([api], { links: sure.links, cache: [sampleEntry('api', 'vethA')] })).toEqual(['default/api -> vethA']);
  });

  const lost: { name: string; pods?: Parameters<typeof bindInterfaces>[0]; facts: Partial<HostFacts>; code: string }[] =
    [
      { name: 'when the link is gone', facts: { links: [cni0] }, code: 'pod-interface-missing' },
      {
        name: 'when another link has its name',
        facts: { links: [cni0, { ...portA, index: 77 }] },
        code: 'pod-interface-missing',
      },
      {
        name: 'when it left the bridge',
        facts: { links: [cni0, vethA] },
        code: 'pod-interface-missing',
      },
      {
        name: 'by a new pod of the same name',
        pods: [{ ...api, uid: 'uid-next' }],
        facts: { links: sure.links },
        code: 'pod-interface-missing',
      },
      {
        name: 'by a pod that lost its addresses to another',
        pods: [{ ...api, addresses: [] }],
        facts: { links: sure.links },
        code: 'pod-without-address',
      },
      {
        name: 'when a source names another interface',
        facts: { links: [...sure.links, portB], cache: [sampleEntry('api', 'vethB')] },
        code: 'pod-mac-unknown',
      },
    ];
  test.each(lost)('is lost $name', ({ pods = [api], facts, code }) => {
    expect(again(pods, facts)).toEqual([`default/api: ${code}`]);
  });
});

describe('addresses that the network plugin gave twice', () => {
  const entries = [
    sampleEntry('api', 'vethA', { mac: MAC_A, addresses: [ip('10.244.1.10')] }),
    sampleEntry('twin', 'vethB', { mac: MAC_B, addresses: [ip('10.244.1.10')] }),
  ];
  const facts = { links: [cni0, portA, portB], cache: entries };

  test('belong to the pod that the API says owns them, and to no other', () => {
    const owner = samplePod('api', ['10.244.1.10']);
    const { bindings } = bindInterfaces([owner, samplePod('twin', [])], sampleFacts(facts));
    expect(bindings.map(({ pod, addresses }) => [pod, addresses])).toEqual([['default/api', ['10.244.1.10']]]);
  });

  test('close both pods while the API names no owner', () => {
    expect(codes([samplePod('api', []), samplePod('twin', [])], facts)).toEqual([
      'default/api: pod-address-shared',
      'default/twin: pod-address-shared',
    ]);
  });
});

test('a route through a pod does not make its interface an uplink when its network plugin says whose it is', () => {
  const routes = [
    sampleRoute('10.244.1.10', 'vethA'),
    { ...sampleRoute('192.168.50.0/24', 'vethA'), hops: [{ interface: 'vethA', gateway: true }] },
  ];
  const links = [vethA];
  expect(codes([api], { links, routes, cache: [sampleEntry('api', 'vethA')] })).toEqual(['default/api -> vethA']);
  expect(codes([api], { links, routes })).toEqual(['default/api: pod-interface-uplink']);
});

describe('result cache', () => {
  test('an entry binds a pod before the API knows its address', () => {
    const starting = samplePod('api', []);
    const entry = sampleEntry('api', 'vethA', { addresses: [ip('10.244.1.10')] });
    const { bindings } = bindInterfaces([starting], sampleFacts({ links: [vethA], cache: [entry] }));
    expect(bindings[0]?.addresses).toEqual(['10.244.1.10']);
  });

  const ignored: { name: string; entry: Parameters<typeof sampleEntry>[2] }[] = [
    { name: 'of a veth that is gone', entry: { hostInterfaces: ['vethGone'] } },
    { name: 'of another pod with the same name', entry: { uid: 'uid-older' } },
    { name: 'whose namespace is gone', entry: { sandbox: { kind: 'missing' } } },
    { name: 'whose namespace has another veth', entry: { sandbox: { kind: 'inode', inode: '72' } } },
    { name: 'of a secondary network', entry: { podInterface: 'net1', addresses: [ip('192.168.7.7')] } },
  ];
  test.each(ignored)('an entry $name is ignored', ({ entry }) => {
    const facts = {
      links: [vethA, vethB],
      cache: [sampleEntry('api', 'vethA', entry)],
      namespaces: [sampleInside('72', 6, MAC_B, ['10.244.1.99'])],
    };
    expect(codes([api], facts)).toEqual(['default/api: pod-interface-missing']);
  });

  test.each([
    {
      name: 'a static pod, whose runtime knows another UID',
      uid: 'uid-api',
      entry: '0123456789abcdef0123456789abcdef',
    },
    { name: 'a pod from a file without UID', uid: 'Pod/default/api', entry: 'uid-api' },
  ])('$name is recognised by its address', ({ uid, entry }) => {
    const facts = { links: [vethA], cache: [sampleEntry('api', 'vethA', { uid: entry, addresses: api.addresses })] };
    expect(codes([{ ...api, uid }], facts)).toEqual(['default/api -> vethA']);
    expect(codes([{ ...api, uid, addresses: [] }], facts)).toEqual(['default/api: pod-without-address']);
  });

  test('an entry without UID counts only with an address of the pod', () => {
    const { uid: _, ...anonymous } = sampleEntry('api', 'vethA', { addresses: api.addresses });
    expect(codes([api], { links: [vethA], cache: [anonymous] })).toEqual(['default/api -> vethA']);
    expect(codes([samplePod('api', [])], { links: [vethA], cache: [anonymous] })).toEqual([
      'default/api: pod-without-address',
    ]);
  });
});

describe('what a pod can fake', () => {
  test('an address added inside another pod does not outvote the result cache', () => {
    const facts = {
      links: [cni0, portA, portB],
      cache: [sampleEntry('api', 'vethA', { mac: MAC_A })],
      namespaces: [sampleInside('71', 5, MAC_A, ['10.244.1.10']), sampleInside('72', 6, MAC_B, ['10.244.1.10'])],
    };
    expect(codes([api], facts)).toEqual(['default/api -> vethA']);
  });

  test('forwarding entries are not heard when a better source speaks', () => {
    const facts = {
      links: [cni0, portA, portB],
      cache: [sampleEntry('api', 'vethA', { mac: MAC_A })],
      neighbours: [{ address: ip('10.244.1.10'), interface: 'cni0', mac: MAC_B }],
      forwarding: [{ mac: MAC_B, port: 'vethB', bridge: 'cni0' }],
    };
    expect(codes([api], facts)).toEqual(['default/api -> vethA']);
  });

  test('a MAC address that answers for a second address is no evidence', () => {
    const facts = {
      links: [cni0, portB],
      neighbours: [
        { address: ip('10.244.1.10'), interface: 'cni0', mac: MAC_B },
        { address: ip('10.244.1.11'), interface: 'cni0', mac: MAC_B },
      ],
      forwarding: [{ mac: MAC_B, port: 'vethB', bridge: 'cni0' }],
    };
    expect(codes([api], facts)).toEqual(['default/api: pod-interface-missing']);
  });

  test('a namespace of another node with the same indexes is told apart by its name', () => {
    const namespaceIds = new Map([[5, 'node1-api']]);
    const stranger = sampleInside('99', 5, MAC_B, ['10.244.1.10'], { names: ['node2-api'] });
    expect(codes([api], { links: [cni0, portA], namespaceIds, namespaces: [stranger] })).toEqual([
      'default/api: pod-interface-missing',
    ]);
  });
});

describe('an address that another pod may have got', () => {
  const routed = { links: [vethA], routes: [sampleRoute('10.244.1.10', 'vethA')] };
  const ending = samplePod('api', ['10.244.1.10'], { terminating: true });

  test('does not lead to an interface that the network plugin gave to another pod', () => {
    const cache = [sampleEntry('heir', 'vethA', { uid: 'uid-heir' })];
    expect(codes([api], { ...routed, cache })).toEqual(['default/api: pod-interface-contradiction']);
  });

  test('does not lead to the interface of a pod of the same name and another UID', () => {
    const cache = [sampleEntry('api', 'vethA', { uid: 'uid-heir' })];
    expect(codes([api], { ...routed, cache })).toEqual(['default/api: pod-interface-contradiction']);
  });

  test('gives a pod that ends no interface', () => {
    expect(codes([ending], routed)).toEqual(['default/api: pod-interface-unconfirmed']);
  });

  test('leaves a pod that ends the interface it had, as long as that is the same link', () => {
    const last = { bindings: bindInterfaces([api], sampleFacts(routed)).bindings, links: [vethA] };
    expect(bindInterfaces([ending], sampleFacts(routed), last).bindings).toHaveLength(1);
    const next = { ...routed, links: [{ ...vethA, index: 7 }] };
    expect(bindInterfaces([ending], sampleFacts(next), last).bindings).toEqual([]);
  });

  test('leaves a pod that ends the interface that the network plugin gave it', () => {
    const cache = [sampleEntry('api', 'vethA')];
    expect(codes([ending], { ...routed, cache })).toEqual(['default/api -> vethA']);
  });
});
