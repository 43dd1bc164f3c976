import { expect, test, vi } from 'vitest';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { Namespace } from '../model/namespace.ts';
import { namespaceName, podKey } from '../model/names.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { snapshotOf, Store } from './store.ts';
import type { Change } from './store.ts';

const pod = (
  name: string,
  uid = `u-${name}`,
  labels: Readonly<Record<string, string>> = {},
  version = '1',
): Endpoint => ({
  kind: 'Pod',
  key: podKey('x', name),
  namespace: namespaceName('x'),
  name,
  uid,
  labels: new Map(Object.entries(labels)),
  hostNetwork: false,
  phase: 'Running',
  terminating: false,
  createdAtMs: 0,
  addresses: [],
  namedPorts: [],
  declaredPorts: [],
  source: { kind: 'cluster', resourceVersion: version },
});

const namespace: Namespace = {
  kind: 'Namespace',
  name: namespaceName('x'),
  uid: 'u-x',
  labels: new Map(),
  source: { kind: 'cluster', resourceVersion: '1' },
};

function watched(store: Store): string[] {
  const seen: string[] = [];
  const name = (object: Change['before']): string => (object === undefined ? '-' : object.uid);
  store.listen({ changed: ({ before, after }) => seen.push(`${name(before)} -> ${name(after)}`) });
  return seen;
}

test('listeners hear of changes with the old and the new value, after the store holds the new one', () => {
  const store = new Store();
  const seen: Change[] = [];
  store.listen({
    changed: (change) => {
      seen.push(change);
      expect(store.snapshot().pods.get(podKey('x', 'a'))).toBe(change.after);
    },
  });
  const [first, second] = [pod('a'), pod('a', 'u-a', { k: 'v' })];
  store.upsert(first);
  store.upsert(second);
  store.remove('Pod', 'u-a');
  expect(seen).toEqual([
    { kind: 'Pod', after: first },
    { kind: 'Pod', before: first, after: second },
    { kind: 'Pod', before: second },
  ]);
});

test('an object that says the same is stored without a change', () => {
  const store = new Store();
  store.upsert(pod('a', 'u-a', { k: 'v' }));
  const seen = watched(store);
  const generation = store.snapshot().generation;
  const again = pod('a', 'u-a', { k: 'v' }, '2');
  store.upsert(again);
  expect(seen).toEqual([]);
  expect(store.snapshot().generation).toBe(generation);
  expect(store.get('Pod', 'u-a')).toBe(again);
});

test.each<[string, Partial<Endpoint>]>([
  ['labels', { labels: new Map([['k', 'w']]) }],
  ['fewer labels', { labels: new Map() }],
  ['addresses', { addresses: ['10.0.0.1' as never] }],
  ['phase', { phase: 'Failed' }],
  ['a field that was absent', { node: 'n' as never }],
])('a change of %s is a change', (_, difference) => {
  const store = new Store();
  const before = pod('a', 'u-a', { k: 'v' });
  store.upsert(before);
  const seen = watched(store);
  store.upsert({ ...before, ...difference });
  expect(seen).toEqual(['u-a -> u-a']);
});

test('the same name with a new uid is a removal and an addition', () => {
  const store = new Store();
  store.upsert(pod('a'));
  const seen = watched(store);
  store.upsert(pod('a', 'u-2'));
  expect(seen).toEqual(['u-a -> -', '- -> u-2']);
  store.remove('Pod', 'u-a');
  expect(store.snapshot().pods.size).toBe(1);
});

test('the same uid under a new name leaves the old name', () => {
  const store = new Store();
  store.upsert(pod('a'));
  store.upsert(pod('b', 'u-a'));
  expect([...store.snapshot().pods.keys()]).toEqual(['x/b']);
});

test('what a list does not hold is swept at its end, and only of its kind', () => {
  const store = new Store();
  store.upsert(namespace);
  for (const name of ['a', 'b', 'c']) store.upsert(pod(name));
  const seen = watched(store);
  store.beginList('Pod');
  store.upsert(pod('b'));
  store.upsert(pod('d'));
  expect(store.snapshot().pods.size).toBe(4);
  store.endList('Pod');
  expect(seen).toEqual(['- -> u-d', 'u-a -> -', 'u-c -> -']);
  expect(store.snapshot().namespaces.size).toBe(1);
});

test('a list that begins anew forgets what the broken one marked', () => {
  const store = new Store();
  store.upsert(pod('a'));
  store.beginList('Pod');
  store.upsert(pod('a'));
  store.beginList('Pod');
  store.endList('Pod');
  expect(store.snapshot().pods.size).toBe(0);
});

test('an object removed during a list stays removed', () => {
  const store = new Store();
  store.beginList('Pod');
  store.upsert(pod('a'));
  store.remove('Pod', 'u-a');
  store.endList('Pod');
  expect(store.snapshot().pods.size).toBe(0);
});

test('a kind is in sync after its first complete list, and stays so', () => {
  const store = new Store();
  const synced = vi.fn();
  store.listen({ synced });
  store.endList('Pod');
  expect(store.inSync(['Pod'])).toBe(false);
  store.beginList('Pod');
  store.endList('Pod');
  store.beginList('Pod');
  expect(store.inSync(['Pod'])).toBe(true);
  store.endList('Pod');
  expect(store.inSync()).toBe(false);
  expect(synced.mock.calls).toEqual([['Pod']]);
});

test('a listener that throws harms neither the store, nor others, nor the source', () => {
  const errors: unknown[] = [];
  const store = new Store({ onListenerError: (error) => errors.push(error) });
  const failure = new Error('listener');
  store.listen({
    changed: () => {
      throw failure;
    },
  });
  const seen = watched(store);
  store.upsert(pod('a'));
  expect(seen).toEqual(['- -> u-a']);
  expect(errors).toEqual([failure]);
});

test('a listener that left hears nothing', () => {
  const store = new Store();
  const changed = vi.fn();
  store.listen({ changed })();
  store.upsert(pod('a'));
  expect(changed).not.toHaveBeenCalled();
});

test('reports replace each other by scope, and an empty one clears', () => {
  const store = new Store();
  const reported = vi.fn();
  store.listen({ reported });
  const problem: Diagnostic = { code: 'X', severity: 'error', message: 'm' };
  store.report('a', [problem]);
  store.report('a', [{ ...problem }]);
  store.report('b', []);
  expect([...store.diagnostics()]).toEqual([['a', [problem]]]);
  store.report('a', []);
  expect(store.diagnostics().size).toBe(0);
  expect(reported.mock.calls).toEqual([['a'], ['a']]);
});

test('the snapshot is live, and its generation counts changes', () => {
  const store = new Store();
  const snapshot = store.snapshot();
  expect(snapshot.generation).toBe(0);
  store.upsert(pod('a'));
  expect(snapshot.pods.has(podKey('x', 'a'))).toBe(true);
  expect(snapshot.generation).toBe(1);
  expect(store.snapshot()).toBe(snapshot);
});

test('a snapshot of given objects holds the later of two with one name', () => {
  const snapshot = snapshotOf([namespace, pod('a'), pod('a', 'u-2')]);
  expect(snapshot.pods.get(podKey('x', 'a'))?.uid).toBe('u-2');
  expect(snapshot.namespaces.size).toBe(1);
  expect(snapshot.policies.size).toBe(0);
});
