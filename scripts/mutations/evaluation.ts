import type { Mutation } from './mutation.ts';

const evaluate = 'src/compiler/evaluate.ts';
const resolve = 'src/compiler/resolve.ts';
const match = 'src/selector/match.ts';
const owners = 'src/selector/address-owners.ts';

/** Mistakes in what a policy means: selection, resolution, evaluation. */
export const evaluationMutations: readonly Mutation[] = [
  {
    name: 'NotIn needs the key',
    file: match,
    from: 'return value === undefined || !requirement.values.includes(value);',
    to: 'return value !== undefined && !requirement.values.includes(value);',
    why: 'symmetry with In; some test tools read it so',
  },
  {
    name: 'an absent label equals an empty one',
    file: match,
    from: 'return value !== undefined && requirement.values.includes(value);',
    to: "return requirement.values.includes(value ?? '');",
    why: 'a map that answers "" for a missing key',
  },
  {
    name: 'any requirement of a selector is enough',
    file: match,
    from: 'return selector.requirements.every(',
    to: 'return selector.requirements.some(',
    why: 'OR in place of AND; the empty selector then matches nothing',
  },
  {
    name: 'an unseen namespace matches any selector',
    file: match,
    from: "if (requirement.key !== namespaceNameLabel) return 'unknown';",
    to: "if (requirement.key !== namespaceNameLabel) return 'yes';",
    why: 'a default where a fact is missing',
  },
  {
    name: 'finished pods keep their address',
    file: owners,
    from: 'if (!isPoliced(pod)) continue;',
    to: 'if (pod.hostNetwork) continue;',
    why: 'hit nearly every engine once',
  },
  {
    name: 'the oldest pod owns a contested address',
    file: owners,
    from: 'compareClaims(owner, pod) < 0',
    to: 'compareClaims(owner, pod) > 0',
    why: 'a comparison the wrong way round',
  },
  {
    name: 'a pod of the same name is the pod itself',
    file: evaluate,
    from: 'other.pod.key === subject.pod.key',
    to: 'other.pod.name === subject.pod.name',
    why: 'the name in place of the key',
  },
  {
    name: 'every node is the own node',
    file: evaluate,
    from: "return other.name !== undefined && other.name === subject.pod.node ? 'yes' : 'no';",
    to: "return other.name === undefined ? 'no' : 'yes';",
    why: 'an exemption for "the nodes"',
  },
  {
    name: 'the last port of a range is outside',
    file: evaluate,
    from: 'port.from <= flow.port && flow.port <= port.to',
    to: 'port.from <= flow.port && (flow.port < port.to || port.from === port.to)',
    why: 'half-open ranges',
  },
  {
    name: 'a port entry admits its number of any protocol',
    file: evaluate,
    from: "if (port.kind === 'invalid' || port.protocol !== flow.protocol || flow.port === undefined)",
    to: "if (port.kind === 'invalid' || flow.port === undefined)",
    why: 'a forgotten condition',
  },
  {
    name: 'only the first exception of a block counts',
    file: evaluate,
    from: '...block.except.map(',
    to: '...block.except.slice(0, 1).map(',
    why: 'an exception taken for a single value',
  },
  {
    name: 'selectors of one peer are alternatives',
    file: evaluate,
    from: 'return { peer, answer: every(conditions.map(({ answer }) => answer)), conditions };',
    to: 'return { peer, answer: some(conditions.map(({ answer }) => answer)), conditions };',
    why: 'the most frequent misreading of the API: one entry, two selectors',
  },
  {
    name: 'a rule admits by its peers or by its ports',
    file: evaluate,
    from: 'return { rule, answer: every([peerAnswer, portAnswer]), peers, ports };',
    to: 'return { rule, answer: some([peerAnswer, portAnswer]), peers, ports };',
    why: 'OR in place of AND',
  },
  {
    name: 'a port name ignores its protocol',
    file: evaluate,
    from: '.filter((port) => port.name === name && port.protocol === protocol)',
    to: '.filter((port) => port.name === name)',
    why: 'names look unique; shared by evaluator and compiler, so only an outsider can tell',
  },
  {
    name: 'blocks never match pods',
    file: evaluate,
    from: 'return blockConditions(peer.block, other);',
    to: "return other.kind === 'pod' ? [{ kind: 'cidr', answer: 'no' }] : blockConditions(peer.block, other);",
    why: 'what some engines do on purpose',
  },
  {
    name: 'a podSelector reaches every namespace',
    file: evaluate,
    from: "answer: scope.name === pod.namespace ? 'yes' : 'no'",
    to: "answer: 'yes'",
    why: 'the namespace forgotten',
  },
  {
    name: 'a missing fact means no',
    file: evaluate,
    from: "if (admitted === 'unknown' || section.isolated === 'unknown')",
    to: "if (section.isolated === 'unknown')",
    why: 'two-valued thinking: explain would claim a denial it cannot know',
  },
  {
    name: 'policies of every namespace apply',
    file: resolve,
    from: 'if (policy.namespace !== subject.namespace) continue;',
    to: '',
    why: 'a caller that usually passes one namespace',
  },
  {
    name: 'policyTypes are not read',
    file: resolve,
    from: 'if (!policy[direction].isolates) continue;',
    to: 'if (!policy[direction].isolates && policy[direction].rules.length === 0) continue;',
    why: 'a section that is written seems to count',
  },
  {
    name: 'an empty namespaceSelector means the own namespace',
    file: resolve,
    from: 'peer.namespaceSelector === undefined',
    to: 'peer.namespaceSelector === undefined || peer.namespaceSelector.requirements.length === 0',
    why: 'empty and missing confused',
  },
  {
    name: 'finished pods are still isolated',
    file: resolve,
    from: 'if (isPoliced(subject)) {',
    to: 'if (!subject.hostNetwork) {',
    why: 'half of a condition',
  },
  {
    name: 'audited policies are enforced',
    file: resolve,
    from: "(policy.mode === 'audit' ? audits : policies).push(",
    to: 'policies.push(',
    why: 'a mode nobody asked for again',
  },
];
