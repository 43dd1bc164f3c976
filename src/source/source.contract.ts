import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Diagnostic } from '../model/diagnostic.ts';
import { namespaceName, podKey, policyKey } from '../model/names.ts';
import type { ModelObject } from '../model/snapshot.ts';
import type { ResourceKind, Source, SourceSink } from './source.ts';
import { Store } from './store.ts';

/** An object as an API server or a manifest would give it. */
export interface RawManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** The world behind one source, as far as the contract needs to turn it. */
export interface SourceHarness {
  /** The source under test; `run` is called once, by the suite. */
  readonly source: Source;
  /** Creates objects, or replaces those of the same kind, namespace and name. */
  apply(objects: readonly RawManifest[]): Promise<void>;
  /** Deletes objects by kind, namespace and name. */
  delete(objects: readonly RawManifest[]): Promise<void>;
  /** Replaces an object by something that cannot be decoded. */
  corrupt(object: RawManifest): Promise<void>;
  /** Makes everything unreadable: server down, directory gone. */
  fail(): Promise<void>;
  /** Ends {@link SourceHarness.fail}; the objects are those of before. */
  recover(): Promise<void>;
  close(): Promise<void>;
}

/** Deadline of one step, in milliseconds. */
const stepMs = 10_000;

/** A store that also checks the order of calls: a source may not remove what it never delivered, or leave a list open twice. */
class CheckingSink implements SourceSink {
  readonly store: Store = new Store();
  readonly calls: string[] = [];
  readonly violations: string[] = [];
  readonly #open = new Set<ResourceKind>();

  upsert(object: ModelObject): void {
    this.calls.push(`upsert ${object.kind} ${object.uid}`);
    this.store.upsert(object);
  }

  remove(kind: ResourceKind, uid: string): void {
    this.calls.push(`remove ${kind} ${uid}`);
    if (this.store.get(kind, uid) === undefined) this.violations.push(`removed unknown ${kind} ${uid}`);
    this.store.remove(kind, uid);
  }

  beginList(kind: ResourceKind): void {
    this.calls.push(`begin ${kind}`);
    this.#open.add(kind);
    this.store.beginList(kind);
  }

  endList(kind: ResourceKind): void {
    this.calls.push(`end ${kind}`);
    if (!this.#open.delete(kind)) this.violations.push(`ended the list of ${kind} that was not begun`);
    this.store.endList(kind);
  }

  report(scope: string, diagnostics: readonly Diagnostic[]): void {
    this.store.report(scope, diagnostics);
  }
}

/** The suite every {@link Source} passes. `create` builds a world that holds `initial`, and a source that looks at it. */
export function describeSource(
  name: string,
  create: (initial: readonly RawManifest[]) => Promise<SourceHarness>,
): void {
  describe(`${name} keeps the contract of a source`, () => {
    let harness: SourceHarness;
    let sink: CheckingSink;
    let abort: AbortController;
    let running: Promise<void>;

    const start = async (initial: readonly RawManifest[]): Promise<void> => {
      harness = await create(initial);
      running = harness.source.run(sink, abort.signal);
      await eventually(() => expect(sink.store.inSync(followed)).toBe(true));
    };

    beforeEach(() => {
      sink = new CheckingSink();
      abort = new AbortController();
    });

    afterEach(async () => {
      abort.abort();
      await running;
      await harness.close();
      expect(sink.violations).toEqual([]);
    });

    test('the first list is complete before a kind is in sync', async () => {
      await start([shop, web, deny]);
      const snapshot = sink.store.snapshot();
      expect([...snapshot.namespaces.keys()]).toEqual(['shop']);
      expect([...snapshot.pods.keys()]).toEqual(['shop/web']);
      expect([...snapshot.policies.keys()]).toEqual(['shop/deny']);
      for (const [kind, uid] of [
        ['Namespace', 'u-shop'],
        ['Pod', 'u-web'],
        ['NetworkPolicy', 'u-deny'],
      ]) {
        const [begin, upsert, end] = [`begin ${kind}`, `upsert ${kind} ${uid}`, `end ${kind}`].map((call) =>
          sink.calls.indexOf(call),
        );
        expect(begin).toBeLessThan(upsert ?? -1);
        expect(upsert).toBeLessThan(end ?? -1);
      }
      const unsynced = harness.source.health().filter(({ kind, synced }) => followed.includes(kind) && !synced);
      expect(unsynced).toEqual([]);
    });

    test('an empty world is in sync', async () => {
      await start([]);
      expect(sink.store.snapshot().pods.size).toBe(0);
    });

    test('additions, updates and deletions arrive', async () => {
      await start([shop, web]);
      await harness.apply([api]);
      await eventually(() => expect(podUids(sink)).toEqual(['u-api', 'u-web']));
      await harness.apply([{ ...web, metadata: { ...web.metadata, labels: { app: 'other' } } }]);
      await eventually(() =>
        expect(sink.store.snapshot().pods.get(podKey('shop', 'web'))?.labels.get('app')).toBe('other'),
      );
      await harness.delete([api]);
      await eventually(() => expect(podUids(sink)).toEqual(['u-web']));
    });

    test('the same name with a new uid is a removal and an addition', async () => {
      await start([shop, web]);
      const changes: string[] = [];
      sink.store.listen({
        changed: ({ before, after }) => changes.push(`${before?.uid ?? '-'} -> ${after?.uid ?? '-'}`),
      });
      await harness.apply([{ ...web, metadata: { ...web.metadata, uid: 'u-web-2' } }]);
      await eventually(() => expect(podUids(sink)).toEqual(['u-web-2']));
      expect(changes).toEqual(['u-web -> -', '- -> u-web-2']);
    });

    test('a source that fails removes nothing, and goes on when it can', async () => {
      await start([shop, web, deny]);
      await harness.fail();
      await eventually(() => expect(harness.source.health().some(({ state }) => state === 'backoff')).toBe(true));
      expect(podUids(sink)).toEqual(['u-web']);
      expect(sink.store.snapshot().policies.has(policyKey('shop', 'deny'))).toBe(true);
      await harness.recover();
      await harness.apply([api]);
      await eventually(() => expect(podUids(sink)).toEqual(['u-api', 'u-web']));
      expect(sink.calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    });

    test('an object that cannot be decoded keeps its last good state and disturbs no other', async () => {
      await start([shop, web, deny]);
      await harness.corrupt(deny);
      await harness.apply([api]);
      await eventually(() => expect(podUids(sink)).toEqual(['u-api', 'u-web']));
      await eventually(() => expect(sink.store.diagnostics().size).toBeGreaterThan(0));
      expect(sink.store.snapshot().policies.get(policyKey('shop', 'deny'))?.ingress.isolates).toBe(true);
      await harness.apply([{ ...deny, spec: { podSelector: {}, policyTypes: ['Egress'] } }]);
      await eventually(() => {
        expect(sink.store.snapshot().policies.get(policyKey('shop', 'deny'))?.egress.isolates).toBe(true);
        expect(sink.store.diagnostics().size).toBe(0);
      });
    });

    test('namespaces that have no object are not made up', async () => {
      await start([web]);
      expect(sink.store.snapshot().namespaces.has(namespaceName('shop'))).toBe(false);
    });

    test('an abort ends the run', async () => {
      await start([shop]);
      abort.abort();
      await expect(running).resolves.toBeUndefined();
    });
  });
}

const followed: readonly ResourceKind[] = ['Namespace', 'Pod', 'NetworkPolicy'];

const shop: RawManifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', uid: 'u-shop' } };
const web: RawManifest = pod('web');
const api: RawManifest = pod('api');
const deny: RawManifest = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny', namespace: 'shop', uid: 'u-deny' },
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
};

function pod(name: string): RawManifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: `u-${name}` },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] },
  };
}

function podUids(sink: CheckingSink): readonly string[] {
  return [...sink.store.snapshot().pods.values()].map(({ uid }) => uid).sort();
}

async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: stepMs, interval: 10 });
}
