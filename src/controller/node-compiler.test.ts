import { describe, expect, test } from 'vitest';

import { elementChanges } from '../compiler/element-set.ts';
import { compileNode } from '../compiler/compile.ts';
import { defaultOptions } from '../compiler/options.ts';
import type { DesiredTable } from '../compiler/ruleset.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import { decodeObject } from '../model/decode/object.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { nodeName } from '../model/names.ts';
import type { PodKey } from '../model/names.ts';
import { Store } from '../source/store.ts';
import { NodeCompiler } from './node-compiler.ts';

const shape: NodeShape = { routed: ['veth*'], bridges: [] };

/** A cluster with a compiler for node n1 that hears of everything. */
class Cluster {
  readonly store: Store = new Store();
  readonly compiler: NodeCompiler = new NodeCompiler({ node: nodeName('n1'), enforcement: defaultOptions });

  constructor() {
    this.store.listen({ changed: (change) => this.compiler.changed(change) });
  }

  apply(kind: string, name: string, rest: object): void {
    const [namespace, own] = name.includes('/') ? name.split('/') : [undefined, name];
    const { labels, annotations, ...body } = rest as { labels?: unknown; annotations?: unknown };
    const apiVersion = kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : 'v1';
    const raw = { apiVersion, kind, metadata: { name: own, namespace, labels, annotations }, ...body };
    const { object, diagnostics } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
    expect(diagnostics).toEqual([]);
    this.store.upsert(object!);
  }

  pod(name: string, app: string, address: string, ports: readonly object[] = []): void {
    const spec = { nodeName: name.startsWith('x/') ? 'n1' : 'n2', containers: [{ name: 'c', ports }] };
    this.apply('Pod', name, { labels: { app }, spec, status: { phase: 'Running', podIPs: [{ ip: address }] } });
  }

  /** A policy that selects `app: web` of namespace x. */
  policy(name: string, spec: object): void {
    this.apply('NetworkPolicy', name, { spec: { podSelector: { matchLabels: { app: 'web' } }, ...spec } });
  }

  bind(...names: readonly string[]): void {
    const bindings = names.map((name): PodBinding => {
      const pod: Endpoint = this.store.snapshot().pods.get(name as PodKey)!;
      const { key, uid, addresses } = pod;
      return { pod: key, uid, interface: `veth-${pod.name}`, addresses, attachment: { kind: 'routed' } };
    });
    this.compiler.setHost(bindings, shape);
  }

  inet(): DesiredTable {
    return this.compiler.ruleset().get('inet')!;
  }

  /** Name and elements of the only set of this kind. */
  set(kind: 'peers' | 'named'): { readonly name: string; readonly elements: ReadonlySet<string> } {
    const found = [...this.inet().sets.values()].filter(({ name }) => name.startsWith(`${kind}-`));
    expect(found).toHaveLength(1);
    return found[0]!;
  }
}

function shop(): Cluster {
  const cluster = new Cluster();
  for (const name of ['x', 'y']) cluster.apply('Namespace', name, { labels: { team: name } });
  cluster.pod('x/web', 'web', '10.0.0.1', [{ name: 'http', containerPort: 8080 }]);
  cluster.pod('x/db', 'db', '10.0.0.2');
  cluster.pod('y/client', 'client', '10.0.1.1');
  cluster.bind('x/web', 'x/db');
  return cluster;
}

const fromClients = {
  ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'client' } } }] }],
};

describe('NodeCompiler', () => {
  test('a namespace in audit mode takes its policies with it, and gives them back', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const web = (): unknown => [...(cluster.inet().chains.get('pod-veth-web-ingress')?.rules ?? [])].at(-1)?.statements;
    expect(web()).toEqual([{ goto: { target: 'deny' } }]);
    cluster.apply('Namespace', 'x', { labels: { team: 'x' }, annotations: { 'nftpolicy.dev/mode': 'audit' } });
    expect(web()).toEqual([{ goto: { target: 'audit' } }]);
    expect(cluster.inet().sets.has('audited-4')).toBe(true);
    cluster.apply('Namespace', 'x', { labels: { team: 'x' } });
    expect(web()).toEqual([{ goto: { target: 'deny' } }]);
    expect(cluster.inet().sets.has('audited-4')).toBe(false);
  });

  test('a change nobody asks for leaves the ruleset as it is', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const before = cluster.compiler.ruleset();
    cluster.pod('y/other', 'other', '10.0.1.9');
    cluster.policy('y/p', { egress: [] });
    cluster.apply('Node', 'n2', {});
    expect(cluster.compiler.ruleset()).toBe(before);
  });

  test('a peer that comes changes its set alone, and the set knows how', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const before = cluster.inet();
    const { elements } = cluster.set('peers');
    cluster.pod('y/second', 'client', '10.0.1.2');
    const after = cluster.inet();
    expect([after.chains === before.chains, after.maps === before.maps]).toEqual([true, true]);
    const changed = [...after.sets.values()].filter((set) => before.sets.get(set.name) !== set);
    expect(changed.map(({ name }) => name)).toEqual([cluster.set('peers').name]);
    expect(elementChanges(elements, cluster.set('peers').elements)).toEqual({
      added: new Set(['10.0.1.2']),
      removed: new Set(),
    });
    expect([...elements]).toEqual(['10.0.1.1']);
  });

  test('what happens and unhappens between two reads is no change', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const before = cluster.compiler.ruleset();
    cluster.pod('y/second', 'client', '10.0.1.2');
    cluster.store.remove('Pod', 'Pod/y/second');
    cluster.apply('Namespace', 'y', { labels: { team: 'z' } });
    cluster.apply('Namespace', 'y', { labels: { team: 'y' } });
    expect(cluster.compiler.ruleset()).toBe(before);
  });

  test('an address that goes from one member to another stays in the set', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const before = cluster.compiler.ruleset();
    cluster.store.remove('Pod', 'Pod/y/client');
    cluster.pod('y/second', 'client', '10.0.1.1');
    expect(cluster.compiler.ruleset()).toBe(before);
  });

  test('a peer that changes its labels and its address at once leaves one set and enters another', () => {
    const cluster = shop();
    const from = (app: string): object => ({
      from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app } } }],
      ports: [{ port: app === 'client' ? 80 : 81 }],
    });
    cluster.policy('x/p', { ingress: [from('client'), from('other')] });
    const elements = (): unknown =>
      [...cluster.inet().sets.values()]
        .filter(({ name }) => name.startsWith('peers-'))
        .map(({ name, elements }) => [name.split('-')[1], ...elements].join(' '))
        .sort();
    expect(elements()).toEqual(['client 10.0.1.1', 'other']);
    cluster.pod('y/client', 'other', '10.0.1.7');
    expect(elements()).toEqual(['client', 'other 10.0.1.7']);
  });

  test('a port a local pod renumbers is another port in its own chain', () => {
    const cluster = shop();
    cluster.policy('x/p', { ingress: [{ ports: [{ port: 'http' }] }] });
    const rules = (): string => JSON.stringify(cluster.inet().chains.get('pod-veth-web-ingress'));
    expect(rules()).toContain('8080');
    cluster.pod('x/web', 'web', '10.0.0.1', [{ name: 'http', containerPort: 9090 }]);
    expect(rules()).toContain('9090');
    expect(rules()).not.toContain('8080');
  });

  test('a port a peer renumbers is another element', () => {
    const cluster = shop();
    cluster.pod('y/client', 'client', '10.0.1.1', [{ name: 'api', containerPort: 80 }]);
    cluster.policy('x/p', {
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: 'api' }] }],
    });
    expect([...cluster.set('named').elements]).toEqual(['10.0.1.1 . tcp . 80']);
    cluster.pod('y/client', 'client', '10.0.1.1', [{ name: 'api', containerPort: 81 }]);
    expect([...cluster.set('named').elements]).toEqual(['10.0.1.1 . tcp . 81']);
  });

  test('a policy of the namespace that selects other pods leaves the chains of this one', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    const before = cluster.inet();
    cluster.policy('x/q', { podSelector: { matchLabels: { app: 'db' } } });
    const after = cluster.inet();
    expect([...after.chains.keys()].filter((name) => !before.chains.has(name))).toEqual(['pod-veth-db-ingress']);
    expect(after.chains.get('pod-veth-web-ingress')).toBe(before.chains.get('pod-veth-web-ingress'));
    expect(after.sets.get(cluster.set('peers').name)).toBe(before.sets.get(cluster.set('peers').name));
  });

  test('sets are there before a local pod has an interface, and live as long as one uses them', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    cluster.compiler.ruleset();
    expect(cluster.compiler.stats()).toMatchObject({ sets: 1, elements: 1, selectors: 1, keys: 1, endpoints: 2 });
    cluster.bind('x/db');
    expect([...cluster.inet().chains.keys()].filter((name) => name.startsWith('pod-'))).toEqual([]);
    expect(cluster.compiler.stats()).toMatchObject({ sets: 1, elements: 1, selectors: 1, keys: 1, endpoints: 1 });
    cluster.store.remove('Pod', cluster.store.snapshot().pods.get('x/web' as PodKey)!.uid);
    cluster.compiler.ruleset();
    expect(cluster.compiler.stats()).toMatchObject({ sets: 0, elements: 0, selectors: 0, keys: 0, endpoints: 1 });
  });

  test('counts local pods without an interface', () => {
    const cluster = shop();
    cluster.pod('x/third', 'web', '10.0.0.3');
    expect(cluster.compiler.stats()).toMatchObject({ unboundPods: 1 });
    expect(cluster.compiler.localPods().map(({ key }) => key)).toEqual(['x/web', 'x/db', 'x/third']);
  });

  test('a pod of the same name but another uid is not behind the binding', () => {
    const cluster = shop();
    cluster.policy('x/p', fromClients);
    cluster.compiler.ruleset();
    const pod = cluster.store.snapshot().pods.get('x/web' as PodKey)!;
    cluster.store.upsert({ ...pod, uid: 'new' });
    expect(cluster.inet().chains.has('pod-veth-web-ingress')).toBe(false);
    expect(cluster.inet().maps.get('pod-receivers-4')!.elements.has('veth-web . 10.0.0.1')).toBe(false);
  });

  test('without objects and bindings it is the ruleset of an empty node', () => {
    const cluster = new Cluster();
    cluster.compiler.setHost([], shape);
    const expected = compileNode({ snapshot: cluster.store.snapshot(), bindings: [], shape });
    expect(cluster.compiler.ruleset()).toEqual(expected);
  });
});
