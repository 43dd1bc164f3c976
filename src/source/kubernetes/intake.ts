import type { Decoded } from '../../model/decode/object.ts';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { everything } from '../../model/label-selector.ts';
import { namespaceName, policyKey } from '../../model/names.ts';
import type { NetworkPolicy } from '../../model/policy.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import type { SourceRef } from '../../model/source-ref.ts';
import { objectName } from '../object-name.ts';
import type { ResourceKind, SourceSink } from '../source.ts';
import type { WireObject } from './codec.ts';
import type { Counters } from './counters.ts';
import { DecodeFailure } from './decode-failure.ts';
import { compareVersions } from './resource-version.ts';
import { Sharing } from './sharing.ts';

/** Turns an untrusted object into a model object, or says why it is none. */
export type Decode = (raw: unknown, source: SourceRef) => Decoded;

/** What an {@link Intake} works with. */
export interface IntakeOptions {
  readonly kind: ResourceKind;
  readonly sink: SourceSink;
  readonly decode: Decode;
  readonly counters: Counters;
}

/** Diagnostic of an object that stays out because it cannot be decoded. */
export const quarantineCode = 'K001';

/**
 * Everything between the wire and the sink that is about objects: identity by uid, versions that never go back while
 * watching, mark and sweep of lists, and quarantine. It does not know how objects travel.
 *
 * Quarantine: a policy keeps its last known version, because without it its pods would be open; one that was never
 * readable isolates its namespace. Every other object leaves, because what is not known is closed.
 */
export class Intake {
  readonly #kind: ResourceKind;
  readonly #sink: SourceSink;
  readonly #decode: Decode;
  readonly #counters: Counters;
  /** What the sink holds, by the name on the wire. The objects are shared with the store: this costs an entry each. */
  readonly #known = new Map<string, ModelObject>();
  readonly #sharing: Sharing = new Sharing();
  /** Undecodable objects by uid, with their version. */
  readonly #quarantined = new Map<string, string>();
  /** What stands for policies that were never readable. */
  readonly #standIns = new WeakSet<ModelObject>();
  /** Scopes with open reports, by uid. */
  readonly #reported = new Map<string, string>();
  /** Uids of the list in progress. */
  #listed: Set<string> | undefined;

  constructor(options: IntakeOptions) {
    this.#kind = options.kind;
    this.#sink = options.sink;
    this.#decode = options.decode;
    this.#counters = options.counters;
  }

  /** A complete list begins. One that was not completed before is forgotten: what it brought stays, nothing is swept. */
  beginList(): void {
    this.#listed = new Set();
    this.#sink.beginList(this.#kind);
  }

  /** The list is complete: what it did not hold is gone. */
  endList(): void {
    const listed = this.#listed;
    if (listed === undefined) return;
    this.#listed = undefined;
    for (const [name, { uid }] of this.#known) {
      if (listed.has(uid)) continue;
      this.#known.delete(name);
      this.#forget(uid);
      this.#counters.syntheticDeletes += 1;
    }
    for (const uid of this.#quarantined.keys()) if (!listed.has(uid)) this.#forget(uid);
    this.#sink.endList(this.#kind);
  }

  /**
   * An object was added or modified. The first sight of an object in a list is the truth even if its version is lower
   * than ours (a restored server); otherwise older versions are ignored and counted.
   * Throws {@link DecodeFailure} while watching, unless the object is in quarantine already.
   * Answers whether a list in progress shows the object for the first time.
   */
  upsert(object: WireObject): boolean {
    const { uid, version } = object;
    const firstInList = this.#listed !== undefined && !this.#listed.has(uid);
    const ours = this.#versionOf(object);
    if (!firstInList && ours !== undefined) {
      const age = compareVersions(version, ours);
      if (age < 0) this.#counters.staleIgnored += 1;
      if (age < 0 || version === ours) return false;
    }
    const decoded = this.#read(object);
    if (decoded.object === undefined) {
      this.#counters.decodeErrors += 1;
      if (this.#listed === undefined && !this.#quarantined.has(uid))
        throw new DecodeFailure(object, decoded.diagnostics);
      this.#quarantine(object, decoded.diagnostics);
    } else {
      this.#release(uid);
      this.#put(nameOf(object), this.#sharing.share(decoded.object));
      this.#report(object, decoded.diagnostics);
    }
    this.#listed?.add(uid);
    return firstInList;
  }

  /** An object was deleted, or no longer matches. Only its identity counts; its state is an old one. */
  remove(object: WireObject): void {
    const { uid, version } = object;
    const ours = this.#versionOf(object);
    if (ours === undefined) return;
    const inOldList = this.#listed !== undefined && !this.#listed.has(uid);
    if (!inOldList && compareVersions(version, ours) < 0) {
      this.#counters.staleIgnored += 1;
      return;
    }
    this.#listed?.delete(uid);
    if (this.#drop(object)) this.#sink.remove(this.#kind, uid);
    this.#forget(uid);
  }

  /** The same name with a new uid is another object: its predecessor leaves first. */
  #put(name: string, object: ModelObject): void {
    const namesake = this.#known.get(name);
    if (namesake !== undefined && namesake.uid !== object.uid) {
      this.#known.delete(name);
      this.#sink.remove(this.#kind, namesake.uid);
      this.#forget(namesake.uid);
    }
    // The object's own text of the name, where it is the same: one text less for each object.
    this.#known.set(name === objectName(object) ? objectName(object) : name, object);
    this.#sink.upsert(object);
  }

  #find(object: WireObject): ModelObject | undefined {
    const known = this.#known.get(nameOf(object));
    return known?.uid === object.uid ? known : undefined;
  }

  #drop(object: WireObject): boolean {
    return this.#find(object) !== undefined && this.#known.delete(nameOf(object));
  }

  #versionOf(object: WireObject): string | undefined {
    const quarantined = this.#quarantined.get(object.uid);
    if (quarantined !== undefined) return quarantined;
    const source = this.#find(object)?.source;
    return source?.kind === 'cluster' ? source.resourceVersion : undefined;
  }

  #read(object: WireObject): Decoded {
    const source: SourceRef = { kind: 'cluster', resourceVersion: object.version };
    try {
      const decoded = this.#decode(object.raw, source);
      if (decoded.object === undefined || decoded.object.kind === this.#kind) return decoded;
      const message = `expected a ${this.#kind}, not a ${decoded.object.kind}`;
      return { diagnostics: [{ code: quarantineCode, severity: 'error', message, source }] };
    } catch (error) {
      const message = `the decoder failed: ${String(error)}`;
      return { diagnostics: [{ code: quarantineCode, severity: 'error', message, source }] };
    }
  }

  #quarantine(object: WireObject, diagnostics: readonly Diagnostic[]): void {
    const { uid, version } = object;
    this.#quarantined.set(uid, version);
    this.#counters.quarantined = this.#quarantined.size;
    const last = this.#find(object);
    const kept = last?.kind === 'NetworkPolicy' && !this.#standIns.has(last);
    if (kept) {
      if (this.#listed !== undefined) this.#sink.upsert(last);
    } else if (this.#kind === 'NetworkPolicy') {
      const standIn = closedPolicy(object);
      this.#standIns.add(standIn);
      this.#put(nameOf(object), standIn);
    } else if (this.#drop(object)) {
      this.#sink.remove(this.#kind, uid);
    }
    this.#report(object, [
      ...diagnostics,
      {
        code: quarantineCode,
        severity: 'error',
        message: `version ${version} cannot be decoded`,
        help: kept
          ? 'Its last readable version stays in force until it is fixed or deleted.'
          : this.#kind === 'NetworkPolicy'
            ? 'Every pod of its namespace is isolated and nothing is admitted by it until it is fixed or deleted.'
            : 'It is treated as absent, so what depends on it stays closed, until it is fixed or deleted.',
        object: this.#scope(object),
        source: { kind: 'cluster', resourceVersion: version },
      },
    ]);
  }

  #release(uid: string): void {
    if (this.#quarantined.delete(uid)) this.#counters.quarantined = this.#quarantined.size;
  }

  #report(object: WireObject, diagnostics: readonly Diagnostic[]): void {
    if (diagnostics.length === 0) {
      this.#clearReport(object.uid);
    } else {
      const scope = this.#scope(object);
      this.#reported.set(object.uid, scope);
      this.#sink.report(scope, diagnostics);
    }
  }

  /** Drops everything remembered beside the object itself. */
  #forget(uid: string): void {
    this.#release(uid);
    this.#clearReport(uid);
  }

  /** A successor of the same name may have reported under the same scope: its report stays. */
  #clearReport(uid: string): void {
    const scope = this.#reported.get(uid);
    if (scope === undefined) return;
    this.#reported.delete(uid);
    if (![...this.#reported.values()].includes(scope)) this.#sink.report(scope, []);
  }

  #scope(object: WireObject): string {
    return `${this.#kind} ${nameOf(object)}`;
  }
}

/** A policy of which nothing but its name is known (semantics 86, 89). */
function closedPolicy({ uid, version, namespace, name }: WireObject): NetworkPolicy {
  const closed = { isolates: true, rules: [] };
  return {
    kind: 'NetworkPolicy',
    key: policyKey(namespace, name),
    namespace: namespaceName(namespace),
    name,
    uid,
    subjects: everything,
    ingress: closed,
    egress: closed,
    invalid: true,
    mode: 'enforce',
    source: { kind: 'cluster', resourceVersion: version },
  };
}

function nameOf({ namespace, name }: WireObject): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
