import { createDirectory, sharedFamilies, toEnd } from '../../../src/explain/ends.ts';
import type { Directory } from '../../../src/explain/ends.ts';
import { compileNode } from '../../../src/compiler/compile.ts';
import { createJudge } from '../../../src/compiler/judge.ts';
import { simulateFlow } from '../../../src/compiler/packet-path.ts';
import type { NodeRules } from '../../../src/compiler/packet-path.ts';
import { decodeObject } from '../../../src/model/decode/object.ts';
import type { NodeShape, PodBinding } from '../../../src/model/binding.ts';
import { isPoliced } from '../../../src/model/endpoint.ts';
import type { Flow } from '../../../src/model/flow.ts';
import { toCidr } from '../../../src/model/cidr.ts';
import type { NodeName } from '../../../src/model/names.ts';
import type { ClusterSnapshot, ModelObject } from '../../../src/model/snapshot.ts';
import { snapshotOf } from '../../../src/source/store.ts';
import type { Answer, Judge, Question, RawObject } from '../../oracle/question.ts';

/** Decodes raw objects as a cluster would deliver them. */
export function decodeWorld(objects: readonly RawObject[]): ClusterSnapshot {
  const decoded: ModelObject[] = [];
  for (const raw of objects) {
    const { object } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
    if (object !== undefined) decoded.push(object);
  }
  return snapshotOf(decoded);
}

/** The question as a flow, or an error: ends must exist and share the family. */
export function toFlow(directory: Directory, question: Question): Flow {
  const from = directory.find(question.from);
  const to = directory.find(question.to);
  if (typeof from === 'string' || typeof to === 'string') throw new Error(`no such flow: ${JSON.stringify(question)}`);
  const family = question.family ?? sharedFamilies(from, to)[0];
  const ends = family === undefined ? [] : [toEnd(from, family), toEnd(to, family)];
  if (family === undefined || ends[0] === undefined || ends[1] === undefined) {
    throw new Error(`no common family: ${JSON.stringify(question)}`);
  }
  const port = question.port === undefined ? {} : { port: question.port };
  return { from: ends[0], to: ends[1], family, protocol: question.protocol, ...port };
}

/** The evaluator as a judge. */
export const evaluateJudge: Judge = (objects, questions) => {
  const snapshot = decodeWorld(objects);
  const directory = createDirectory(snapshot);
  const judge = createJudge(snapshot);
  return questions.map((question): Answer => {
    const { verdict, egress, ingress } = judge.judge(toFlow(directory, question));
    return { verdict, egress: egress.verdict, ingress: ingress.verdict };
  });
};

/** The compiled ruleset of every node, run packet by packet, as a judge. */
export function simulateJudge(attachment: 'routed' | 'bridged'): Judge {
  return (objects, questions) => {
    const snapshot = decodeWorld(objects);
    const directory = createDirectory(snapshot);
    const nodes = compileNodes(snapshot, attachment);
    return questions.map((question): Answer => {
      const { egress, ingress } = simulateFlow(toFlow(directory, question), nodes);
      return { verdict: egress === 'allow' && ingress === 'allow' ? 'allow' : 'deny', egress, ingress };
    });
  };
}

/** Rulesets of all nodes, with every pod of the pod network bound to an interface of its own. */
export function compileNodes(
  snapshot: ClusterSnapshot,
  attachment: 'routed' | 'bridged',
): ReadonlyMap<NodeName, NodeRules> {
  const shape: NodeShape =
    attachment === 'routed'
      ? { routed: ['veth*'], bridges: [] }
      : {
          routed: [],
          bridges: [
            { name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [toCidr('IPv4', 0x0a000000n, 8)] },
          ],
        };
  const directory = createDirectory(snapshot);
  const nodes = new Map<NodeName, PodBinding[]>();
  for (const pod of snapshot.pods.values()) {
    if (!isPoliced(pod) || pod.node === undefined) continue;
    const bindings = nodes.get(pod.node) ?? [];
    nodes.set(pod.node, bindings);
    const party = directory.podParty(pod);
    const index = bindings.length;
    bindings.push({
      pod: pod.key,
      uid: pod.uid,
      interface: `veth${index.toString(16).padStart(8, '0')}`,
      mac: `02:00:00:00:00:${index.toString(16).padStart(2, '0')}`,
      addresses: party.addresses,
      attachment: attachment === 'routed' ? { kind: 'routed' } : { kind: 'bridged', bridge: 'cni0' },
    });
  }
  return new Map(
    [...nodes].map(([name, bindings]) => [
      name,
      {
        ruleset: compileNode({ snapshot, bindings, shape }),
        bindings: new Map(bindings.map((binding) => [binding.pod, binding])),
      },
    ]),
  );
}
