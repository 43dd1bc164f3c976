import { beforeEach, describe, expect, test } from 'vitest';

import { CheckedSink } from '../../../test/api-server/checked-sink.ts';
import { denyAllObject, podObject } from '../../../test/api-server/objects-for-tests.ts';
import { decodeObject } from '../../model/decode/object.ts';
import { policyKey } from '../../model/names.ts';
import type { ResourceKind } from '../source.ts';
import type { WireObject } from './codec.ts';
import { Counters } from './counters.ts';
import { DecodeFailure } from './decode-failure.ts';
import type { Decode } from './intake.ts';
import { Intake } from './intake.ts';

let sink: CheckedSink;
let counters: Counters;

beforeEach(() => {
  sink = new CheckedSink();
  counters = new Counters();
});

function intakeOf(kind: ResourceKind, decode: Decode = decodeObject): Intake {
  return new Intake({ kind, sink, decode, counters });
}

function wire(raw: Readonly<Record<string, unknown>>, uid: string, version: string): WireObject {
  const metadata = { ...(raw['metadata'] as Record<string, unknown>), uid, resourceVersion: version };
  const { name, namespace } = metadata as unknown as { name: string; namespace: string };
  return { uid, version, name, namespace, raw: { ...raw, metadata } };
}

function pod(
  name: string,
  version: string,
  labels: Record<string, unknown> = {},
  uid: string = `u-${name}`,
): WireObject {
  return wire(podObject({ name, labels }), uid, version);
}

function known(): string[] {
  return [...sink.store.snapshot().pods.values()].map(
    ({ uid, source }) => `${uid} ${source.kind === 'cluster' ? source.resourceVersion : ''}`,
  );
}

describe('while watching', () => {
  test('an older version is ignored and counted, the same version is ignored', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.upsert(pod('a', '9'));
    expect(known()).toEqual(['u-a 10']);
    intake.upsert(pod('a', '10'));
    expect(sink.calls).toEqual(['upsert Pod shop/a']);
    expect(counters.staleIgnored).toBe(1);
  });

  test('a deletion is by uid, and unknown ones are nobody’s business', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.remove(pod('a', '12', {}, 'u-other'));
    expect(known()).toEqual(['u-a 10']);
    intake.remove(pod('a', '12'));
    intake.remove(pod('a', '13'));
    expect(known()).toEqual([]);
    expect(sink.violations).toEqual([]);
  });

  test('the state of a deleted object is not looked at', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.remove({ ...pod('a', '12'), raw: 'nonsense' });
    expect(known()).toEqual([]);
  });

  test('a deletion older than what is known is stale', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.remove(pod('a', '9'));
    expect(known()).toEqual(['u-a 10']);
    expect(counters.staleIgnored).toBe(1);
  });

  test('an undecodable object is thrown back, and changes nothing', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    expect(() => intake.upsert(pod('a', '11', { app: 17 }))).toThrow(DecodeFailure);
    expect(known()).toEqual(['u-a 10']);
    expect(counters.decodeErrors).toBe(1);
  });

  test('a decoder that throws is an undecodable object', () => {
    const intake = intakeOf('Pod', () => {
      throw new RangeError('stack');
    });
    expect(() => intake.upsert(pod('a', '10'))).toThrow('the decoder failed: RangeError: stack');
  });

  test('a name that comes with a new uid first loses the old one', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.upsert(pod('a', '12', {}, 'u-a-2'));
    expect(sink.calls).toEqual(['upsert Pod shop/a', 'remove Pod u-a', 'upsert Pod shop/a']);
    intake.remove(pod('a', '11'));
    expect(known()).toEqual(['u-a-2 12']);
    expect(sink.violations).toEqual([]);
  });
});

describe('a list', () => {
  test('sweeps what it does not hold', () => {
    const intake = intakeOf('Pod');
    for (const name of ['a', 'b', 'c']) intake.upsert(pod(name, '10'));
    intake.beginList();
    intake.upsert(pod('b', '10'));
    intake.endList();
    expect(known()).toEqual(['u-b 10']);
    expect(counters.syntheticDeletes).toBe(2);
  });

  test('is the truth, even with lower versions; within it versions count again', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '50'));
    intake.beginList();
    expect(intake.upsert(pod('a', '20'))).toBe(true);
    expect(intake.upsert(pod('a', '19'))).toBe(false);
    expect(intake.upsert(pod('a', '21'))).toBe(false);
    intake.endList();
    expect(known()).toEqual(['u-a 21']);
    expect(counters.staleIgnored).toBe(1);
  });

  test('that broke off sweeps nothing, and the next one begins anew', () => {
    const intake = intakeOf('Pod');
    for (const name of ['a', 'b']) intake.upsert(pod(name, '10'));
    intake.beginList();
    intake.upsert(pod('a', '11'));
    intake.beginList();
    expect(known()).toEqual(['u-a 11', 'u-b 10']);
    intake.upsert(pod('b', '10'));
    intake.endList();
    expect(known()).toEqual(['u-b 10']);
  });

  test('that shows an object and then its deletion does not hold it', () => {
    const intake = intakeOf('Pod');
    intake.beginList();
    intake.upsert(pod('a', '10'));
    intake.remove(pod('a', '11'));
    intake.endList();
    expect(known()).toEqual([]);
    expect(sink.violations).toEqual([]);
  });
});

describe('quarantine', () => {
  test('a pod leaves, is reported, and comes back with a readable version', () => {
    const intake = intakeOf('Pod');
    intake.upsert(pod('a', '10'));
    intake.beginList();
    intake.upsert(pod('a', '11', { app: 17 }));
    intake.endList();
    expect(known()).toEqual([]);
    expect(counters.quarantined).toBe(1);
    expect(sink.store.diagnostics().get('Pod shop/a')?.at(-1)?.code).toBe('K001');
    intake.upsert(pod('a', '12', { app: 'web' }));
    expect(known()).toEqual(['u-a 12']);
    expect(counters.quarantined).toBe(0);
    expect(sink.store.diagnostics().size).toBe(0);
  });

  test('a policy keeps its last known version, through later lists too', () => {
    const bad: Decode = (raw, source) =>
      JSON.stringify(raw).includes('bad') ? { diagnostics: [] } : decodeObject(raw, source);
    const intake = intakeOf('NetworkPolicy', bad);
    const policy = denyAllObject('deny');
    intake.upsert(wire(policy, 'u', '10'));
    for (const version of ['11', '12']) {
      intake.beginList();
      intake.upsert(wire({ ...policy, spec: 'bad' }, 'u', version));
      intake.endList();
    }
    expect(sink.store.snapshot().policies.get(policyKey('shop', 'deny'))?.ingress.isolates).toBe(true);
    expect(sink.store.diagnostics().get('NetworkPolicy shop/deny')?.at(-1)?.help).toContain('stays in force');
    intake.beginList();
    intake.endList();
    expect(sink.store.snapshot().policies.size).toBe(0);
    expect(sink.store.diagnostics().size).toBe(0);
    expect(counters.quarantined).toBe(0);
  });

  test('a policy that was never readable isolates its namespace until it can be read', () => {
    const bad: Decode = (raw, source) => {
      if (JSON.stringify(raw).includes('bad')) throw new Error('a defect');
      return decodeObject(raw, source);
    };
    const intake = intakeOf('NetworkPolicy', bad);
    const policy = denyAllObject('deny');
    const stored = (): unknown => sink.store.snapshot().policies.get(policyKey('shop', 'deny'));
    const closed = { isolates: true, rules: [] };
    for (const version of ['10', '11']) {
      intake.beginList();
      intake.upsert(wire({ ...policy, spec: 'bad' }, 'u', version));
      intake.endList();
      expect(stored()).toMatchObject({
        subjects: { requirements: [] },
        ingress: closed,
        egress: closed,
        mode: 'enforce',
      });
      expect(sink.store.diagnostics().get('NetworkPolicy shop/deny')?.at(-1)?.help).toContain('isolated');
    }
    intake.upsert(wire({ ...policy, spec: { podSelector: {}, policyTypes: ['Ingress'] } }, 'u', '12'));
    expect(stored()).toMatchObject({ ingress: closed, egress: { isolates: false } });
    expect(sink.store.diagnostics().size).toBe(0);
    intake.remove(wire(policy, 'u', '13'));
    expect(stored()).toBeUndefined();
  });

  test('a report outlives its object if a successor of the same name made one too', () => {
    const intake = intakeOf('Pod');
    intake.beginList();
    intake.upsert(pod('a', '10', { app: 17 }));
    intake.upsert(pod('a', '12', { app: 17 }, 'u-a-2'));
    intake.endList();
    intake.remove(pod('a', '13'));
    expect(sink.store.diagnostics().has('Pod shop/a')).toBe(true);
    intake.remove(pod('a', '14', {}, 'u-a-2'));
    expect(sink.store.diagnostics().size).toBe(0);
  });
});
