import { join } from 'node:path';

import { NftProcess } from 'nftables-json';
import type { Capabilities } from 'nftables-json';

import { Controller, requiredKinds } from '../controller/controller.ts';
import type { RulesetSink } from '../controller/controller.ts';
import type { DeniedReport } from '../controller/denied-report.ts';
import { NodeCompiler } from '../controller/node-compiler.ts';
import { systemClock } from '../enforcer/clock.ts';
import { Enforcer } from '../enforcer/enforcer.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import { NftMonitor } from '../enforcer/watcher.ts';
import { collectHostFacts } from '../host/facts.ts';
import type { HostOptions } from '../host/facts.ts';
import { ensureBridgeNetfilter } from '../host/kernel-settings.ts';
import { askNeighbours } from '../host/neighbours.ts';
import { watchHost } from '../host/watch.ts';
import { nodeName } from '../model/names.ts';
import type { PodKey } from '../model/names.ts';
import { Store } from '../source/store.ts';
import { fillStore, findState, keepState } from './cold-start.ts';
import type { StateOptions } from './cold-start.ts';
import type { AgentConfig } from './config.ts';
import { DeniedLog } from './denied-log.ts';
import { live, ready } from './health.ts';
import { HttpServer } from './http-server.ts';
import type { Insight } from './insight.ts';
import { KubernetesEvents } from './kubernetes-events.ts';
import type { Logger } from './logger.ts';
import { Metrics } from './metrics.ts';
import type { OpenedSource } from './open-source.ts';
import { ReadyFile } from './ready-file.ts';
import { Reporter } from './reporter.ts';
import { logSource } from './source-log.ts';
import { removeStartupTaint } from './startup-taint.ts';
import { statusReport } from './status.ts';
import { TimedExecutor } from './timed-executor.ts';
import { troublesOf } from './troubles.ts';
import { ownVersion } from './version.ts';

/** What the agent of one node is made of. */
export interface AgentOptions {
  readonly config: AgentConfig;
  readonly source: OpenedSource;
  readonly logger: Logger;
  /** What nft and the kernel can do, if they said. */
  readonly capabilities?: Capabilities | undefined;
}

/**
 * Runs the agent until told to stop: objects and host facts in, rules in the kernel out. When it stops, for whatever
 * reason, the rules stay: only `policy cleanup` removes them. Rejects, with nothing left running, when a part of it
 * fails by a defect.
 */
export async function runAgent(options: AgentOptions, told: AbortSignal): Promise<void> {
  const { config, logger, source } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([told, ended.signal]);
  const node = nodeName(config.node);
  const host = hostOptions(config);
  const reporter = new Reporter(logger);
  const metrics = new Metrics();
  const store = new Store({
    onListenerError: (error) => logger.error({ err: error }, 'a listener failed: a defect of nftpolicy'),
  });
  store.listen({ reported: (scope) => reporter.objects(store, scope) });
  const readyFile =
    config.readyFile === undefined
      ? undefined
      : new ReadyFile({ path: config.readyFile, node, clock: systemClock, logger, signal });
  await readyFile?.remove();
  const events =
    source.api === undefined
      ? undefined
      : new KubernetesEvents({
          access: source.api.access,
          node,
          clock: systemClock,
          logger,
          onResult: (result) => metrics.event(result),
        });

  let enforcingSince: number | undefined;
  const executor = new TimedExecutor(new NftProcess(), (call) => metrics.nftCall(call));
  const onEnforcer = (status: EnforcerStatus): void => {
    const tookMs = controller.progress.applied(status.appliedGeneration, systemClock.now());
    if (status.lastApply?.ok === true && !isCold()) enforcingSince ??= status.lastApply.at;
    metrics.enforcer(status, tookMs);
    reporter.enforcer(status, controller.status().bindings);
    if (!isCold()) readyFile?.update(status);
    events?.update(troublesOf(node, controller.status(), status));
  };
  const enforcer = new Enforcer({ executor, watcher: new NftMonitor({ clock: systemClock }), onReport: onEnforcer });
  const createController = (from: Store, sink: RulesetSink): Controller =>
    new Controller({
      node,
      store: from,
      compiler: new NodeCompiler({ node, enforcement: config.enforcement }),
      enforcer: sink,
      host: {
        collect: (previous) => collectHostFacts({ ...host, ...(previous === undefined ? {} : { previous }) }),
        ensureBridgeNetfilter: () => ensureBridgeNetfilter(),
        askNeighbours: (pods, shape) => askNeighbours(pods, shape),
      },
      clock: systemClock,
      onRun: (status) => {
        reporter.controller(status);
        events?.update(troublesOf(node, status, enforcer.status()));
      },
    });
  const controller = createController(store, enforcer);
  /** Works from the objects on disk until the source is in sync. */
  let cold: Controller | undefined;
  const isCold = (): boolean => cold !== undefined && controller.progress.appliedObjects === undefined;
  const state = (directory: string): StateOptions => ({ directory, node, store, clock: systemClock, logger });
  const startCold = async (directory: string): Promise<void> => {
    const kept = await findState(state(directory), source.source, executor, signal);
    if (kept === undefined) return;
    const over = new AbortController();
    const inSync = (): boolean => store.inSync(requiredKinds);
    // From the moment the source is in sync, only its rules count.
    const keptStore = new Store();
    cold = createController(keptStore, {
      setDesired: (ruleset) => {
        if (!inSync()) enforcer.setDesired(ruleset);
      },
      status: () => enforcer.status(),
    });
    store.listen({
      synced: () => {
        if (inSync()) over.abort();
      },
    });
    fillStore(keptStore, kept);
    await cold.run(AbortSignal.any([signal, over.signal]));
  };
  const insight: Insight = {
    config,
    version: ownVersion(),
    startedAtMs: Date.now(),
    store,
    source,
    controller,
    enforcer,
    executor,
    capabilities: options.capabilities,
    enforcingSince: () => enforcingSince,
    coldStart: isCold,
  };
  metrics.watch(insight);
  // A lane of its own: looking at the record never waits for a write, nor a write for it.
  const denied = new DeniedLog(new NftProcess(), insight, {
    recorded: (entry, packets) => metrics.denied(entry, packets),
    looked: () => metrics.forgetDenied((pod) => store.snapshot().pods.has(pod as PodKey)),
  });
  const server = startServer(insight, metrics, denied, logger);

  const hostChanged = (): void => {
    controller.hostChanged();
    cold?.hostChanged();
  };
  const settled = (): boolean =>
    enforcer.status().lastApply?.ok === true && controller.progress.appliedObjects !== undefined;

  logger.info({ node, version: insight.version, source: source.description }, 'agent starts');
  enforcer.start();
  const watching = watchHost(hostChanged, signal, {
    ...host,
    onTrouble: (error) => logger.warn({ err: error }, 'watching the node failed, trying again'),
  });
  const parts = [
    server?.start(),
    source.source.run(store, signal),
    watching,
    controller.run(signal),
    denied.run(systemClock, logger, signal),
    events?.run(signal),
    source.api === undefined ? undefined : logSource(source.source, systemClock, logger, signal),
    source.api === undefined
      ? undefined
      : removeStartupTaint(
          {
            access: source.api.access,
            node,
            store,
            isEnforced: () => ready(insight).ok,
            clock: systemClock,
            logger,
          },
          signal,
        ),
    config.stateDir === undefined ? undefined : startCold(config.stateDir),
    config.stateDir === undefined ? undefined : keepState(state(config.stateDir), settled, signal),
  ].map(async (part) => await part);
  try {
    await Promise.all(parts);
  } finally {
    // Of a part that failed the others must not live on: half an agent looks well, and does nothing.
    ended.abort();
    await Promise.allSettled(parts);
    await Promise.all([enforcer.close(), server?.close()]);
    source.api?.access.close();
    metrics.close();
    await readyFile?.written();
  }
  logger.info({ node }, 'agent stops, the rules stay');
}

function hostOptions({ cniConfDir, cniCacheDir, netnsDir }: AgentConfig): HostOptions {
  return {
    cniConfigDirectory: cniConfDir,
    cniCacheDirectories: [join(cniCacheDir, 'results'), join(cniCacheDir, 'cache/results')],
    netnsDirectory: netnsDir,
  };
}

function startServer(insight: Insight, metrics: Metrics, denied: DeniedLog, logger: Logger): HttpServer | undefined {
  const { config } = insight;
  if (config.listen === undefined) return undefined;
  return new HttpServer(
    config.listen,
    {
      healthz: () => live(insight),
      readyz: () => ready(insight),
      metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
      status: (query) => {
        const policy = query.get('policy');
        return statusReport(insight, policy === null ? {} : { policy });
      },
      denied: async (signal): Promise<DeniedReport> => ({
        schema: 'nftpolicy.dev/denied/v1',
        node: config.node,
        recording: config.enforcement.recordDenied,
        flows: await denied.read(signal),
      }),
    },
    logger,
  );
}
