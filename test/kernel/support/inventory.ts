import {
  chainHook,
  chainRules,
  mapElements,
  mapShape,
  setElements,
  setShape,
} from '../../../src/enforcer/dataplane.ts';
import type { Dataplane } from '../../../src/enforcer/dataplane.ts';

/**
 * What our tables hold, one line for each object, element and rule. Compares a listing with a ruleset without asking
 * `plan`, which wrote the one from the other and would not see what it never writes.
 */
export function inventory(dataplane: Dataplane): readonly string[] {
  return [...dataplane.values()].flatMap(({ family, sets, maps, chains }) => [
    ...[...sets.values()].flatMap((set) => [
      `${family} set ${set.name} ${setShape(set)}`,
      ...[...setElements(set)].map((element) => `${family} set ${set.name} holds ${element}`),
    ]),
    ...[...maps.values()].flatMap((map) => [
      `${family} map ${map.name} ${mapShape(map)}`,
      ...[...mapElements(map)].map(([key, verdict]) => `${family} map ${map.name} holds ${key}: ${verdict}`),
    ]),
    ...[...chains.values()].flatMap((chain) => [
      `${family} chain ${chain.name} ${chainHook(chain)}`,
      ...chainRules(family, chain).map((rule, at) => `${family} chain ${chain.name} rule ${String(at)} ${rule}`),
    ]),
  ]);
}

/** The lines that only one of them has: `+` what the kernel holds too much, `-` what it lacks. */
export function differences(present: Dataplane, wanted: Dataplane): readonly string[] {
  const [has, wants] = [new Set(inventory(present)), new Set(inventory(wanted))];
  return [
    ...[...has].filter((line) => !wants.has(line)).map((line) => `+ ${line}`),
    ...[...wants].filter((line) => !has.has(line)).map((line) => `- ${line}`),
  ];
}
