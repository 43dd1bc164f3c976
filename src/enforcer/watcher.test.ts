import { describe, expect, test } from 'vitest';

import { systemClock } from './clock.ts';
import { CommitLog, NftMonitor } from './watcher.ts';

const ours = ['delete rule inet nftpolicy b handle 12', 'add rule inet nftpolicy b ip saddr @x accept'];
const commit = '# new generation 3 by process 10641 (nft)';

function foreign(log: CommitLog, lines: readonly string[]): number {
  return lines.filter((line) => log.read(line)).length;
}

describe('the commit log', () => {
  test("reports a stranger's commit to our tables", () => {
    expect(foreign(new CommitLog(), [...ours, commit])).toBe(1);
    expect(foreign(new CommitLog(), ['delete table bridge nftpolicy', commit])).toBe(1);
  });

  test('is silent about our own commit, and about the next of a stranger it is not', () => {
    const log = new CommitLog();
    log.expect(0);
    log.ended(true, 1);
    expect(foreign(log, [...ours, commit])).toBe(0);
    expect(foreign(log, [...ours, commit])).toBe(1);
  });

  test('reports at the latest with our commit when a stranger came first', () => {
    const log = new CommitLog();
    log.expect(0);
    expect(foreign(log, [...ours, commit, ...ours, commit])).toBe(1);
  });

  test.each([
    { when: 'between commits', before: [] },
    { when: 'in the middle of a commit to our tables', before: ours },
  ])('takes lost events, $when, for a stranger, and expects no commit any more', ({ before }) => {
    const lost = '# ERROR: We lost some netlink events!';
    const log = new CommitLog();
    log.expect(0);
    expect(log.take(`${[...before, lost].join('\n')}\n`)).toBe(true);
    log.ended(true, 1);
    expect(log.take('add rule ip other c drop\n# new generation 4 by process 1 (nft)\n')).toBe(false);
    expect(log.take(`${[...ours, commit].join('\n')}\n`)).toBe(true);
  });

  test('expects nothing of a transaction that failed', () => {
    const log = new CommitLog();
    log.expect(0);
    log.ended(false, 1);
    expect(foreign(log, [...ours, commit])).toBe(1);
  });

  test.each([1, 7, 40, 1000])('reads the same in pieces of %i characters', (length) => {
    const elements = Array.from({ length: 20 }, (_, i) => `add element inet nftpolicy s { 10.0.0.${i} }`);
    const other = 'add rule inet other c accept';
    const text = [...ours, ...elements, commit, other, commit, ...elements, commit, ''].join('\n');
    const log = new CommitLog();
    log.expect(0);
    log.ended(true, 1);
    let heard = 0;
    for (let at = 0; at < text.length; at += length) if (log.take(text.slice(at, at + length))) heard += 1;
    expect(heard).toBe(1);
  });

  test.each([
    { name: 'another table', line: 'add rule inet kube-proxy services ip daddr 10.0.0.1 accept' },
    { name: 'a table whose name begins like ours', line: 'add table inet nftpolicy-other' },
    { name: 'our name in another family', line: 'add table ip nftpolicy' },
    { name: 'our name in a comment', line: 'add rule inet other c accept comment "inet nftpolicy"' },
    { name: 'the deny record', line: 'add element inet nftpolicy denied-4 { 10.0.0.1 . 10.0.0.2 . tcp . 80 }' },
    { name: 'the record of audits', line: 'add element inet nftpolicy audited-6 { fd00::1 . fd00::2 . udp . 53 }' },
  ])('does not care about $name', ({ line }) => {
    expect(foreign(new CommitLog(), [line, commit])).toBe(0);
  });

  test('is stale when a commit of ours does not show up', () => {
    const log = new CommitLog();
    log.expect(0);
    log.ended(true, 100);
    expect(log.isStale(1_000)).toBe(false);
    expect(log.isStale(2_100)).toBe(true);
    expect(log.isStale(9_000)).toBe(false);
  });
});

test('a monitor that the machine cannot start is tried again, and the owner looks meanwhile', async () => {
  // Longer than the kernel lets an argument be.
  const monitor = new NftMonitor({ command: ['x'.repeat(1024 * 1024)], clock: systemClock });
  let looks = 0;
  monitor.start(() => (looks += 1));
  await expect.poll(() => looks, { timeout: 10_000 }).toBeGreaterThan(1);
  expect(monitor.healthy).toBe(false);
  await monitor.close();
});
