import type { Mutation } from './mutation.ts';

const assemble = 'src/compiler/assemble.ts';
const baseChains = 'src/compiler/base-chains.ts';
const guard = 'src/compiler/bridge-guard.ts';
const simulate = 'src/compiler/simulate.ts';

/** Mistakes in the frame around the pods' rules, and in the simulator that runs them. */
export const rulesetMutations: readonly Mutation[] = [
  {
    name: 'bridged pods are dispatched by their first address',
    file: assemble,
    from: 'for (const address of binding.addresses)\n          if',
    to: 'for (const address of binding.addresses.slice(0, 1))\n          if',
    why: 'one address per pod',
  },
  {
    name: 'both dispatch maps hold the ingress verdict',
    file: assemble,
    from: '[binding.interface, verdicts[direction]]',
    to: '[binding.interface, verdicts.ingress]',
    why: 'a loop variable forgotten',
  },
  {
    name: 'pods may send from their first address only',
    file: assemble,
    from: 'binding.addresses\n          .filter(',
    to: 'binding.addresses\n          .slice(0, 1)\n          .filter(',
    why: 'one address per pod',
  },
  {
    name: 'unknown pods are accepted',
    file: baseChains,
    from: "const tail = options.unknownPods === 'drop' ? goto(denyChain) : accept();",
    to: "const tail = options.unknownPods === 'accept' ? goto(denyChain) : accept();",
    why: 'a condition the wrong way round: opens pods at their start',
    besideFlows: true,
  },
  {
    name: 'egress is dispatched by the destination',
    file: baseChains,
    from: "{ direction: 'egress', interfaceKey: 'iifname', addressField: 'saddr', priority: egressPriority }",
    to: "{ direction: 'egress', interfaceKey: 'iifname', addressField: 'daddr', priority: egressPriority }",
    why: 'directions swapped in one field',
  },
  {
    name: 'established packets are not judged',
    file: baseChains,
    from: "[ownRule([match(ct('direction'), 'reply'), accept()]), ownRule([match(ct('state'), 'related', 'in'), accept()])]",
    to: "[ownRule([match(ct('state'), ['established', 'related'], 'in'), accept()])]",
    why: 'what every firewall tutorial writes; tightening then cuts nothing',
    besideFlows: true,
  },
  {
    name: 'neighbour discovery passes with any hop limit',
    file: baseChains,
    from: "      match(payload('ip6', 'hoplimit'), hopLimit),\n",
    to: '',
    why: 'the types look harmless; routed packets could carry them to any pod',
    besideFlows: true,
  },
  {
    name: 'sources are not checked',
    file: baseChains,
    from: "if (direction === 'egress') {",
    to: "if (direction !== 'egress') {",
    why: 'placed in the other direction',
    besideFlows: true,
  },
  {
    name: 'the drop stands in the recording rule',
    file: baseChains,
    from: "rules: [...(options.recordDenied ? record('denied') : []), ...refuse, ownRule([drop()])]",
    to: "rules: options.recordDenied ? record('denied').map((rule) => ownRule([...rule.statements, drop()])) : [ownRule([drop()])]",
    why: 'shorter; ICMP and a full set then fall through and pass',
  },
  {
    name: 'tagged frames pass the guard',
    file: guard,
    from: "    rules: [\n      dropTagged,\n      ownRule([match(concat(port, payload('ether', 'saddr'))",
    to: "    rules: [\n      ownRule([match(concat(port, payload('ether', 'saddr'))",
    why: "VLAN seems somebody else's business",
    besideFlows: true,
  },
  {
    name: 'a missing header counts as different',
    file: simulate,
    from: 'if (fields === undefined) return false;',
    to: "if (fields === undefined) return op === '!=';",
    why: 'what != means in a programming language',
  },
  {
    name: 'a simulated port match ignores the protocol',
    file: simulate,
    from: 'return packet.protocol === protocol ? dport : undefined;',
    to: 'return dport;',
    why: 'the port is in the same place',
  },
  {
    name: 'a simulated range has no last port',
    file: simulate,
    from: 'from <= value && value <= to;',
    to: 'from <= value && value < to;',
    why: 'half-open ranges',
  },
  {
    name: 'a simulated goto returns',
    file: simulate,
    from: "if ('goto' in verdict) return this.run(this.#chain(verdict.goto.target), depth);",
    to: "if ('goto' in verdict) {\n        const result = this.run(this.#chain(verdict.goto.target), depth);\n        if (result !== 'continue') return result;\n        continue;\n      }",
    why: 'goto taken for jump',
    besideFlows: true,
  },
  {
    name: 'a simulated element must match every box of a set',
    file: simulate,
    from: 'return boxes(set).some(',
    to: 'return boxes(set).every(',
    why: 'AND in place of OR',
    besideFlows: true,
  },
  {
    name: 'a simulated prefix covers half its block',
    file: simulate,
    from: 'const host = BigInt(familyBits(familyOf(address)) - Number(length));',
    to: 'const host = BigInt(familyBits(familyOf(address)) - Number(length) - 1);',
    why: 'off by one',
  },
  {
    name: 'a simulated lookup that misses accepts',
    file: simulate,
    from: 'if (verdict === undefined) return undefined;\n    return verdict.kind',
    to: 'if (verdict === undefined) return { accept: null };\n    return verdict.kind',
    why: 'a default in a leaf function',
  },
];
