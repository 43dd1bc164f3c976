import { describe, expect, test } from 'vitest';
import type { RawObject } from '../../oracle/question.ts';
import { field, items } from '../../oracle/raw.ts';
import { isFinished, nameOf, namespaceOf, ofKind, phaseOf, podIps, takeSamples } from '../support/samples.ts';
import type { Corners } from '../support/samples.ts';

const worldCorners: Corners = {
  'a namespace nobody has seen': ({ scenario, pods }) =>
    pods.some((pod) => !ofKind(scenario, 'Namespace').some((object) => nameOf(object) === namespaceOf(pod))),
  'a name label that lies': ({ scenario }) =>
    ofKind(scenario, 'Namespace').some((object) => {
      const claimed = field(field(field(object, 'metadata'), 'labels'), 'kubernetes.io/metadata.name');
      return claimed !== undefined && claimed !== nameOf(object);
    }),
  'a node with an ExternalIP': ({ scenario }) => JSON.stringify(ofKind(scenario, 'Node')).includes('ExternalIP'),
  'an IPv4 cluster': ({ scenario }) => scenario.families === 'IPv4',
  'an IPv6 cluster': ({ scenario }) => scenario.families === 'IPv6',
  'a pod with one family in a dual cluster': ({ scenario, pods }) =>
    scenario.families === 'dual' && pods.some((pod) => podIps(pod).length === 1),
  'a hostNetwork pod': ({ pods }) => pods.some((pod) => field(field(pod, 'spec'), 'hostNetwork') === true),
  'a succeeded pod': ({ pods }) => pods.some((pod) => phaseOf(pod) === 'Succeeded'),
  'a failed pod': ({ pods }) => pods.some((pod) => phaseOf(pod) === 'Failed'),
  'a pending pod with an address': ({ pods }) =>
    pods.some((pod) => phaseOf(pod) === 'Pending' && podIps(pod).length > 0),
  'a pod without an address': ({ pods }) => pods.some((pod) => Object.keys(pod['status'] as object).length === 1),
  'a pod with podIP only': ({ pods }) =>
    pods.some((pod) => podIps(pod).length === 0 && field(field(pod, 'status'), 'podIP') !== undefined),
  'a terminating pod': ({ pods }) =>
    pods.some((pod) => field(field(pod, 'metadata'), 'deletionTimestamp') !== undefined),
  'an address of a finished pod that a live one owns': ({ pods }) =>
    clash(pods, (a, b) => isFinished(a) && !isFinished(b)),
  'two live pods of different age claiming one address': ({ pods }) =>
    clash(pods, (a, b) => !isFinished(a) && !isFinished(b) && createdOf(a) !== createdOf(b)),
  'two live pods of equal age claiming one address': ({ pods }) =>
    clash(pods, (a, b) => a !== b && !isFinished(a) && !isFinished(b) && createdOf(a) === createdOf(b)),
  'a clash in one family only': ({ pods }) =>
    clash(pods, (a, b) => !isFinished(a) && !isFinished(b) && podIps(a).some((ip) => !podIps(b).includes(ip))),
  'a port of a restartable init container': ({ pods }) => pods.some((pod) => initPorts(pod, true)),
  'a port of an ordinary init container': ({ pods }) => pods.some((pod) => initPorts(pod, false)),
  'one port name with several numbers': ({ pods }) => pods.some((pod) => hasAmbiguousName(pod)),
};

// A generator whose corners vanish keeps every property green: each must turn up in 300 samples.

const samples = takeSamples(300);

describe('generated worlds hold', () => {
  test.each(Object.entries(worldCorners))('%s', (_name, seen) => {
    expect(samples.some(seen)).toBe(true);
  });
});

function createdOf(pod: RawObject): unknown {
  return field(field(pod, 'metadata'), 'creationTimestamp');
}

function clash(pods: readonly RawObject[], holds: (a: RawObject, b: RawObject) => boolean): boolean {
  const networked = pods.filter((pod) => field(field(pod, 'spec'), 'hostNetwork') !== true);
  return networked.some((a) =>
    networked.some((b) => a !== b && podIps(a).some((ip) => podIps(b).includes(ip)) && holds(a, b)),
  );
}

function initPorts(pod: RawObject, restartable: boolean): boolean {
  return items(field(field(pod, 'spec'), 'initContainers')).some(
    (container) =>
      (field(container, 'restartPolicy') === 'Always') === restartable && items(field(container, 'ports')).length > 0,
  );
}

function hasAmbiguousName(pod: RawObject): boolean {
  const ports = items(field(field(pod, 'spec'), 'containers')).flatMap((container) => items(field(container, 'ports')));
  return ports.some((one) =>
    ports.some((other) => {
      const same = (name: string): boolean => field(one, name) === field(other, name);
      return field(one, 'name') !== undefined && same('name') && same('protocol') && !same('containerPort');
    }),
  );
}
