/** The state of the fake kernel and what each command does to it. Every change leaves a way back. */
import { elementKey, splitMember } from './element-key.ts';
import { NftError } from './errors.ts';
import type { ChainState, ElementState, RuleState, SetState, TableState } from './fake-objects.ts';
import { checkJumps, checkSameShape, fail, sameValue } from './fake-objects.ts';
import type {
  Chain,
  Command,
  DeleteTarget,
  Elements,
  FlushTarget,
  MapEntry,
  NamedMap,
  NamedSet,
  NftObject,
  ObjectRef,
  Rule,
  SetElement,
  Table,
  TableRef,
} from './grammar.ts';
import { intervalOverlaps } from './interval.ts';
import type { References } from './references.ts';
import { entryTarget, ruleReferences } from './references.ts';

/** All tables, the commands on them, and the way back. */
export class FakeState {
  readonly tables: Map<string, TableState> = new Map<string, TableState>();
  #nextTableHandle = 1;
  #undo: (() => void)[] = [];
  #written: ReadonlySet<string> = new Set<string>();
  #graphChanged = false;

  /**
   * Applies commands in order, all or none; with `keep: false` none in any case.
   * @throws NftError with the index of the command that the kernel would refuse.
   */
  apply(commands: readonly Command[], options: { readonly keep: boolean }): void {
    this.#undo = [];
    this.#graphChanged = false;
    this.#written = setsWrittenByRules(commands);
    let index = 0;
    let done = false;
    try {
      for (; index < commands.length; index += 1) this.#command(commands[index] as Command);
      if (this.#graphChanged) for (const table of this.tables.values()) checkJumps(table);
      done = options.keep;
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      const commandIndex = index < commands.length ? index : undefined;
      throw new NftError(error.message, { code: error.code, commandIndex, cause: error });
    } finally {
      if (!done) for (const back of this.#undo.reverse()) back();
      this.#undo = [];
    }
  }

  #command(command: Command): void {
    if ('add' in command) this.#add(command.add, false);
    else if ('create' in command) this.#add(command.create, true);
    else if ('insert' in command) this.#addRule(command.insert.rule, 'first');
    else if ('replace' in command) this.#replaceRule(command.replace.rule);
    else if ('delete' in command) this.#delete(command.delete);
    else this.#flush(command.flush);
  }

  #add(object: NftObject, mustBeNew: boolean): void {
    if ('table' in object) this.#addTable(object.table, mustBeNew);
    else if ('chain' in object) this.#addChain(object.chain, mustBeNew);
    else if ('rule' in object) this.#addRule(object.rule, 'last');
    else if ('set' in object) this.#addSet(object.set, mustBeNew);
    else if ('map' in object) this.#addSet(object.map, mustBeNew);
    else this.#addElements(object.element, mustBeNew);
  }

  #addTable(table: Table, mustBeNew: boolean): void {
    const key = tableKey(table);
    if (this.tables.has(key)) {
      if (mustBeNew) fail('exists', `table ${key} exists`);
      return;
    }
    const handle = this.#nextTableHandle;
    this.#nextTableHandle += 1;
    put(this.#undo, this.tables, key, {
      table: { family: table.family, name: table.name, handle },
      chains: new Map(),
      sets: new Map(),
      nextHandle: 1,
    });
  }

  #addChain(chain: Chain, mustBeNew: boolean): void {
    const table = this.#table(chain);
    const state = table.chains.get(chain.name);
    if (state === undefined) {
      const policy = chain.hook === undefined ? {} : { policy: chain.policy ?? 'accept' };
      const created = { ...chain, handle: takeHandle(table), ...policy };
      this.#graphChanged ||= chain.hook !== undefined;
      put(this.#undo, table.chains, chain.name, { chain: created, rules: [], uses: 0 });
      return;
    }
    if (mustBeNew) fail('exists', `chain ${chain.name} exists`);
    const { chain: old } = state;
    if (chain.hook !== undefined) {
      if (old.hook !== undefined && chain.type !== old.type) fail('exists', `chain ${chain.name} has another type`);
      if (chain.hook !== old.hook || chain.prio !== old.prio)
        fail('exists', `chain ${chain.name} hangs on another hook or priority`);
      if (chain.policy !== undefined && chain.policy !== old.policy) {
        this.#undo.push(() => (state.chain = old));
        state.chain = { ...old, policy: chain.policy };
      }
    }
  }

  #addRule(rule: Rule, place: 'first' | 'last'): void {
    const { table, chain } = this.#chainOf(rule);
    const state = this.#ruleState(table, rule, takeHandle(table));
    this.#setRules(chain, place === 'first' ? [state, ...chain.rules] : undefined, state);
  }

  #replaceRule(rule: Rule): void {
    const { table, chain } = this.#chainOf(rule);
    const index = chain.rules.findIndex((state) => state.rule.handle === rule.handle);
    const old = chain.rules[index];
    if (old === undefined) fail('not-found', `no rule with handle ${rule.handle}`);
    // nft keeps the handle of a replaced rule in its listings.
    const state = this.#ruleState(table, rule, old.rule.handle);
    this.#release(table, old.references);
    this.#setRules(chain, chain.rules.with(index, state));
  }

  /** Gives the chain new rules, or appends one without a copy. */
  #setRules(chain: ChainState, rules: RuleState[] | undefined, appended?: RuleState): void {
    if (rules === undefined && appended !== undefined) {
      this.#undo.push(() => chain.rules.pop());
      chain.rules.push(appended);
      return;
    }
    const old = chain.rules;
    this.#undo.push(() => (chain.rules = old));
    chain.rules = rules ?? [];
  }

  /** Checks and takes everything a rule names. */
  #ruleState(table: TableState, rule: Rule, handle: number): RuleState {
    const references = ruleReferences(rule);
    for (const name of references.sets) {
      const set = table.sets.get(name);
      if (set === undefined) fail('not-found', `no set or map ${name}`);
      this.#graphChanged ||= set.shape.map !== undefined;
      this.#use(set, 1);
    }
    for (const name of references.lookups)
      if (table.sets.get(name)?.shape.map === undefined) fail('invalid', `${name} is not a map`);
    for (const { name, perElement } of references.written)
      if (perElement && table.sets.get(name)?.dynamic !== true)
        fail('invalid', `set ${name} was not created in one transaction with a rule that writes to it`);
    for (const name of references.chains) this.#useTarget(table, name);
    return { rule: { ...rule, handle }, references };
  }

  #useTarget(table: TableState, name: string): void {
    this.#graphChanged = true;
    this.#use(targetOf(table, name), 1);
  }

  #release(table: TableState, references: References): void {
    for (const name of references.sets) this.#use(table.sets.get(name), -1);
    for (const name of references.chains) this.#use(table.chains.get(name), -1);
  }

  #use(used: { uses: number } | undefined, change: 1 | -1): void {
    if (used === undefined) return;
    used.uses += change;
    this.#undo.push(() => (used.uses -= change));
  }

  #addSet(set: NamedSet | NamedMap, mustBeNew: boolean): void {
    const table = this.#table(set);
    const { elem, ...shape } = set;
    let state = table.sets.get(set.name);
    if (state === undefined) {
      const dynamic = shape.flags?.includes('dynamic') === true || this.#written.has(objectKey(set));
      state = { shape: { ...shape, handle: takeHandle(table) }, elements: new Map(), dynamic, uses: 0 };
      put(this.#undo, table.sets, set.name, state);
    } else {
      if (mustBeNew) fail('exists', `set ${set.name} exists`);
      checkSameShape(state, shape);
      this.#resize(state, shape.size);
    }
    if (elem !== undefined) this.#putElements(table, state, elem, false);
  }

  #resize(state: SetState, size: number | undefined): void {
    if (size === undefined || size === state.shape.size) return;
    const old = state.shape;
    this.#undo.push(() => (state.shape = old));
    state.shape = { ...old, size };
  }

  #addElements(element: Elements, mustBeNew: boolean): void {
    const table = this.#table(element);
    this.#putElements(table, setOf(table, element.name), element.elem, mustBeNew);
  }

  #putElements(
    table: TableState,
    state: SetState,
    members: readonly (SetElement | MapEntry)[],
    mustBeNew: boolean,
  ): void {
    for (const member of members) {
      const { key, value } = splitMember(member);
      const text = keyOf(key);
      if ((state.shape.map === undefined) !== (value === undefined))
        fail(
          'invalid',
          `${text} does not fit: ${state.shape.name} is ${state.shape.map === undefined ? 'a set' : 'a map'}`,
        );
      const target = entryTarget(value);
      // Before the conflict, as the kernel does.
      if (target !== undefined) targetOf(table, target);
      const old = state.elements.get(text);
      if (old !== undefined) {
        if (mustBeNew || !sameValue(old.value, value)) fail('exists', `element ${text} exists`);
        continue;
      }
      if (state.shape.flags?.includes('interval') === true && intervalOverlaps(key, state.elements.values()))
        fail('exists', `element ${text} overlaps another`);
      if (state.shape.size !== undefined && state.elements.size >= state.shape.size)
        fail('full', `${state.shape.name} holds ${state.shape.size} elements`);
      if (target !== undefined) this.#useTarget(table, target);
      put(this.#undo, state.elements, text, { key, value });
    }
  }

  #deleteElements(element: Elements): void {
    const table = this.#table(element);
    const state = setOf(table, element.name);
    for (const member of element.elem) {
      const text = keyOf(splitMember(member).key);
      const old = state.elements.get(text);
      if (old === undefined) fail('not-found', `no element ${text}`);
      this.#releaseElement(table, old);
      remove(this.#undo, state.elements, text);
    }
  }

  #releaseElement(table: TableState, element: ElementState): void {
    const target = entryTarget(element.value);
    if (target !== undefined) this.#use(table.chains.get(target), -1);
  }

  #delete(target: DeleteTarget): void {
    if ('table' in target) {
      this.#table({ family: target.table.family, table: target.table.name });
      remove(this.#undo, this.tables, tableKey(target.table));
    } else if ('chain' in target) this.#deleteChain(target.chain);
    else if ('rule' in target) {
      const { table, chain } = this.#chainOf(target.rule);
      const index = chain.rules.findIndex((state) => state.rule.handle === target.rule.handle);
      const old = chain.rules[index];
      if (old === undefined) fail('not-found', `no rule with handle ${target.rule.handle}`);
      this.#release(table, old.references);
      this.#setRules(chain, chain.rules.toSpliced(index, 1));
    } else if ('element' in target) this.#deleteElements(target.element);
    // The kernel knows sets only: either word deletes either kind.
    else this.#deleteSet('set' in target ? target.set : target.map);
  }

  #deleteChain(ref: ObjectRef): void {
    const table = this.#table(ref);
    const chain = table.chains.get(ref.name);
    if (chain === undefined) fail('not-found', `no chain ${ref.name}`);
    this.#flushChain(table, chain);
    if (chain.uses > 0) fail('busy', `chain ${ref.name} is named by ${chain.uses} rules or elements`);
    remove(this.#undo, table.chains, ref.name);
  }

  #deleteSet(ref: ObjectRef): void {
    const table = this.#table(ref);
    const state = setOf(table, ref.name);
    if (state.uses > 0) fail('busy', `${ref.name} is named by ${state.uses} rules`);
    for (const element of state.elements.values()) this.#releaseElement(table, element);
    remove(this.#undo, table.sets, ref.name);
  }

  #flush(target: FlushTarget): void {
    if ('table' in target) {
      const table = this.#table({ family: target.table.family, table: target.table.name });
      for (const chain of table.chains.values()) this.#flushChain(table, chain);
    } else if ('chain' in target) {
      const { table, chain } = this.#chainOf({ ...target.chain, chain: target.chain.name });
      this.#flushChain(table, chain);
    } else if ('set' in target) this.#flushSet(target.set, 'set');
    else this.#flushSet(target.map, 'map');
  }

  #flushChain(table: TableState, chain: ChainState): void {
    for (const { references } of chain.rules) this.#release(table, references);
    this.#setRules(chain, []);
  }

  #flushSet(ref: ObjectRef, kind: 'set' | 'map'): void {
    const table = this.#table(ref);
    const state = setOf(table, ref.name);
    if ((state.shape.map === undefined) !== (kind === 'set')) fail('not-found', `no ${kind} ${ref.name}`);
    for (const element of state.elements.values()) this.#releaseElement(table, element);
    const old = state.elements;
    this.#undo.push(() => (state.elements = old));
    state.elements = new Map();
  }

  #table(ref: { readonly family: TableRef['family']; readonly table: string }): TableState {
    const table = this.tables.get(tableKey({ family: ref.family, name: ref.table }));
    return table ?? fail('not-found', `no table ${ref.family} ${ref.table}`);
  }

  #chainOf(ref: { readonly family: TableRef['family']; readonly table: string; readonly chain: string }): {
    readonly table: TableState;
    readonly chain: ChainState;
  } {
    const table = this.#table(ref);
    const chain = table.chains.get(ref.chain);
    return chain === undefined ? fail('not-found', `no chain ${ref.chain}`) : { table, chain };
  }
}

/** The key of a table among all tables. */
export function tableKey(table: TableRef): string {
  return `${table.family} ${table.name}`;
}

function objectKey(ref: ObjectRef): string {
  return `${ref.family} ${ref.table} ${ref.name}`;
}

function setOf(table: TableState, name: string): SetState {
  return table.sets.get(name) ?? fail('not-found', `no set or map ${name}`);
}

function targetOf(table: TableState, name: string): ChainState {
  const chain = table.chains.get(name) ?? fail('not-found', `no chain ${name}`);
  return chain.chain.hook === undefined ? chain : fail('unsupported', `${name} is a base chain`);
}

function keyOf(element: SetElement): string {
  return elementKey(element) ?? fail('invalid', 'an element is not a value');
}

function takeHandle(table: TableState): number {
  const handle = table.nextHandle;
  table.nextHandle += 1;
  return handle;
}

function put<V>(undo: (() => void)[], map: Map<string, V>, key: string, value: V): void {
  undo.push(() => map.delete(key));
  map.set(key, value);
}

function remove<V>(undo: (() => void)[], map: Map<string, V>, key: string): void {
  const old = map.get(key) as V;
  undo.push(() => map.set(key, old));
  map.delete(key);
}

/** nft marks a set as dynamic when it is created in one transaction with a rule that writes to it. */
function setsWrittenByRules(commands: readonly Command[]): ReadonlySet<string> {
  const written = new Set<string>();
  for (const command of commands) {
    const object = 'add' in command ? command.add : 'insert' in command ? command.insert : undefined;
    if (object === undefined || !('rule' in object)) continue;
    const { family, table } = object.rule;
    for (const { name } of ruleReferences(object.rule).written) written.add(objectKey({ family, table, name }));
  }
  return written;
}
