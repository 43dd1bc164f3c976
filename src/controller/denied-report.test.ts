import { describe, expect, test } from 'vitest';

import { createJudge } from '../compiler/judge.ts';
import type { DeniedFlow } from '../enforcer/denied.ts';
import { decodeObject } from '../model/decode/object.ts';
import { nodeName } from '../model/names.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { addressOwners } from '../selector/address-owners.ts';
import { snapshotOf } from '../source/store.ts';
import { explainDenied } from './denied-report.ts';
import type { DeniedEntry } from './denied-report.ts';

function object(raw: object): ModelObject {
  const { object: decoded } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
  if (decoded === undefined) throw new Error('it does not decode');
  return decoded;
}

const pod = (name: string, ip: string, node = 'n1'): ModelObject =>
  object({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: name, labels: { app: name } },
    spec: { nodeName: node, containers: [] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  });
const policy = (name: string, app: string, types: string[], mode?: string): ModelObject =>
  object({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'shop', annotations: mode === undefined ? {} : { 'nftpolicy.dev/mode': mode } },
    spec: { podSelector: { matchLabels: { app } }, policyTypes: types },
  });

function explain(
  objects: readonly ModelObject[],
  flow: Partial<DeniedFlow>,
  mode: DeniedEntry['mode'] = 'denied',
  closed: readonly string[] = [],
): DeniedEntry {
  const snapshot = snapshotOf(objects);
  const owners = addressOwners(snapshot.pods.values());
  const recorded = { from: '10.0.0.2', to: '10.0.0.1', protocol: 'tcp', port: 80, expiresSeconds: 288, packets: 3 };
  const [entry] = explainDenied([{ ...recorded, ...flow }], mode, {
    node: nodeName('n1'),
    judge: createJudge(snapshot),
    owner: (address) => owners.get(address),
    nodeOf: (address) => (address === '192.0.2.9' ? nodeName('n9') : undefined),
    closed: new Set(closed),
  });
  if (entry === undefined) throw new Error('no entry');
  return entry;
}

const pods = [pod('db', '10.0.0.1'), pod('web', '10.0.0.2')];

describe('a denied flow', () => {
  test('names both pods, the side that denies and the policies that isolate there', () => {
    expect(explain([...pods, policy('db', 'db', ['Ingress'])], {})).toEqual({
      mode: 'denied',
      from: { address: '10.0.0.2', pod: 'shop/web' },
      to: { address: '10.0.0.1', pod: 'shop/db' },
      protocol: 'tcp',
      port: 80,
      packets: 3,
      ageSeconds: 12,
      reason: 'no-rule-admits',
      direction: 'ingress',
      policies: ['shop/db'],
    });
  });

  test('is denied by egress first, as a packet meets it', () => {
    const both = [...pods, policy('db', 'db', ['Ingress']), policy('web', 'web', ['Egress'])];
    expect(explain(both, {})).toMatchObject({ direction: 'egress', policies: ['shop/web'] });
  });

  test('is judged by the pods of this node only', () => {
    const far = [pod('db', '10.0.0.1'), pod('web', '10.0.0.2', 'n2')];
    const both = [...far, policy('db', 'db', ['Ingress']), policy('web', 'web', ['Egress'])];
    expect(explain(both, {})).toMatchObject({ direction: 'ingress', policies: ['shop/db'] });
  });

  test('from a node is named by the node', () => {
    const entry = explain([...pods, policy('db', 'db', ['Ingress'])], { from: '192.0.2.9' });
    expect(entry).toMatchObject({ from: { address: '192.0.2.9', node: 'n9' }, reason: 'no-rule-admits' });
  });

  test('that would pass now says so', () => {
    expect(explain(pods, {})).toMatchObject({ reason: 'allowed-now', policies: [] });
  });

  test('of a closed pod says so', () => {
    expect(explain(pods, {}, 'denied', ['db'])).toMatchObject({ reason: 'pod-closed', direction: 'ingress' });
  });

  test('between strangers has no known reason', () => {
    expect(explain(pods, { from: '10.9.9.9', to: '10.9.9.8' })).toMatchObject({ reason: 'unknown-pod' });
  });

  test('that was only audited names the policies in audit mode', () => {
    const audited = [...pods, policy('dry', 'db', ['Ingress'], 'audit')];
    expect(explain(audited, {}, 'would-deny')).toMatchObject({
      mode: 'would-deny',
      reason: 'no-rule-admits',
      direction: 'ingress',
      policies: ['shop/dry'],
    });
  });
});
