import { describe, expect, test } from 'vitest';
import type { NftVersion } from './capability.ts';
import { compareVersion, formatVersion, parseVersion, probeCapabilities } from './capability.ts';
import { NftError } from './errors.ts';
import { FakeExecutor } from './fake.ts';
import type { Transaction } from './transaction.ts';

const version = async (): Promise<string> => await Promise.resolve('nftables v1.0.6 (Lester Gooch #5)');

test.each([
  ['nftables v1.0.6 (Lester Gooch #5)', [1, 0, 6, 0]],
  ['nftables v1.0.6.1 (Lester Gooch #5)', [1, 0, 6, 1]],
  ['nftables v1.1.3 (Commodore Bullmoose #4)', [1, 1, 3, 0]],
  ['nftables v2.0', [2, 0, 0, 0]],
])('%s is version %j', (text, [major, minor, patch, build]) => {
  expect(parseVersion(text)).toEqual({ text, major, minor, patch, build });
});

test.each(['1.0.6', '1.0.6.1', '1.1.3'])('%s is written as it is read', (text) => {
  expect(formatVersion(parseVersion(`v${text}`) as NftVersion)).toBe(text);
});

test('a text without a version is none', () => {
  expect(parseVersion('busybox')).toBeUndefined();
});

test.each([
  ['v1.0.6', [1, 0, 6], 0],
  ['v1.0.6.1', [1, 0, 6], 1],
  ['v1.1.0', [1, 0, 9], 1],
  ['v0.9.8', [1, 0], -1],
])('%s compared with %j', (text, numbers, sign) => {
  expect(Math.sign(compareVersion(parseVersion(text) as NftVersion, numbers))).toBe(sign);
});

describe('a probe', () => {
  test('asks with transactions that are valid in themselves', async () => {
    const fake = new FakeExecutor();
    const { version: found, features } = await probeCapabilities({ version, check: fake.check.bind(fake) });
    expect(found).toMatchObject({ major: 1, minor: 0, patch: 6 });
    expect([...features].filter(([, feature]) => !feature.available)).toEqual([]);
    expect(features.size).toBe(10);
  });

  test('reads a refusal as a missing feature', async () => {
    const check = async (transaction: Transaction): Promise<void> => {
      await Promise.resolve();
      if (transaction.encode().includes('ibrname')) throw new NftError('no', { code: 'unsupported' });
    };
    const { features } = await probeCapabilities({ version, check });
    expect([...features].filter(([, feature]) => !feature.available).map(([name]) => name)).toEqual(['bridge-meta']);
  });

  test('does not take a failure to ask for an answer', async () => {
    const check = async (): Promise<void> => await Promise.reject(new NftError('no', { code: 'permission' }));
    await expect(probeCapabilities({ version, check })).rejects.toMatchObject({ code: 'permission' });
  });

  test('needs a program that says its version', async () => {
    const fake = new FakeExecutor();
    const silent = { version: async () => await Promise.resolve('?'), check: fake.check.bind(fake) };
    await expect(probeCapabilities(silent)).rejects.toMatchObject({ code: 'unknown' });
  });
});
