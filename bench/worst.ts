/**
 * Clusters made to hurt: each case at half its size and at its full size, in milliseconds of CPU, best of three. What
 * takes much more than twice as long for twice the size does not scale; what is one step stops everything else meanwhile.
 */
import { defaultOptions } from '../src/compiler/options.ts';
import { NodeCompiler } from '../src/controller/node-compiler.ts';
import type { PodBinding } from '../src/model/binding.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import type { Endpoint } from '../src/model/endpoint.ts';
import { nodeName } from '../src/model/names.ts';
import type { ModelObject } from '../src/model/snapshot.ts';

type Steps = Record<string, () => void>;
/** A case of a size: builds its state, and answers steps to be timed one after the other. */
type Case = (share: number) => Steps;

const source = { kind: 'cluster', resourceVersion: '1' } as const;

function decoded(raw: object): ModelObject {
  const { object } = decodeObject(raw, source);
  if (object === undefined) throw new Error(JSON.stringify(raw));
  return object;
}

function namespace(name: string, labels: Record<string, string> = {}): ModelObject {
  const all = { 'kubernetes.io/metadata.name': name, ...labels };
  return decoded({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: all } });
}

function pod(
  index: number,
  home: string,
  labels: Record<string, string>,
  local = false,
  uid = `pod-${index}`,
): Endpoint {
  const ip = `10.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const status = { phase: 'Running', podIPs: [{ ip }] };
  const metadata = { name: `pod-${index}`, namespace: home, uid, labels };
  const spec = { nodeName: local ? 'here' : 'there', containers: [] };
  return decoded({ apiVersion: 'v1', kind: 'Pod', metadata, spec, status }) as Endpoint;
}

function policy(index: number, home: string, podSelector: object, ingress: readonly object[]): ModelObject {
  const metadata = { name: `policy-${index}`, namespace: home, uid: `policy-${index}` };
  const spec = { podSelector, policyTypes: ['Ingress'], ingress };
  return decoded({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec });
}

const labels = (matchLabels: Record<string, string>): object => ({ matchLabels });
const range = <T>(length: number, make: (index: number) => T): T[] => Array.from({ length }, (_, index) => make(index));

function bindingOf(local: Endpoint): PodBinding {
  const { key, uid, addresses } = local;
  return { pod: key, uid, interface: `veth-${local.name}`, addresses, attachment: { kind: 'routed' } };
}

class Node {
  readonly compiler: NodeCompiler = new NodeCompiler({ node: nodeName('here'), enforcement: defaultOptions });

  add(objects: readonly ModelObject[]): void {
    for (const object of objects) this.compiler.changed({ kind: object.kind, after: object });
  }

  replace(before: ModelObject, after: ModelObject): void {
    this.compiler.changed({ kind: after.kind, before, after });
    this.compiler.ruleset();
  }

  start(locals: readonly Endpoint[]): void {
    this.compiler.localPods();
    this.compiler.setHost(locals.map(bindingOf), { routed: ['veth*'], bridges: [] });
    this.compiler.ruleset();
  }
}

const cases: Record<string, Case> = {
  '75,000 policies in 25,000 namespaces, 150,000 pods': (share) => {
    const node = new Node();
    const count = 25_000 * share;
    const homes = range(count, (i) => namespace(`ns-${i}`, { team: `team-${i % 500}` }));
    const locals = range(110, (i) => pod(i, `ns-${i}`, { app: `app-${i % 6}` }, true));
    node.add([
      ...homes,
      ...locals,
      ...range(count * 6 - 110, (i) => pod(i + 110, `ns-${(i + 110) % count}`, { app: `app-${i % 6}` })),
      ...range(count * 3, (i) =>
        policy(i, `ns-${i % count}`, {}, [
          {
            from: [
              { namespaceSelector: labels({ team: `team-${i % 500}` }), podSelector: labels({ app: `app-${i % 6}` }) },
            ],
          },
          { from: [{ podSelector: labels({ app: `app-${i % 5}` }) }] },
        ]),
      ),
    ]);
    return {
      'first ruleset': () => node.start(locals),
      'a namespace relabelled': () => node.replace(homes[200] as ModelObject, namespace('ns-200', { team: 'team-3' })),
    };
  },
  'one policy with 5,000 rules, its namespace of 1,500 and 75,000 pods': (share) => {
    const node = new Node();
    const count = 5000 * share;
    const locals = range(20, (i) => pod(i, 'ns-0', { app: `app-${i}` }, true));
    const large = policy(
      0,
      'ns-0',
      {},
      range(count, (i) => ({
        from: [
          {
            namespaceSelector: labels({ env: 'prod' }),
            podSelector: labels({ app: `app-${i % 50}`, [`k${i % 100}`]: 'x' }),
          },
        ],
        ports: [{ port: 1 + i }],
      })),
    );
    node.add([
      ...range(1500, (i) => namespace(`ns-${i}`, { env: i % 3 === 0 ? 'prod' : 'dev' })),
      ...locals,
      ...range(75_000, (i) => pod(i + 20, `ns-${i % 1500}`, { app: `app-${i % 50}`, [`k${i % 100}`]: 'x' })),
    ]);
    node.start(locals);
    node.add([large]);
    return {
      'the policy comes': () => node.compiler.ruleset(),
      'the policy goes': () => {
        node.compiler.changed({ kind: 'NetworkPolicy', before: large });
        node.compiler.ruleset();
      },
    };
  },
  'a namespace that 10,000 policies of local pods match, with 500 pods': (share) => {
    const node = new Node();
    const count = 10_000 * share;
    const locals = range(100, (i) => pod(i, `ns-${i}`, { app: 'local' }, true));
    const matched = namespace('peers', { team: 'red' });
    node.add([
      ...range(100, (i) => namespace(`ns-${i}`)),
      ...locals,
      namespace('peers', { team: 'blue' }),
      ...range(500, (i) => pod(i + 100, 'peers', { app: `app-${i % 5}`, tier: `t-${i % 2}` })),
      ...range(count, (i) =>
        policy(i, `ns-${i % 100}`, {}, [
          {
            from: [
              {
                namespaceSelector: labels({ team: 'red' }),
                podSelector: { matchExpressions: [{ key: `other-${i}`, operator: 'DoesNotExist' }] },
              },
            ],
            ports: [{ port: 80 }],
          },
        ]),
      ),
    ]);
    node.start(locals);
    return {
      'it is relabelled to match': () => node.replace(namespace('peers', { team: 'blue' }), matched),
      'and back': () => node.replace(matched, namespace('peers', { team: 'blue' })),
    };
  },
  '250 local pods, each selected by 100 policies': (share) => {
    const node = new Node();
    const locals = range(250 * share, (i) => pod(i, 'ns-0', { app: `app-${i}` }, true));
    node.add([
      namespace('ns-0'),
      ...locals,
      ...range(5000, (i) => pod(i + 250, 'ns-0', { app: `far-${i % 200}` })),
      ...range(100, (i) =>
        policy(i, 'ns-0', {}, [
          { from: [{ podSelector: labels({ app: `far-${i}` }) }], ports: [{ port: 1000 + (i % 20) }] },
        ]),
      ),
    ]);
    const next = range(250 * share, (i) => pod(i, 'ns-0', { app: `app-${i}` }, true, `new-${i}`));
    return {
      'first ruleset': () => node.start(locals),
      'all replaced at once': () => {
        for (const [i, after] of next.entries()) {
          const before = locals[i];
          if (before !== undefined) node.compiler.changed({ kind: 'Pod', before });
          node.compiler.changed({ kind: 'Pod', after });
        }
        node.start(next);
      },
      'one policy changes': () => {
        const ports = [{ port: 99 }];
        node.replace(policy(0, 'ns-0', {}, []), policy(0, 'ns-0', {}, [{ from: [{ podSelector: {} }], ports }]));
      },
    };
  },
};

function cpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function best(build: Case, share: number): Map<string, number> {
  const times = new Map<string, number>();
  for (let round = 0; round < 3; round += 1) {
    const steps = build(share);
    globalThis.gc?.();
    for (const [name, step] of Object.entries(steps)) {
      const begin = cpu();
      step();
      times.set(name, Math.min(times.get(name) ?? Number.POSITIVE_INFINITY, cpu() - begin));
    }
  }
  return times;
}

for (const [title, build] of Object.entries(cases)) {
  process.stdout.write(`${title}\n`);
  const [half, full] = [best(build, 0.5), best(build, 1)];
  for (const [name, time] of full) {
    const other = half.get(name) ?? 0;
    process.stdout.write(
      `  ${name.padEnd(28)} half ${other.toFixed(0).padStart(5)} ms, full ${time.toFixed(0).padStart(5)} ms, ${(time / Math.max(1, other)).toFixed(1)} x\n`,
    );
  }
}
