import type { Mutation } from './mutation.ts';

const merge = 'src/compiler/merge.ts';
const portSet = 'src/compiler/port-set.ts';
const lower = 'src/compiler/lower.ts';
const intervals = 'src/compiler/block-intervals.ts';
const setSpec = 'src/compiler/set-spec.ts';

/** Mistakes on the way from what a policy means to rules and sets. */
export const loweringMutations: readonly Mutation[] = [
  {
    name: 'blocks with different exceptions are one block',
    file: merge,
    from: "return [block.cidr.text, ...except].join(' ! ');",
    to: 'return block.cidr.text;',
    why: 'a key made of the obvious field; closes or opens addresses of another rule',
  },
  {
    name: 'rules with equal peers keep the first ports',
    file: merge,
    from: 'known.ports = unitePortSets(known.ports, union.ports);',
    to: '',
    why: 'a union half done',
  },
  {
    name: 'invalid rules are merged too',
    file: merge,
    from: 'if (rule.invalid) continue;',
    to: "if (rule.invalid) rule = { ...rule, peers: 'any', ports: 'any' };",
    why: 'an invalid list taken for a missing one',
  },
  {
    name: 'ports two apart are joined',
    file: portSet,
    from: 'from <= previous.to + 1',
    to: 'from <= previous.to + 2',
    why: 'off by one',
  },
  {
    name: 'a nested range ends the outer one',
    file: portSet,
    from: 'previous.to = Math.max(previous.to, to);',
    to: 'previous.to = to;',
    why: 'sorted by start, so the end seems to grow',
  },
  {
    name: 'a port number swallows the port names beside it',
    file: portSet,
    from: 'numbers.some((ports) => ports.protocol === protocol && ports.intervals.some(isWholeProtocol))',
    to: 'numbers.some((ports) => ports.protocol === protocol)',
    why: 'a simplification that holds for whole protocols only',
  },
  {
    name: 'the union with any port is the other one',
    file: portSet,
    from: "if (b.kind === 'any') return b;",
    to: "if (b.kind === 'any') return a;",
    why: 'copied from the line above',
  },
  {
    name: 'egress names are resolved on the subject',
    file: lower,
    from: "section.direction === 'ingress' ? policy.subject.namedPorts : undefined",
    to: 'policy.subject.namedPorts',
    why: 'resolved once, where it is easy',
  },
  {
    name: 'a dual-stack pod gets rules of one family',
    file: lower,
    from: 'ipFamilies.filter((family) => families.has(family))',
    to: 'ipFamilies.filter((family) => families.has(family)).slice(0, 1)',
    why: 'the first address taken for the address',
  },
  {
    name: 'exceptions are matched, not excluded',
    file: lower,
    from: "hole.cidr.family), '!='),",
    to: 'hole.cidr.family)),',
    why: 'a forgotten operator',
  },
  {
    name: 'ranges are lost beside single ports',
    file: lower,
    from: '...ranges.map(({ from, to }) => [match(dport, range(from, to))]),',
    to: '...(first === undefined ? ranges : []).map(({ from, to }) => [match(dport, range(from, to))]),',
    why: 'one form of ports or the other',
  },
  {
    name: 'flattening loses what has no single port',
    file: lower,
    from: 'const matchesLeft = this.#portMatches(rest);',
    to: 'const matchesLeft = flatten ? [] : this.#portMatches(rest);',
    why: 'the flat set seems to hold everything',
  },
  {
    name: 'flattening loses port names',
    file: lower,
    from: 'const parts = selectors.map((selector): SetPart => ({ selector, numbers: flat, names }));',
    to: 'const parts = selectors.map((selector): SetPart => ({ selector, numbers: flat, names: flatten ? [] : names }));',
    why: 'numbers are what one thinks of',
  },
  {
    name: 'intervals hold blocks without any port only',
    file: lower,
    from: 'if (withPorts.length > 0) {',
    to: 'if (withPorts.length > 0 && anyPort.length === 0) {',
    why: 'else-if in place of if',
  },
  {
    name: 'own traffic is recognised by the wrong interface',
    file: lower,
    from: "this.#direction === 'ingress' ? 'iifname' : 'oifname'",
    to: "this.#direction === 'ingress' ? 'oifname' : 'iifname'",
    why: 'directions swapped: any pod could then claim the address',
  },
  {
    name: 'a pod chain forgets its end',
    file: lower,
    from: '{ statements: [goto(tail)], provenance: [] },',
    to: '',
    why: 'a chain without a last rule falls out of the base chain: accepted',
  },
  {
    name: 'interval elements ignore exceptions',
    file: intervals,
    from: 'except.map((hole) => cidrInterval(hole.cidr)),',
    to: '[],',
    why: 'exceptions handled elsewhere, for plain rules',
  },
  {
    name: 'a port slice ends one too early',
    file: intervals,
    from: 'ranges.flatMap(({ from, to }) => [from, to + 1])',
    to: 'ranges.flatMap(({ from, to }) => [from, to])',
    why: 'inclusive and exclusive ends mixed',
  },
  {
    name: 'neighbouring port slices are joined whatever their blocks',
    file: intervals,
    from: 'previous.to + 1 === from && sameIntervals(previous.blocks, blocks)',
    to: 'previous.to + 1 === from',
    why: 'an optimisation without its condition',
  },
  {
    name: 'sets of several selectors are named by the first',
    file: setSpec,
    from: "const canonical = selectors.map(({ canonical }) => canonical).join('\\n');",
    to: "const canonical = selectors[0]?.canonical ?? '';",
    why: "two different sets share a name, and one pod the other pod's peers",
  },
  {
    name: 'sets of named ports are named without the names',
    file: setSpec,
    from: 'names.map(({ protocol, name }) => `${protocol}/${name}`),\n    ]),',
    to: '[],\n    ]),',
    why: 'two different sets share a name',
  },
  {
    name: 'a port name stands for one number',
    file: setSpec,
    from: 'for (const port of namedPortNumbers(pod, name, protocol)) elements',
    to: 'for (const port of namedPortNumbers(pod, name, protocol).slice(0, 1)) elements',
    why: 'a find in place of a filter',
  },
];
