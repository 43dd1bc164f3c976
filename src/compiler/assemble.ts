import { routesPods } from '../model/binding.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import { familyOf, ipFamilies } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { directions } from '../model/policy.ts';
import type { Direction } from '../model/policy.ts';
import {
  baseChains,
  boundSet,
  bridgedMapName,
  localName,
  recordSets,
  routedInputMap,
  routedMapName,
  sharedChains,
  sourcesName,
} from './base-chains.ts';
import { bridgeGuard } from './bridge-guard.ts';
import { auditChain } from './lower.ts';
import type { LoweredEndpoint } from './lower.ts';
import type { EnforcementOptions } from './options.ts';
import type {
  DesiredChain,
  DesiredMap,
  DesiredSet,
  DesiredTable,
  DispatchVerdict,
  Ruleset,
  TableFamily,
} from './ruleset.ts';
import { addressType } from './set-spec.ts';
import type { SetSpec } from './set-spec.ts';

/** Everything one node's ruleset is made of. */
export interface RulesetParts {
  readonly shape: NodeShape;
  readonly options: EnforcementOptions;
  /** One per bound local pod, in any order. A local pod that is missing here is dropped by the tail. */
  readonly endpoints: readonly LoweredEndpoint[];
  /** Sets of local pods without an interface yet. */
  readonly ahead?: readonly SetSpec[];
  /** The members of a set. */
  readonly elements: (spec: SetSpec) => ReadonlySet<string>;
}

/** Puts lowered pods, their sets and the base chains together: the whole desired state of one node. */
export function assemble(parts: RulesetParts): Ruleset {
  const endpoints = [...parts.endpoints].sort((a, b) => (a.binding.interface < b.binding.interface ? -1 : 1));
  const bindings = endpoints.map(({ binding }) => binding);
  const audited = endpoints.some(({ chains }) => endsInAudit(chains));
  const sets = new Map<string, DesiredSet>();
  for (const set of [...recordSets(parts.options, audited), ...sourceSets(parts, bindings)]) sets.set(set.name, set);
  for (const spec of [...endpoints.flatMap((endpoint) => endpoint.sets), ...(parts.ahead ?? [])]) {
    if (!sets.has(spec.name)) sets.set(spec.name, toDesiredSet(spec, parts.elements(spec)));
  }
  const chains: DesiredChain[] = [
    ...sharedChains(parts.options, audited),
    ...endpoints.flatMap((endpoint) => endpoint.chains),
    ...baseChains(parts.shape, parts.options),
  ];
  const inet: DesiredTable = {
    family: 'inet',
    sets,
    maps: new Map(dispatchMaps(parts, endpoints).map((map) => [map.name, map])),
    chains: new Map(chains.map((chain) => [chain.name, chain])),
  };
  const ruleset = new Map<TableFamily, DesiredTable>([['inet', inet]]);
  if (parts.shape.bridges.length > 0) ruleset.set('bridge', bridgeGuard(parts.shape, bindings));
  return ruleset;
}

/** A set as the enforcer wants it. */
export function toDesiredSet(spec: SetSpec, elements: ReadonlySet<string>): DesiredSet {
  return { name: spec.name, type: spec.type, interval: spec.interval, elements };
}

function endsInAudit(chains: readonly DesiredChain[]): boolean {
  return chains.some(({ rules }) =>
    rules.some(({ statements }) => statements.some((s) => 'goto' in s && s.goto.target === auditChain)),
  );
}

function sourceSets({ shape, options }: RulesetParts, bindings: readonly PodBinding[]): readonly DesiredSet[] {
  if (!routesPods(shape)) return [];
  const routed = bindings.filter(({ attachment }) => attachment.kind === 'routed');
  const sources = ipFamilies.map((family): DesiredSet => ({
    name: sourcesName(family),
    type: ['ifname', addressType(family)],
    interval: false,
    elements: new Set(
      routed.flatMap((binding) =>
        binding.addresses
          .filter((address) => familyOf(address) === family)
          .map((address) => `${binding.interface} . ${address}`),
      ),
    ),
  }));
  const local = ipFamilies.map((family): DesiredSet => ({
    name: localName(family),
    type: [addressType(family)],
    interval: false,
    elements: new Set(bindings.flatMap(({ addresses }) => addresses.filter((address) => familyOf(address) === family))),
  }));
  const sets = [...sources, ...local];
  if (options.unknownPods === 'drop') return sets;
  const bound = {
    name: boundSet,
    type: ['ifname'],
    interval: false,
    elements: new Set(routed.map((binding) => binding.interface)),
  };
  return [...sets, bound];
}

function dispatchMaps({ shape, options }: RulesetParts, endpoints: readonly LoweredEndpoint[]): readonly DesiredMap[] {
  const maps: DesiredMap[] = [];
  const routed = endpoints.filter(({ binding }) => binding.attachment.kind === 'routed');
  const bridged = endpoints.filter(({ binding }) => binding.attachment.kind === 'bridged');
  if (routesPods(shape)) {
    if (options.policeNodeEgress) {
      const elements = new Map(routed.map(({ binding, verdicts }) => [binding.interface, verdicts.egress]));
      maps.push({ name: routedInputMap, type: ['ifname'], elements });
    }
    for (const direction of directions) {
      for (const family of ipFamilies) {
        const elements = byAddress(routed, family, direction, ({ interface: name }, address) => `${name} . ${address}`);
        maps.push({ name: routedMapName(direction, family), type: ['ifname', addressType(family)], elements });
      }
    }
  }
  if (shape.bridges.length === 0) return maps;
  for (const direction of directions) {
    for (const family of ipFamilies) {
      const elements = byAddress(bridged, family, direction, (_, address) => address);
      maps.push({ name: bridgedMapName(direction, family), type: [addressType(family)], elements });
    }
  }
  return maps;
}

function byAddress(
  endpoints: readonly LoweredEndpoint[],
  family: IpFamily,
  direction: Direction,
  key: (binding: PodBinding, address: IpAddress) => string,
): ReadonlyMap<string, DispatchVerdict> {
  const elements = new Map<string, DispatchVerdict>();
  for (const { binding, verdicts } of endpoints) {
    for (const address of binding.addresses)
      if (familyOf(address) === family) elements.set(key(binding, address), verdicts[direction]);
  }
  return elements;
}
