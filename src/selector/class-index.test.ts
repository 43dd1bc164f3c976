import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint, PodPhase } from '../model/endpoint.ts';
import { parseIp } from '../model/ip.ts';
import { toLabelSelector } from '../model/label-selector.ts';
import type { LabelSelector, Requirement } from '../model/label-selector.ts';
import type { Labels } from '../model/labels.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import { namespaceName, podKey } from '../model/names.ts';
import type { NamespaceName, PodKey } from '../model/names.ts';
import { ClassIndex } from './class-index.ts';
import type { MembershipChange } from './class-index.ts';
import { toPeerSelector } from './peer-selector.ts';
import type { PeerSelector } from './peer-selector.ts';
import type { ActiveSelector } from './pod-class.ts';
import { indexViolations } from './testing/index-invariants.ts';

const ns = namespaceName;

function pod(
  key: string,
  labels: Record<string, string>,
  address: string | readonly string[],
  rest: Partial<Endpoint> = {},
): Endpoint {
  const [namespace = '', name = ''] = key.split('/');
  return {
    kind: 'Pod',
    key: podKey(namespace, name),
    namespace: ns(namespace),
    name,
    uid: key,
    labels: new Map(Object.entries(labels)),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 0,
    addresses: [address].flat().map((text) => parseIp(text)!),
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '1' },
    ...rest,
  };
}

function where(...requirements: readonly [key: string, operator: Requirement['operator'], ...values: string[]][]) {
  return toLabelSelector(
    requirements.map(([key, operator, ...values]) => ({
      key,
      operator,
      values: values.sort(),
      origin: { kind: 'matchLabels', key },
    })),
  );
}

const podsIn = (name: string, pods: LabelSelector): PeerSelector =>
  toPeerSelector({ kind: 'name', name: ns(name) }, pods);
const podsWhere = (namespaces: LabelSelector, pods: LabelSelector): PeerSelector =>
  toPeerSelector({ kind: 'selector', selector: namespaces }, pods);

function members(active: ActiveSelector): string[] {
  return [...active.classes].flatMap(({ pods }) => pods.map((entry): string => entry.pod.key)).sort();
}

function show(changes: readonly MembershipChange[]): string[] {
  return changes.map(({ before, after }) => {
    const side = (m: typeof before): string =>
      m === undefined ? '-' : `${m.pod.key} ${m.owned.join(',')} in ${m.selectors.length}`;
    return `${side(before)} => ${side(after)}`;
  });
}

describe('ClassIndex', () => {
  test('pods that differ only in labels nobody asks for share a class', () => {
    const index = new ClassIndex();
    index.acquire(podsIn('x', where(['app', 'In', 'web'])));
    index.setPod(podKey('x', 'a'), pod('x/a', { app: 'web', hash: '1' }, '10.0.0.1'));
    index.setPod(podKey('x', 'b'), pod('x/b', { app: 'web', hash: '2' }, '10.0.0.2'));
    index.update();
    expect(index.stats()).toMatchObject({ classes: 1, pods: 2, addresses: 2 });
    index.acquire(podsIn('x', where(['hash', 'In', '1'])));
    index.update();
    expect(index.stats()).toMatchObject({ classes: 2 });
  });

  test('a selector acquired later finds the pods that are there', () => {
    const index = new ClassIndex();
    index.setNamespace(ns('x'), new Map([['team', 'a']]));
    index.setPod(podKey('x', 'a'), pod('x/a', { app: 'web' }, '10.0.0.1'));
    index.setPod(podKey('y', 'a'), pod('y/a', { app: 'web' }, '10.0.0.2'));
    index.update();
    const everywhere = index.acquire(podsWhere(where(), where(['app', 'Exists'])));
    const team = index.acquire(podsWhere(where(['team', 'In', 'a']), where()));
    expect(index.update()).toEqual([]);
    expect([members(everywhere), members(team)]).toEqual([['x/a', 'y/a'], ['x/a']]);
  });

  test('only changes of members of active selectors are told, one for each pod', () => {
    const index = new ClassIndex();
    index.acquire(podsIn('x', where(['app', 'In', 'web'])));
    index.update();
    index.setPod(podKey('x', 'a'), pod('x/a', { app: 'db' }, '10.0.0.1'));
    index.setPod(podKey('x', 'b'), pod('x/b', { app: 'db' }, '10.0.0.2'));
    index.setPod(podKey('x', 'b'), pod('x/b', { app: 'web' }, '10.0.0.3'));
    expect(show(index.update())).toEqual(['- => x/b 10.0.0.3 in 1']);
    index.setPod(podKey('x', 'b'), pod('x/b', { app: 'db' }, '10.0.0.3'));
    expect(show(index.update())).toEqual(['x/b 10.0.0.3 in 1 => -']);
  });

  test('a newer claim takes an address from its owner, and the end of the newer gives it back', () => {
    const index = new ClassIndex();
    index.acquire(podsIn('x', where()));
    index.update();
    index.setPod(podKey('x', 'old'), pod('x/old', {}, ['10.0.0.1', '10.0.0.2'], { createdAtMs: 1 }));
    index.update();
    index.setPod(podKey('x', 'new'), pod('x/new', {}, '10.0.0.1', { createdAtMs: 2 }));
    expect(show(index.update())).toEqual([
      '- => x/new 10.0.0.1 in 1',
      'x/old 10.0.0.1,10.0.0.2 in 1 => x/old 10.0.0.2 in 1',
    ]);
    index.setPod(podKey('x', 'new'), pod('x/new', {}, '10.0.0.1', { createdAtMs: 2, phase: 'Failed' }));
    expect(show(index.update())).toEqual([
      'x/new 10.0.0.1 in 1 => -',
      'x/old 10.0.0.2 in 1 => x/old 10.0.0.1,10.0.0.2 in 1',
    ]);
  });

  test('a pod in an unknown namespace is a member only where its namespace name decides', () => {
    const index = new ClassIndex();
    const byLabel = index.acquire(podsWhere(where(['team', 'NotIn', 'a']), where()));
    const byName = index.acquire(podsWhere(where([namespaceNameLabel, 'In', 'x']), where()));
    index.setPod(podKey('x', 'a'), pod('x/a', {}, '10.0.0.1'));
    index.update();
    expect([members(byLabel), members(byName)]).toEqual([[], ['x/a']]);
    index.setNamespace(ns('x'), new Map([[namespaceNameLabel, 'x']]));
    expect(show(index.update())).toEqual(['x/a 10.0.0.1 in 1 => x/a 10.0.0.1 in 2']);
    expect([members(byLabel), members(byName)]).toEqual([['x/a'], ['x/a']]);
  });

  test('equal selectors are one, and it is gone with its last user', () => {
    const index = new ClassIndex();
    const one = index.acquire(podsIn('x', where(['app', 'In', 'web'])));
    const two = index.acquire(podsIn('x', where(['app', 'In', 'web'])));
    expect(one).toBe(two);
    index.release(one);
    expect(index.stats()).toMatchObject({ selectors: 1, scopes: 1, keys: 1 });
    index.release(two);
    expect(index.stats()).toMatchObject({ selectors: 0, scopes: 0, keys: 0 });
  });
});

const keys = ['app', 'tier', 'k'];
const values = ['a', 'b', ''];
const names = ['x', 'y', 'z'];
const slots = ['x/1', 'x/2', 'y/1', 'y/2', 'z/1'];

const arbLabels = fc
  .dictionary(fc.constantFrom(...keys), fc.constantFrom(...values), { maxKeys: 3 })
  .map((labels): Labels => new Map(Object.entries(labels)));

const arbSelector = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constantFrom(...keys), fc.constantFrom('Exists' as const, 'DoesNotExist' as const)),
      fc
        .tuple(
          fc.constantFrom(...keys),
          fc.constantFrom('In' as const, 'In' as const, 'NotIn' as const),
          fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }),
        )
        .map(([key, operator, list]) => [key, operator, ...list] as const),
    ),
    { maxLength: 2 },
  )
  .map((requirements) =>
    where(...(requirements as unknown as [key: string, operator: Requirement['operator'], ...values: string[]][])),
  );

const arbPeer = fc.oneof(
  fc.tuple(fc.constantFrom(...names), arbSelector).map(([name, pods]) => podsIn(name, pods)),
  fc
    .tuple(fc.oneof(arbSelector, fc.constantFrom(where([namespaceNameLabel, 'In', 'x', 'y']))), arbSelector)
    .map(([namespaces, pods]) => podsWhere(namespaces, pods)),
);

const arbPod = fc
  .record({
    key: fc.constantFrom(...slots),
    labels: arbLabels,
    addresses: fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', 'fd00::1'), {
      maxLength: 2,
    }),
    phase: fc.constantFrom<PodPhase>('Running', 'Running', 'Running', 'Succeeded'),
    hostNetwork: fc.constantFrom(false, false, false, false, true),
    createdAtMs: fc.nat({ max: 2 }),
    terminating: fc.boolean(),
  })
  .map(({ key, labels, addresses, ...rest }) => ({ ...pod(key, {}, addresses, rest), labels }));

type Step =
  | { readonly kind: 'pod'; readonly key: PodKey; readonly pod: Endpoint | undefined }
  | { readonly kind: 'edit'; readonly key: PodKey; readonly fields: Partial<Endpoint> }
  | { readonly kind: 'namespace'; readonly name: NamespaceName; readonly labels: Labels | undefined }
  | { readonly kind: 'acquire'; readonly selector: PeerSelector }
  | { readonly kind: 'release'; readonly position: number }
  | { readonly kind: 'update' };

const arbPodStep = arbPod.map((pod): Step => ({ kind: 'pod', key: pod.key, pod }));
const arbEnd = fc.constantFrom(...slots).map((slot): Step => ({ kind: 'pod', key: slot as PodKey, pod: undefined }));
const arbEdit = fc
  .record({
    key: fc.constantFrom(...slots).map((slot) => slot as PodKey),
    fields: fc.oneof(
      arbLabels.map((labels): Partial<Endpoint> => ({ labels })),
      fc.nat({ max: 2 }).map((createdAtMs): Partial<Endpoint> => ({ createdAtMs })),
      fc.boolean().map((terminating): Partial<Endpoint> => ({ terminating })),
    ),
  })
  .map((edit): Step => ({ kind: 'edit', ...edit }));
const arbNamespaceStep = fc
  .tuple(fc.constantFrom(...names), fc.option(arbLabels, { nil: undefined }))
  .map(([name, labels]): Step => ({
    kind: 'namespace',
    name: ns(name),
    labels: labels === undefined ? undefined : new Map([...labels, [namespaceNameLabel, name]]),
  }));

const arbStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: arbPodStep },
  { weight: 2, arbitrary: arbEnd },
  { weight: 4, arbitrary: arbEdit },
  { weight: 2, arbitrary: arbNamespaceStep },
  { weight: 3, arbitrary: arbPeer.map((selector): Step => ({ kind: 'acquire', selector })) },
  { weight: 1, arbitrary: fc.nat({ max: 9 }).map((position): Step => ({ kind: 'release', position })) },
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'update' }) },
);

/** Every element a selector's members bring, as changes say it. */
class Replay {
  readonly #brought = new Map<ActiveSelector, Set<string>>();

  /** A selector whose classes are known from now on. */
  begin(active: ActiveSelector): void {
    const pods = [...active.classes].flatMap((podClass) => podClass.pods);
    this.#brought.set(active, new Set(pods.flatMap((entry) => entry.owned.map((a) => `${entry.pod.key} ${a}`))));
  }

  end(active: ActiveSelector): void {
    this.#brought.delete(active);
  }

  apply({ before, after }: MembershipChange): void {
    for (const active of before?.selectors ?? []) {
      for (const a of before!.owned) {
        const known = this.#brought.get(active);
        if (known !== undefined) expect(known.delete(`${before!.pod.key} ${a}`)).toBe(true);
      }
    }
    for (const active of after?.selectors ?? []) {
      for (const a of after!.owned) this.#brought.get(active)?.add(`${after!.pod.key} ${a}`);
    }
  }

  check(): void {
    for (const [active, brought] of this.#brought) {
      const pods = [...active.classes].flatMap((podClass) => podClass.pods);
      const expected = pods.flatMap((entry) => entry.owned.map((a) => `${entry.pod.key} ${a}`));
      expect([...brought].sort()).toEqual(expected.sort());
    }
  }
}

test('after any sequence of changes the index equals naive matching, and its deltas lead there', () => {
  let members = 0;
  fc.assert(
    fc.property(fc.array(arbStep, { maxLength: 60, size: 'max' }), (steps) => {
      const index = new ClassIndex();
      const replay = new Replay();
      const pods = new Map<PodKey, Endpoint>();
      const namespaces = new Map<NamespaceName, Labels>();
      const held: ActiveSelector[] = [];
      const fresh = new Set<ActiveSelector>();
      const update = (): void => {
        for (const change of index.update()) replay.apply(change);
        for (const active of fresh) replay.begin(active);
        fresh.clear();
        expect(indexViolations(index, { pods: [...pods.values()], namespaces })).toEqual([]);
        replay.check();
        members += held.reduce((sum, active) => sum + active.classes.size, 0);
      };
      for (const step of steps) {
        if (step.kind === 'update') update();
        else if (step.kind === 'acquire') {
          const active = index.acquire(step.selector);
          if (!held.includes(active)) fresh.add(active);
          held.push(active);
        } else if (step.kind === 'release') {
          const [active] = held.splice(step.position % Math.max(held.length, 1), 1);
          if (active === undefined) continue;
          index.release(active);
          if (held.includes(active)) continue;
          fresh.delete(active);
          replay.end(active);
        } else if (step.kind === 'pod' || step.kind === 'edit') {
          const known = pods.get(step.key);
          const pod = step.kind === 'pod' ? step.pod : known && { ...known, ...step.fields };
          index.setPod(step.key, pod);
          if (pod === undefined) pods.delete(step.key);
          else pods.set(step.key, pod);
          expect(index.pod(step.key)).toBe(pod && isPoliced(pod) ? pod : undefined);
        } else {
          index.setNamespace(step.name, step.labels);
          if (step.labels === undefined) namespaces.delete(step.name);
          else namespaces.set(step.name, step.labels);
        }
      }
      update();
      for (const active of held) index.release(active);
      for (const key of pods.keys()) index.setPod(key, undefined);
      for (const name of namespaces.keys()) index.setNamespace(name, undefined);
      index.update();
      expect(Object.values(index.stats())).toEqual([0, 0, 0, 0, 0, 0, 0]);
    }),
    { numRuns: 500 },
  );
  expect(members).toBeGreaterThan(1000);
});
