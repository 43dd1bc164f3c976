import type { Diagnostic } from '../../src/model/diagnostic.ts';
import type { ModelObject } from '../../src/model/snapshot.ts';
import { objectTitle } from '../../src/source/object-name.ts';
import type { ResourceKind, SourceSink } from '../../src/source/source.ts';
import type { Change } from '../../src/source/store.ts';
import { Store } from '../../src/source/store.ts';

/**
 * A store that is watched from both sides: what the source calls, and what a listener derives from changes alone.
 * Anything out of order is a violation: an object added twice, removed or replaced unknown, a list ended unbegun.
 */
export class CheckedSink implements SourceSink {
  readonly store: Store = new Store();
  readonly violations: string[] = [];
  readonly calls: string[] = [];
  /** What changes alone say is there, by kind and uid. */
  readonly derived: Map<string, ModelObject> = new Map();
  readonly #delivered = new Set<string>();
  readonly #open = new Set<ResourceKind>();

  constructor() {
    this.store.listen({ changed: (change) => this.#derive(change) });
  }

  upsert(object: ModelObject): void {
    this.calls.push(`upsert ${objectTitle(object)}`);
    this.#delivered.add(`${object.kind} ${object.uid}`);
    this.store.upsert(object);
  }

  remove(kind: ResourceKind, uid: string): void {
    this.calls.push(`remove ${kind} ${uid}`);
    if (!this.#delivered.delete(`${kind} ${uid}`)) this.violations.push(`removed ${kind} ${uid}, which is not there`);
    this.store.remove(kind, uid);
  }

  beginList(kind: ResourceKind): void {
    this.calls.push(`begin ${kind}`);
    this.#open.add(kind);
    this.store.beginList(kind);
  }

  endList(kind: ResourceKind): void {
    this.calls.push(`end ${kind}`);
    if (!this.#open.delete(kind)) this.violations.push(`ended a list of ${kind} that was not begun`);
    this.store.endList(kind);
    for (const key of this.#delivered) {
      const [deliveredKind = '', uid = ''] = key.split(' ');
      if (deliveredKind === kind && this.store.get(kind, uid) === undefined) this.#delivered.delete(key);
    }
  }

  report(scope: string, diagnostics: readonly Diagnostic[]): void {
    this.store.report(scope, diagnostics);
  }

  /** How often a list of `kind` was begun. */
  lists(kind: ResourceKind): number {
    return this.calls.filter((call) => call === `begin ${kind}`).length;
  }

  #derive({ kind, before, after }: Change): void {
    const key = (object: ModelObject): string => `${kind} ${object.uid}`;
    if (before !== undefined && !this.derived.delete(key(before))) {
      this.violations.push(`changed or removed ${objectTitle(before)} (${before.uid}), which was not there`);
    }
    if (after === undefined) return;
    if (this.derived.has(key(after))) this.violations.push(`added ${objectTitle(after)} (${after.uid}) twice`);
    this.derived.set(key(after), after);
  }
}
