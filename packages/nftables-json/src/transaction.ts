/** An ordered list of commands that the kernel applies whole or not at all. */
import { encodeCommands } from './encode.ts';
import { NftError } from './errors.ts';
import type {
  Chain,
  Command,
  DeleteTarget,
  Elements,
  FlushTarget,
  NamedMap,
  NamedSet,
  NftObject,
  ObjectRef,
  Rule,
  RuleRef,
  Table,
  TableRef,
} from './grammar.ts';
import { commandProblem } from './validate.ts';

/** The first command of a transaction that must not be sent. */
export interface InvalidCommand {
  /** Its place, from 0. */
  readonly index: number;
  readonly reason: string;
  readonly command: Command;
}

/**
 * Commands in the order in which they were added; the order is the caller's and is never changed. Adding never
 * throws: the transaction remembers its first invalid command and executors refuse to run it, so callers check once.
 * Every verb says when `run` fails; see {@link NftError} for the codes.
 */
export class Transaction {
  readonly #commands: Command[] = [];
  #invalid: InvalidCommand | undefined;
  #encoded: string | undefined;

  /** The commands so far. */
  get commands(): readonly Command[] {
    return this.#commands;
  }

  /** Nothing to do: executors return without calling nft. */
  get isEmpty(): boolean {
    return this.#commands.length === 0;
  }

  /** The first invalid command; undefined when there is none. */
  get invalid(): InvalidCommand | undefined {
    return this.#invalid;
  }

  /** Bytes of the encoded transaction. The first call after a change costs one encoding. */
  get sizeBytes(): number {
    return Buffer.byteLength(this.encode());
  }

  /** The JSON text; kept until the next command. */
  encode(): string {
    this.#encoded ??= encodeCommands(this.#commands);
    return this.#encoded;
  }

  /** Throws an {@link NftError} `invalid` when a command must not be sent. Executors call it first. */
  assertValid(): void {
    if (this.#invalid === undefined) return;
    const { index, reason } = this.#invalid;
    throw new NftError(`command ${index}: ${reason}`, { code: 'invalid', commandIndex: index });
  }

  /** Appends any command. */
  push(command: Command): this {
    if (this.#invalid === undefined) {
      const reason = commandProblem(command);
      if (reason !== undefined) this.#invalid = { index: this.#commands.length, reason, command };
    }
    this.#commands.push(command);
    this.#encoded = undefined;
    return this;
  }

  /** Adds an object; an existing equal one is no error, except that a rule is appended once more. */
  add(object: NftObject): this {
    return this.push({ add: object });
  }

  /** Adds an object that must not exist: else `exists`. */
  create(object: Exclude<NftObject, { readonly rule: Rule }>): this {
    return this.push({ create: object });
  }

  /** Deletes an object that must exist: else `not-found`; `busy` while something names it. */
  delete(target: DeleteTarget): this {
    return this.push({ delete: target });
  }

  /** Empties a table (of rules), chain, set or map that must exist: else `not-found`. */
  flush(target: FlushTarget): this {
    return this.push({ flush: target });
  }

  /** Adds a table; an existing one stays as it is. */
  addTable(table: Table): this {
    return this.add({ table });
  }

  /** Adds a chain. An existing one keeps its rules and takes a new policy; another hook or priority fails. */
  addChain(chain: Chain): this {
    return this.add({ chain });
  }

  /** Appends a rule. Fails with `not-found` when its chain, or a set, map or chain it names, does not exist. */
  addRule(rule: Rule): this {
    return this.add({ rule: withoutHandle(rule) });
  }

  /** Puts a rule first in its chain; fails like {@link addRule}. */
  insertRule(rule: Rule): this {
    return this.push({ insert: { rule: withoutHandle(rule) } });
  }

  /** Replaces the rule with the handle `rule.handle`; `not-found` when there is none. */
  replaceRule(rule: Rule & { readonly handle: number }): this {
    return this.push({ replace: { rule } });
  }

  /**
   * Adds a set, or adds `elem` to the existing set. `exists` when the existing set has another type or flags; `full`
   * above its size. Prefer it to {@link addElement}: nft fetches no other set for it.
   */
  addSet(set: NamedSet): this {
    return this.add({ set });
  }

  /**
   * Adds a map, or adds `elem` to the existing map. `exists` as for {@link addSet} and when a key has another value;
   * `not-found` when a verdict names a missing chain.
   */
  addMap(map: NamedMap): this {
    return this.add({ map });
  }

  /**
   * Adds elements to an existing set or map; fails like {@link addSet} and {@link addMap}. nft fetches every element
   * of every single-field interval set of the network namespace for it.
   */
  addElement(element: Elements): this {
    return this.add({ element });
  }

  /** Deletes elements; `not-found` when one is missing. Same fetch as {@link addElement}. */
  deleteElement(element: Elements): this {
    return this.delete({ element });
  }

  /** Removes the rules of every chain of the table; sets and maps keep their elements. */
  flushTable(table: TableRef): this {
    return this.flush({ table: { family: table.family, name: table.name } });
  }

  /** Removes the rules of the chain. */
  flushChain(chain: ObjectRef): this {
    return this.flush({ chain: refOf(chain) });
  }

  /** Removes the elements of the set. */
  flushSet(set: ObjectRef): this {
    return this.flush({ set: refOf(set) });
  }

  /** Removes the elements of the map. */
  flushMap(map: ObjectRef): this {
    return this.flush({ map: refOf(map) });
  }

  /** Deletes the table with all that is in it. */
  deleteTable(table: TableRef): this {
    return this.delete({ table: { family: table.family, name: table.name } });
  }

  /** Deletes the chain with its rules; `busy` while a rule or map element names it. */
  deleteChain(chain: ObjectRef): this {
    return this.delete({ chain: refOf(chain) });
  }

  /** Deletes the rule with this handle. */
  deleteRule(rule: RuleRef): this {
    return this.delete({
      rule: { family: rule.family, table: rule.table, chain: rule.chain, handle: rule.handle },
    });
  }

  /** Deletes the set; `busy` while a rule names it. */
  deleteSet(set: ObjectRef): this {
    return this.delete({ set: refOf(set) });
  }

  /** Deletes the map; `busy` while a rule names it. */
  deleteMap(map: ObjectRef): this {
    return this.delete({ map: refOf(map) });
  }
}

/** Only the naming fields: a caller may pass the whole object, and nft reads `handle` of a delete as a name. */
function refOf(object: ObjectRef): ObjectRef {
  return { family: object.family, table: object.table, name: object.name };
}

/** The handle of a listed rule would be read as a position by some versions of nft. */
function withoutHandle(rule: Rule): Rule {
  if (rule.handle === undefined) return rule;
  const { handle: _handle, ...rest } = rule;
  return rest;
}
