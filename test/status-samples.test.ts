import { describe, expect, test } from 'vitest';

import { codeNames } from '../src/cli/code-names.ts';
import { checkNodeName } from '../src/controller/node-name.ts';
import type { ObjectProblem, StatusReport } from '../src/controller/status-report.ts';
import { bindInterfaces } from '../src/host/interfaces.ts';
import type { Link } from '../src/host/links.ts';
import { checkNode } from '../src/host/network-plugin.ts';
import type { Refusal } from '../src/host/network-plugin.ts';
import type { HostFacts } from '../src/host/facts.ts';
import {
  sampleEntry,
  sampleFacts,
  sampleInside,
  samplePod,
  sampleRoute,
  sampleVeth,
} from '../src/host/sample-facts.ts';
import { computedInterfaceName } from '../src/host/evidence.ts';
import { parseCidr } from '../src/model/cidr.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import { placeText } from '../src/model/diagnostic.ts';
import type { Diagnostic } from '../src/model/diagnostic.ts';
import { nodeName } from '../src/model/names.ts';
import type { Endpoint } from '../src/model/endpoint.ts';
import { ok } from '../src/model/result.ts';
import { renderStatus } from '../src/report/status-text.ts';
import { fine } from '../src/report/testing/status-reports.ts';
import { Counters } from '../src/source/kubernetes/counters.ts';
import { missingPermission } from '../src/source/kubernetes/describe-end.ts';
import { Intake } from '../src/source/kubernetes/intake.ts';
import { DirectoryState } from '../src/source/directory-state.ts';
import { resourceOf } from '../src/source/kubernetes/resource.ts';
import { CheckedSink } from './api-server/checked-sink.ts';
import { denyAllObject } from './api-server/objects-for-tests.ts';
import { docBlocks, docCommands, isAsShown, rewrite } from './support/doc-samples.ts';

// What `policy status` says of a node, a pod or an object with a problem, from the facts that bring it about.

const link = (name: string, changes: Partial<Link> = {}): Link => ({
  index: 7,
  name,
  loopback: false,
  addresses: [],
  ...changes,
});
const plugin = (...plugins: string[]): HostFacts['config'] & object => ({
  file: '/etc/cni/net.d/10-net.conflist',
  network: 'n',
  plugins,
  podCidrs: [],
});
const bridgePlugin = { ...plugin('bridge'), bridge: 'cni0' };
const cni0 = link('cni0', { index: 9, kind: 'bridge' });
const veth1 = sampleVeth('veth1', 5);
const veth2 = sampleVeth('veth2', 6);
const port1 = { ...veth1, master: 'cni0' };

/** Why a node cannot be policed, or only in part. */
const nodes: Readonly<Record<string, Partial<HostFacts>>> = {
  'kube-proxy-ipvs': { links: [link('kube-ipvs0', { kind: 'dummy' })] },
  'network-plugin-ebpf': { links: [link('cilium_host', { kind: 'veth' })] },
  'network-plugin-ovs': { links: [link('ovs-system', { kind: 'openvswitch' })] },
  'network-plugin-weave': { links: [link('weave', { kind: 'bridge' })] },
  'network-plugin-without-veth': { config: plugin('macvlan') },
  'bridge-netfilter-off': { config: bridgePlugin, settings: { bridgeNetfilter4: false, bridgeNetfilter6: true } },
  'bridge-ports-ambiguous': {
    links: [cni0, port1, link('docker0', { kind: 'bridge' }), { ...sampleVeth('vethdocker1', 8), master: 'docker0' }],
  },
  'bridge-uplink': { links: [cni0, link('eth1', { master: 'cni0' })] },
  'routed-pattern-covers-uplink': {
    links: [sampleVeth('veth0', 8), veth1],
    routes: [sampleRoute('default', 'veth0')],
    config: plugin('ptp'),
  },
  'forwarding-off': { config: plugin('ptp'), settings: { forwarding4: false, forwarding6: false } },
  'neighbour-targets-unchecked': {
    config: { ...bridgePlugin, podCidrs: ['fd00::/64'].flatMap((text) => parseCidr(text)?.cidr ?? []) },
    neighbourTargetMatch: false,
  },
};

/** What is odd about the node as the objects have it. */
const names: Readonly<Record<string, () => readonly Refusal[]>> = {
  'node-unknown': () => checkNodeName(nodeName('node-1.example.org'), { isListed: false, ownPods: 0, allPods: 40 }),
};

const web = samplePod('web', ['10.244.1.77']);
const db = samplePod('db', ['10.244.1.78']);
const mac = '02:00:00:00:00:0a';

/** Why a pod stays closed; the first pod is the one a page shows. */
const closed: Readonly<Record<string, { readonly pods?: readonly Endpoint[]; readonly facts: Partial<HostFacts> }>> = {
  'pod-without-address': { pods: [samplePod('web', [])], facts: {} },
  'pod-interface-missing': { facts: { links: [veth1] } },
  'pod-interface-unsupported': {
    facts: { namespaces: [sampleInside('71', 5, mac, ['10.244.1.77'], { kind: 'macvlan' })] },
  },
  'pod-interface-unconfirmed': { facts: { links: [sampleVeth(computedInterfaceName('cali', 'default', 'web'), 5)] } },
  'pod-interface-contradiction': {
    facts: {
      links: [veth1, veth2],
      routes: [sampleRoute('10.244.1.77', 'veth2')],
      cache: [sampleEntry('web', 'veth1')],
    },
  },
  'pod-interface-shared': {
    pods: [web, db],
    facts: { links: [veth1], routes: [sampleRoute('10.244.1.77', 'veth1'), sampleRoute('10.244.1.78', 'veth1')] },
  },
  'pod-interface-uplink': {
    facts: { links: [veth1], routes: [sampleRoute('10.244.1.77', 'veth1'), sampleRoute('default', 'veth1')] },
  },
  'pod-address-shared': {
    pods: [web, samplePod('twin', ['10.244.1.77'])],
    facts: { links: [veth1, veth2], cache: [sampleEntry('web', 'veth1'), sampleEntry('twin', 'veth2')] },
  },
  'pod-mac-unknown': { facts: { links: [cni0, port1], cache: [sampleEntry('web', 'veth1')] } },
};

/** What is wrong with an object, or with all of a kind. */
const objects: Readonly<Record<string, () => readonly Diagnostic[]>> = {
  K001: () => {
    const reported: Diagnostic[] = [];
    class Reports extends CheckedSink {
      override report(_scope: string, diagnostics: readonly Diagnostic[]): void {
        reported.push(...diagnostics);
      }
    }
    const intake = new Intake({
      kind: 'NetworkPolicy',
      sink: new Reports(),
      counters: new Counters(),
      decode: (raw, source) => (version === '4711' ? { diagnostics: [] } : decodeObject(raw, source)),
    });
    let version = '4710';
    const see = (): void => {
      const raw = denyAllObject('web');
      const metadata = { ...(raw['metadata'] as object), uid: 'u', resourceVersion: version };
      intake.beginList();
      intake.upsert({ uid: 'u', version, namespace: 'shop', name: 'web', raw: { ...raw, metadata } });
      intake.endList();
    };
    see();
    version = '4711';
    see();
    return reported;
  },
  I006: () => {
    const directory = new DirectoryState();
    const path = 'objects/web.yaml';
    const see = (stamp: string, text: string): void =>
      directory.update({ identity: 'd', files: new Map([[path, ok(stamp)]]) }, new Map([[path, ok(text)]]));
    const policies = ['web', 'api', 'db'].map((name) => JSON.stringify(denyAllObject(name)));
    see('1', policies.join('\n'));
    see('2', 'kind: NetworkPolicy\nspec: [');
    return directory.desired().reports.get(path) ?? [];
  },
  K002: () => [
    missingPermission(
      resourceOf('NetworkPolicy'),
      'watch',
      'networkpolicies.networking.k8s.io is forbidden: User "system:serviceaccount:kube-system:nftpolicy" cannot watch resource "networkpolicies" in API group "networking.k8s.io" at the cluster scope',
    ),
  ],
};

function reportOf(code: string): StatusReport {
  const node = nodes[code];
  if (node !== undefined) return { ...fine, refusals: checkNode(sampleFacts(node)) };
  const refusals = names[code]?.();
  if (refusals !== undefined) return { ...fine, refusals };
  const pod = closed[code];
  if (pod !== undefined)
    return { ...fine, closedPods: bindInterfaces(pod.pods ?? [web], sampleFacts(pod.facts)).problems };
  const problems = (objects[code]?.() ?? []).map(
    ({ severity, message, help, object, span, ...rest }): ObjectProblem => ({
      code: rest.code,
      severity,
      ...(span === undefined ? {} : { place: placeText(span) }),
      message,
      ...(help === undefined ? {} : { help }),
      ...(object === undefined ? {} : { object }),
    }),
  );
  return { ...fine, objectProblems: problems, diagnostics: { errors: problems.length, warnings: 0 } };
}

/** Pages with other examples: `explain-codes.test.ts`, `codes.test.ts`, `decode-codes.test.ts`, `explain-live.test.ts`. */
const elsewhere = /^(?:[CDE]\d+|NP\d+|I00[1-578])$/;
const pages = [...codeNames.keys()].filter((code) => !elsewhere.test(code));

describe('the page of a code that policy status prints', () => {
  test('has facts here that bring it about', () => {
    const known = [nodes, names, closed, objects].flatMap((group) => Object.keys(group));
    expect(known.sort()).toEqual(pages.toSorted());
  });

  test.each(pages)('%s shows what it prints', (code) => {
    const printed = renderStatus(reportOf(code), Date.parse('2026-11-21T10:00:00Z'));
    const section = printed.slice(printed.lastIndexOf('\n\n') + 2).trimEnd();
    const [heading = '', ...rows] = section.split('\n');
    expect(rows.some((row) => row.includes(`  ${code}  `))).toBe(true);
    const page = `docs/codes/${code}.md`;
    const findBlock = () => docBlocks(page).find(({ language }) => language === 'console');
    const block = findBlock();
    const lines = ['$ policy status', '...', heading, ...rows];
    if (process.env['UPDATE_GOLDENS'] !== undefined && block !== undefined) rewrite(block, lines);
    const [command] = docCommands(findBlock()!);
    expect(command?.args).toEqual(['status']);
    expect(command?.output).toEqual(lines.slice(1));
    expect(isAsShown([...(command?.output ?? []), '...'], printed)).toBe(true);
  });
});
