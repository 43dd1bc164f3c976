/** nftables-json against the real nft and kernel, inside a network namespace of its own. */
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeExecutor, NftProcess } from 'nftables-json';
import { executorContract } from '../../packages/nftables-json/src/executor.contract.ts';

const isRoot = process.getuid?.() === 0;
// Without root there is no kernel to ask; with REQUIRE_KERNEL the set-up fails instead of skipping.
const skip = !isRoot && process.env['REQUIRE_KERNEL'] === undefined;
const namespace = `nftjson-${process.pid}`;
const command = ['ip', 'netns', 'exec', namespace, 'nft'];

describe.skipIf(skip)('nft on this kernel', () => {
  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', namespace]);
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', namespace]);
  });

  const nft = new NftProcess({ command });

  describe('keeps the executor contract, and the fake answers alike', () => {
    const fake = new FakeExecutor();
    executorContract(
      () => nft,
      () => fake,
    );
  });

  test('has a version', async () => {
    expect(await nft.version()).toMatch(/^nftables v\d+\.\d+/);
  });
});
