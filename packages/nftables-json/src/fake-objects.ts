/** What the fake kernel holds, and what it checks in it. */
import { NftError } from './errors.ts';
import type { NftErrorCode } from './errors.ts';
import type { Chain, Expression, KeyType, NamedSet, Rule, SetElement, Table } from './grammar.ts';
import type { References } from './references.ts';
import { entryTarget } from './references.ts';

/** A rule in its chain. */
export interface RuleState {
  readonly rule: Rule & { readonly handle: number };
  readonly references: References;
}

/** A chain with its rules; `uses` counts the rules and map elements that name it. */
export interface ChainState {
  chain: Chain;
  rules: RuleState[];
  uses: number;
}

/** An element of a set or map. */
export interface ElementState {
  readonly key: SetElement;
  readonly value: Expression | undefined;
}

/** A set, or a map when `shape.map` is there; `uses` counts the rules that name it. */
export interface SetState {
  shape: Omit<NamedSet, 'elem'> & { readonly map?: KeyType };
  /** By {@link elementKey}. */
  elements: Map<string, ElementState>;
  /** Whether the kernel lets rules run statements per element: fixed when the set is created. */
  readonly dynamic: boolean;
  uses: number;
}

/** A table; sets and maps share one space of names. */
export interface TableState {
  readonly table: Table;
  readonly chains: Map<string, ChainState>;
  readonly sets: Map<string, SetState>;
  nextHandle: number;
}

/** Longest chain of jumps below a base chain. Source: NFT_JUMP_STACK_SIZE; one more gives EMLINK. */
const maxJumpDepth = 15;

/** Refuses the current command. */
export function fail(code: NftErrorCode, message: string): never {
  throw new NftError(message, { code });
}

/** Refuses a set that contradicts the existing one of its name. */
export function checkSameShape(state: SetState, shape: SetState['shape']): void {
  const { name } = shape;
  const old = state.shape;
  if ((old.map === undefined) !== (shape.map === undefined)) fail('exists', `${name} exists as another kind`);
  if (!sameType(old.type, shape.type) || !sameType(old.map, shape.map)) fail('exists', `${name} has another type`);
  const flags = (of: SetState['shape'], dynamic: boolean): string =>
    [...new Set([...(of.flags ?? []), ...(dynamic ? ['dynamic'] : [])])].sort().join();
  if (flags(old, state.dynamic) !== flags(shape, false)) fail('exists', `${name} has other flags`);
}

function sameType(a: KeyType | undefined, b: KeyType | undefined): boolean {
  return [a].flat().join(' . ') === [b].flat().join(' . ');
}

/** Whether two values of one key are the same; sets have none. */
export function sameValue(a: Expression | undefined, b: Expression | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The kernel follows every jump from every base chain; a loop is a chain of jumps that is too long. */
export function checkJumps(table: TableState): void {
  const depths = new Map<string, number>();
  const visiting = new Set<string>();
  const depthBelow = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    if (visiting.has(name)) fail('invalid', `chain ${name} reaches itself`);
    visiting.add(name);
    let depth = 0;
    for (const target of targets(table, name)) depth = Math.max(depth, 1 + depthBelow(target));
    visiting.delete(name);
    depths.set(name, depth);
    return depth;
  };
  for (const [name, { chain }] of table.chains)
    if (chain.hook !== undefined && depthBelow(name) > maxJumpDepth)
      fail('invalid', `more than ${maxJumpDepth} jumps below chain ${name}`);
}

function targets(table: TableState, name: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { references } of table.chains.get(name)?.rules ?? []) {
    for (const chain of references.chains) found.add(chain);
    for (const map of references.lookups)
      for (const { value } of table.sets.get(map)?.elements.values() ?? []) {
        const target = entryTarget(value);
        if (target !== undefined) found.add(target);
      }
  }
  return found;
}
