import { join } from 'node:path';

import { NftProcess } from 'nftables-json';

import { Controller } from '../controller/controller.ts';
import { FullCompiler } from '../controller/full-compiler.ts';
import { systemClock } from '../enforcer/clock.ts';
import { Enforcer } from '../enforcer/enforcer.ts';
import { NftMonitor } from '../enforcer/watcher.ts';
import { collectHostFacts } from '../host/facts.ts';
import type { HostOptions } from '../host/facts.ts';
import { ensureBridgeNetfilter } from '../host/kernel-settings.ts';
import { askNeighbours } from '../host/neighbours.ts';
import { watchHost } from '../host/watch.ts';
import { nodeName } from '../model/names.ts';
import { Store } from '../source/store.ts';
import type { AgentConfig } from './config.ts';
import type { Logger } from './logger.ts';
import type { OpenedSource } from './open-source.ts';
import { ReadyFile } from './ready-file.ts';
import { Reporter } from './reporter.ts';

/** What the agent of one node is made of. */
export interface AgentOptions {
  readonly config: AgentConfig;
  readonly source: OpenedSource;
  readonly logger: Logger;
}

/**
 * Runs the agent until aborted: objects and host facts in, rules in the kernel out. When it stops, for whatever
 * reason, the rules stay: only `policy cleanup` removes them.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { config, logger } = options;
  const { source } = options.source;
  const node = nodeName(config.node);
  const host: HostOptions = {
    cniConfigDirectory: config.cniConfDir,
    cniCacheDirectories: [join(config.cniCacheDir, 'results'), join(config.cniCacheDir, 'cache/results')],
    netnsDirectory: config.netnsDir,
  };
  const reporter = new Reporter(logger);
  const store = new Store({
    onListenerError: (error) => logger.error({ err: error }, 'a listener failed: a defect of nftpolicy'),
  });
  store.listen({ reported: (scope) => reporter.objects(store, scope) });

  const ready = config.readyFile === undefined ? undefined : new ReadyFile(config.readyFile, node);
  await ready?.remove();
  const enforcer = new Enforcer({
    executor: new NftProcess(),
    watcher: new NftMonitor({ clock: systemClock }),
    onReport: (status) => {
      reporter.enforcer(status);
      ready?.update(status);
    },
  });
  const controller = new Controller({
    node,
    store,
    compiler: new FullCompiler(store.snapshot(), config.enforcement),
    enforcer,
    host: {
      collect: (previous) => collectHostFacts({ ...host, ...(previous === undefined ? {} : { previous }) }),
      ensureBridgeNetfilter: () => ensureBridgeNetfilter(),
      askNeighbours: (pods, shape) => askNeighbours(pods, shape),
    },
    clock: systemClock,
    onRun: (status) => reporter.controller(status),
  });

  logger.info({ node, source: options.source.description }, 'agent starts');
  enforcer.start();
  const watching = watchHost(() => controller.hostChanged(), signal, {
    ...host,
    onTrouble: (error) => logger.warn({ err: error }, 'watching the node failed, trying again'),
  });
  await Promise.all([source.run(store, signal), watching, controller.run(signal)]);
  await enforcer.close();
  await ready?.written();
  logger.info({ node }, 'agent stops, the rules stay');
}
