import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { HostError } from './commands.ts';
import type { Commands } from './commands.ts';
import { watchHost } from './watch.ts';

let root: string;
let stop: AbortController;
let calls: number;
let watching: Promise<void>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'watch-host-'));
  stop = new AbortController();
  calls = 0;
});
afterEach(async () => {
  stop.abort();
  await watching;
  rmSync(root, { recursive: true });
});

function start(follow: Commands['follow'], onTrouble?: (trouble: Error) => void): void {
  watching = watchHost(() => (calls += 1), stop.signal, {
    commands: { run: async () => '', follow },
    cniCacheDirectories: [join(root, 'a/b/results')],
    cniConfigDirectory: root,
    netnsDirectory: root,
    timings: { gatherMs: 1, retryMs: 1, maxRetryMs: 20 },
    ...(onTrouble === undefined ? {} : { onTrouble }),
  });
}

const untilStopped = async (signal: AbortSignal): Promise<void> => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
};
const called = async (): Promise<void> => await vi.waitFor(() => expect(calls).toBeGreaterThan(0), 5000);

test('it calls once at the start', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  await called();
});

test('a burst of lines is gathered', async () => {
  let line: ((text: string) => void) | undefined;
  start((_command, _args, onLine, signal) => {
    line = onLine;
    return untilStopped(signal);
  });
  await called();
  const before = calls;
  for (let i = 0; i < 1000; i += 1) line?.(`change ${i}`);
  await vi.waitFor(() => expect(calls).toBeGreaterThan(before), 5000);
  expect(calls - before).toBeLessThan(10);
});

describe('routes', () => {
  /** What `ip monitor` prints. */
  const far = [
    '10.2.0.0/24 via 192.0.2.9 dev eth0 ',
    'Deleted 10.2.0.0/24 via 192.0.2.9 dev eth0 ',
    'fd02::/64 via fd00::9 dev eth0 metric 1024 pref medium',
    '10.3.0.0/24 ',
    '\tnexthop via 192.0.2.9 dev eth0 weight 1 ',
    'blackhole 10.4.0.0/26 ',
    'local 10.1.0.5 dev lo table local proto kernel scope host src 127.0.0.1 ',
    'Deleted multicast ff00::/8 dev eth0 table local proto kernel metric 256 pref medium',
  ];
  const near = [
    '10.1.0.5 dev veth1 scope link ',
    'Deleted fd01::5 dev veth1 metric 1024 pref medium',
    'default via 192.0.2.9 dev eth0 ',
    '3: veth1    inet6 fd00::1/64 scope global tentative ',
    '       valid_lft forever preferred_lft forever',
    'Deleted 3: veth1@NONE: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default ',
    '    link/ether a6:e4:bf:a1:c3:15 brd ff:ff:ff:ff:ff:ff',
    'nsid 0 (iproute2 netns name: node1)',
  ];

  async function callsFor(lines: readonly string[], subnetMs: number): Promise<number> {
    let hear: ((text: string) => void) | undefined;
    watching = watchHost(() => (calls += 1), stop.signal, {
      commands: {
        run: async () => '',
        follow: (_command, _args, onLine, signal) => {
          hear = onLine;
          return untilStopped(signal);
        },
      },
      cniCacheDirectories: [],
      cniConfigDirectory: root,
      netnsDirectory: root,
      timings: { gatherMs: 1, subnetMs },
    });
    // Both looks at the start are over, the second of which comes after half a second.
    await delay(700);
    calls = 0;
    for (const line of lines) {
      hear?.(line);
      await delay(5);
    }
    await delay(50);
    return calls;
  }

  test('to subnets are gathered for long: those of 5,000 nodes must not keep this one busy', async () => {
    expect(await callsFor(far, 3_600_000)).toBe(0);
  });

  test('to subnets are looked at in the end', async () => {
    expect(await callsFor(far, 20)).toBeGreaterThan(0);
  });

  test('to one address, and all else, are looked at at once', async () => {
    expect(await callsFor(near, 3_600_000)).toBeGreaterThanOrEqual(near.length / 2);
  });
});

test('a command that cannot run is reported and tried again', async () => {
  const troubles: Error[] = [];
  start(
    async () => {
      throw new HostError('command-missing', 'ip monitor', 'not found');
    },
    (trouble) => troubles.push(trouble),
  );
  await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(2), 5000);
});

test('a command that ends is started again', async () => {
  let starts = 0;
  start(async () => {
    starts += 1;
  });
  await vi.waitFor(() => expect(starts).toBeGreaterThan(2), 5000);
});

test('a directory that appears later is watched, and again after it was deleted', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  await called();
  for (let round = 0; round < 2; round += 1) {
    mkdirSync(join(root, 'a/b/results'), { recursive: true });
    // Writes until one is noticed: nobody says when the watch stands.
    const before = calls;
    await vi.waitFor(
      () => {
        writeFileSync(join(root, 'a/b/results', 'entry'), '{}');
        expect(calls).toBeGreaterThan(before + 3);
      },
      { timeout: 5000, interval: 20 },
    );
    rmSync(join(root, 'a'), { recursive: true });
  }
});

test('an aborted watch ends', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  stop.abort();
  await expect(watching).resolves.toBeUndefined();
});
