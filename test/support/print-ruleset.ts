import { printTable } from 'nftables-json';

import { tableName } from '../../src/compiler/ruleset.ts';
import type { DesiredTable, Ruleset } from '../../src/compiler/ruleset.ts';
import { encodeChain, encodeMap, encodeRule, encodeSet } from '../../src/enforcer/encode.ts';

/** A desired ruleset as canonical nft text, the tables in the order of their families. */
export function printRuleset(ruleset: Ruleset): string {
  return [...ruleset.values()].map(printDesired).join('\n');
}

function printDesired({ family, sets, maps, chains }: DesiredTable): string {
  return printTable({
    table: { family, name: tableName },
    sets: [...sets.values()].map((set) => encodeSet(family, set, set.elements)),
    maps: [...maps.values()].map((map) => {
      const entries = [...map.elements].map(
        ([key, verdict]) => [key, verdict.kind === 'accept' ? 'accept' : `goto ${verdict.chain}`] as const,
      );
      return encodeMap(family, map, entries);
    }),
    chains: [...chains.values()].map((chain) => encodeChain(family, chain)),
    rules: [...chains.values()].flatMap(({ name, rules }) => rules.map((rule) => encodeRule(family, name, rule))),
  });
}
