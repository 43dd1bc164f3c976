import { rename, rm, writeFile } from 'node:fs/promises';

import { NftProcess } from 'nftables-json';

import { defaultOptions } from '../compiler/options.ts';
import { Controller } from '../controller/controller.ts';
import { FullCompiler } from '../controller/full-compiler.ts';
import { systemClock } from '../enforcer/clock.ts';
import { Enforcer } from '../enforcer/enforcer.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import { NftMonitor } from '../enforcer/watcher.ts';
import { collectHostFacts } from '../host/facts.ts';
import type { HostOptions } from '../host/facts.ts';
import { ensureBridgeNetfilter } from '../host/kernel-settings.ts';
import { askNeighbours } from '../host/neighbours.ts';
import { watchHost } from '../host/watch.ts';
import type { NodeName } from '../model/names.ts';
import type { Source } from '../source/source.ts';
import { Store } from '../source/store.ts';
import type { Logger } from './logger.ts';
import { Reporter } from './reporter.ts';

/** What the agent of one node is made of. */
export interface AgentOptions {
  readonly node: NodeName;
  readonly source: Source;
  readonly host: HostOptions;
  /** Written after the first complete apply, removed at the start. */
  readonly readyFile?: string;
  readonly logger: Logger;
}

/**
 * Runs the agent until aborted: objects and host facts in, rules in the kernel out. When it stops, for whatever
 * reason, the rules stay: only `policy cleanup` removes them.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { node, source, logger, readyFile } = options;
  if (readyFile !== undefined) await rm(readyFile, { force: true });
  const reporter = new Reporter(logger);
  const store = new Store({
    onListenerError: (error) => logger.error({ err: error }, 'a listener failed: a defect of nftpolicy'),
  });
  store.listen({ reported: (scope) => reporter.objects(store, scope) });

  const ready = readyFile === undefined ? undefined : new ReadyFile(readyFile, node);
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
    compiler: new FullCompiler(store.snapshot(), defaultOptions),
    enforcer,
    host: {
      collect: (previous) => collectHostFacts({ ...options.host, ...(previous === undefined ? {} : { previous }) }),
      ensureBridgeNetfilter: () => ensureBridgeNetfilter(),
      askNeighbours: (pods, shape) => askNeighbours(pods, shape),
    },
    clock: systemClock,
    onRun: (status) => reporter.controller(status),
  });

  logger.info({ node }, 'agent starts');
  enforcer.start();
  const watching = watchHost(() => controller.hostChanged(), signal, {
    ...options.host,
    onTrouble: (error) => logger.warn({ err: error }, 'watching the node failed, trying again'),
  });
  await Promise.all([source.run(store, signal), watching, controller.run(signal)]);
  await enforcer.close();
  await ready?.written();
  logger.info({ node }, 'agent stops, the rules stay');
}

/** Tells other programs that this node is enforced: written once, whole, after the first complete apply. */
class ReadyFile {
  readonly #path: string;
  readonly #node: NodeName;
  #writing: Promise<void> | undefined;

  constructor(path: string, node: NodeName) {
    this.#path = path;
    this.#node = node;
  }

  update(status: EnforcerStatus): void {
    if (status.lastApply?.ok !== true || this.#writing !== undefined) return;
    this.#writing = this.#write();
  }

  async written(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const temporary = `${this.#path}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify({ node: this.#node, readyAt: new Date().toISOString() })}\n`);
    await rename(temporary, this.#path);
  }
}
