import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeExecutor } from 'nftables-json';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import { Controller } from '../controller/controller.ts';
import { NodeCompiler } from '../controller/node-compiler.ts';
import { systemClock } from '../enforcer/clock.ts';
import { Enforcer } from '../enforcer/enforcer.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import { nodeName } from '../model/names.ts';
import { Store } from '../source/store.ts';
import { readConfig } from './config-layers.ts';
import { Metrics } from './metrics.ts';
import { openSource } from './open-source.ts';
import { TimedExecutor } from './timed-executor.ts';

/** What an agent on an API server answers before it has heard or done anything but `lastApply`. */
async function scrape(lastApply?: EnforcerStatus['lastApply']): Promise<string> {
  const read = readConfig({ flags: { node: 'n' }, env: {} });
  if (!read.ok) throw new Error('the configuration was refused');
  const { config } = read.value;
  const store = new Store();
  const executor = new TimedExecutor(new FakeExecutor(), () => undefined);
  const enforcer = new Enforcer({ executor });
  const absent = (): never => {
    throw new Error('nobody looks at the node here');
  };
  const controller = new Controller({
    node: nodeName('n'),
    store,
    compiler: new NodeCompiler({ node: nodeName('n'), enforcement: config.enforcement }),
    enforcer,
    host: { collect: absent, ensureBridgeNetfilter: absent, askNeighbours: absent },
    clock: systemClock,
  });
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' };
  const source = await openSource(config, env);
  const metrics = new Metrics();
  metrics.watch({
    config,
    version: '0.0.0',
    startedAtMs: 0,
    store,
    source,
    controller,
    enforcer: { status: () => ({ ...enforcer.status(), lastApply }) },
    executor,
    capabilities: undefined,
    enforcingSince: () => undefined,
    coldStart: () => false,
  });
  try {
    return await metrics.text();
  } finally {
    metrics.close();
    source.api?.access.close();
    await enforcer.close();
  }
}

/** Names and types in the tables of the page; one row may tell of several. */
function documented(): readonly string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  return [...page.matchAll(/^\| (`nftpolicy_[^|]*) \| (counter|gauge|histogram) \|/gm)].flatMap(
    ([, names = '', type = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => `${name} ${type}`),
  );
}

describe('metrics', () => {
  let text: string;
  beforeAll(async () => {
    text = await scrape();
  });
  const registered = (): readonly string[] =>
    [...text.matchAll(/^# TYPE (nftpolicy_\w+) (\w+)$/gm)].map(([, name = '', type = '']) => `${name} ${type}`);

  test('docs/metrics.md lists exactly those that there are, with their types', () => {
    expect(registered().length).toBeGreaterThan(30);
    expect([...documented()].sort()).toEqual([...registered()].sort());
  });

  test('each has a sentence of help', () => {
    const help = [...text.matchAll(/^# HELP (nftpolicy_\w+) (.*)$/gm)];
    expect(help).toHaveLength(registered().length);
    for (const [, , sentence] of help) expect(sentence).toMatch(/^[A-Z\d].+\.$/);
  });

  test('counters, and nothing else, are called total; times are in seconds', () => {
    for (const name of registered()) {
      expect(name.endsWith(' counter')).toBe(/_total /.test(name));
      expect(name).not.toMatch(/_ms |_millis/);
    }
  });

  afterEach(() => vi.restoreAllMocks());

  test('a time is told by the clock of now: nodes boot without one, and set it later', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(60_000);
    vi.spyOn(Date, 'now').mockReturnValue(1_800_000_000_000);
    expect(await scrape({ ok: true, at: 50_000 })).toContain('nftpolicy_last_apply_timestamp_seconds 1799999990\n');
  });

  test('every alert of the page asks for metrics that there are', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
    const asked = [...page.slice(page.indexOf('## Alerts')).matchAll(/nftpolicy_\w+/g)].map(([name]) => name);
    const names = new Set(registered().map((line) => line.split(' ')[0]));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !names.has(name))).toEqual([]);
  });
});
