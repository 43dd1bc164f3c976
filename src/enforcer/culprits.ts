/** Which objects of a refused change are at fault: asked of the kernel, by halves, without applying anything. */
import { NftError, Transaction } from 'nftables-json';
import type { CallOptions, Executor } from 'nftables-json';

import type { DesiredTable, Ruleset } from '../compiler/ruleset.ts';
import { classifyFailure } from './apply.ts';
import type { Dataplane, DataplaneTable } from './dataplane.ts';
import { plan } from './plan.ts';
import { infrastructure, withhold } from './withhold.ts';
import type { Part } from './withhold.ts';

/** A part of the ruleset that the kernel refuses. */
export interface Culprit {
  readonly part: Part;
  readonly error: NftError;
}

/**
 * What must be left out so that the rest can be applied:
 * - `found`: these parts (none when the kernel has nothing against the change any more);
 * - `blocked`: the fault is in chains that every packet runs through: nothing can be applied.
 */
export type Search =
  | { readonly kind: 'found'; readonly culprits: readonly Culprit[] }
  | { readonly kind: 'blocked'; readonly error: NftError };

/**
 * Looks for the culprits of a change, in the order in which objects depend on each other: sets and elements of shared
 * sets, then chains, then map elements. About 2 x culprits x log2(objects) checks.
 * @throws NftError when the kernel cannot be asked (not started, no permission, timeout).
 */
export async function findCulprits(
  executor: Executor,
  current: Dataplane,
  desired: Ruleset,
  options: CallOptions = {},
): Promise<Search> {
  const refusal = async (parts: readonly Part[]): Promise<NftError | undefined> => {
    const rest = withhold(desired, parts);
    if (rest === undefined)
      return new NftError('a chain that every packet runs through is missing', { code: 'invalid' });
    return await checkChange(executor, current, rest.ruleset, options);
  };

  const whole = await refusal([]);
  if (whole === undefined) return { kind: 'found', culprits: [] };
  const phases = candidates(current, desired);
  const blocked = await refusal(phases.flat());
  if (blocked !== undefined) return { kind: 'blocked', error: blocked };

  const culprits: Culprit[] = [];
  for (const [index, phase] of phases.entries()) {
    const later = phases.slice(index + 1).flat();
    const search = async (group: readonly Part[]): Promise<void> => {
      const others = phase.filter((part) => !group.includes(part));
      const error = await refusal([...culprits.map(({ part }) => part), ...others, ...later]);
      if (error === undefined) return;
      const [first] = group;
      if (group.length === 1 && first !== undefined) {
        culprits.push({ part: first, error });
        return;
      }
      const middle = group.length >> 1;
      await search(group.slice(0, middle));
      await search(group.slice(middle));
    };
    if (phase.length > 0) await search(phase);
  }
  // Parts that are refused only together: leave all of them out rather than let them block the rest.
  const rest = await refusal(culprits.map(({ part }) => part));
  if (rest === undefined) return { kind: 'found', culprits };
  return { kind: 'found', culprits: phases.flat().map((part) => ({ part, error: rest })) };
}

/** Why the kernel refuses the change; undefined when it does not. The order of steps does not matter for that. */
async function checkChange(
  executor: Executor,
  current: Dataplane,
  desired: Ruleset,
  options: CallOptions,
): Promise<NftError | undefined> {
  const all = new Transaction();
  for (const step of plan(current, desired)) {
    if (step.kind === 'unbind' || step.kind === 'sweep') continue;
    for (const command of step.transaction.commands) all.push(command);
  }
  try {
    await executor.check(all, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    const failure = classifyFailure(error);
    if (failure === 'unavailable' || failure === 'outcome-unknown') throw error;
    return error;
  }
}

/** The changed parts that can be left out, in phases of dependency. */
function candidates(current: Dataplane, desired: Ruleset): readonly (readonly Part[])[] {
  const sets: Part[] = [];
  const chains: Part[] = [];
  const elements: Part[] = [];
  for (const [family, table] of desired) {
    const from = current.get(family);
    const core = infrastructure(table);
    for (const [name, set] of table.sets) {
      if (from?.sets.get(name) === set) continue;
      if (!core.named.has(name)) sets.push({ kind: 'set', family, name });
      else sets.push(...newKeys(set.elements, elementsOf(from, name)).map((key) => elementPart(table, name, key)));
    }
    for (const [name, chain] of table.chains)
      if (from?.chains.get(name) !== chain && !core.chains.has(name)) chains.push({ kind: 'chain', family, name });
    for (const [name, map] of table.maps) {
      if (from?.maps.get(name) === map) continue;
      elements.push(...[...map.elements.keys()].map((key) => elementPart(table, name, key)));
    }
  }
  return [sets, chains, elements];
}

function elementPart(table: DesiredTable, name: string, key: string): Part {
  return { kind: 'element', family: table.family, name, key };
}

function elementsOf(table: DataplaneTable | undefined, name: string): ReadonlySet<string> {
  return table?.sets.get(name)?.elements ?? new Set();
}

function newKeys(wanted: ReadonlySet<string>, present: ReadonlySet<string>): string[] {
  return [...wanted].filter((text) => !present.has(text));
}
