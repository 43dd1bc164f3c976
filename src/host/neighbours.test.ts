import { expect, test } from 'vitest';

import { parseCidr } from '../model/cidr.ts';
import { HostError } from './commands.ts';
import { askNeighbours } from './neighbours.ts';
import { samplePod } from './sample-facts.ts';

const block = parseCidr('10.244.1.0/24')?.cidr;
const shape = {
  routed: [],
  bridges: [{ name: 'cni0', ports: { kind: 'bridge-name' as const }, podCidrs: block === undefined ? [] : [block] }],
};

test('it asks on the bridge whose subnet holds the address, and for no other address', async () => {
  const lines: string[] = [];
  const run = async (command: string, args: readonly string[]): Promise<string> => {
    lines.push([command, ...args].join(' '));
    return '';
  };
  const pods = [samplePod('a', ['10.244.1.7', 'fd00::7']), samplePod('b', ['10.9.9.9'])];
  expect(await askNeighbours(pods, shape, { run, follow: async () => undefined })).toBe(1);
  expect(lines).toEqual(['ip neigh replace 10.244.1.7 dev cni0 use']);
});

test('a bridge that is gone is no failure', async () => {
  const run = async (): Promise<string> => {
    throw new HostError('command-failed', 'ip', 'Cannot find device');
  };
  expect(await askNeighbours([samplePod('a', ['10.244.1.7'])], shape, { run, follow: async () => undefined })).toBe(0);
});
