import { expect, test } from 'vitest';

import { allPods } from '../selector/peer-selector.ts';
import { partElements } from './set-spec.ts';
import { ip, pod } from './testing/cast.ts';

test('a port name stands for every number that the containers of a pod give it, of its protocol', () => {
  const subject = pod({ ports: ['http:80/TCP', 'http:8080/TCP', 'http:80/UDP', 'dns:53/UDP'] });
  const part = { selector: allPods, numbers: [], names: [{ protocol: 'TCP', name: 'http' }] } as const;
  expect(partElements(part, true, subject, ip('10.244.1.1'))).toEqual([
    '10.244.1.1 . tcp . 80',
    '10.244.1.1 . tcp . 8080',
  ]);
});
