import type { Registry } from 'prom-client';

import type { Ruleset } from '../compiler/ruleset.ts';
import { live, ready } from './health.ts';
import { toEpochMs } from './insight.ts';
import type { Insight } from './insight.ts';
import { registerSampled } from './sampled-metric.ts';
import type { Sample } from './sampled-metric.ts';

/** Figures about the rules, the node and its pods, looked up at each scrape. */
export function watchState(registry: Registry, insight: Insight): void {
  const { controller, enforcer, store, config, version, capabilities } = insight;
  const gauge = (name: string, help: string, read: () => number): void =>
    registerSampled(registry, { name, help }, () => [[{}, read()]]);
  const gauges = (name: string, help: string, labels: readonly string[], read: () => readonly Sample[]): void =>
    registerSampled(registry, { name, help, labels }, read);
  const build = { version, node_version: process.versions.node, nft_version: capabilities?.version.text ?? '' };
  gauges('nftpolicy_build_info', 'Versions of this program and what it runs on.', Object.keys(build), () => [
    [build, 1],
  ]);
  gauges('nftpolicy_mode_info', 'How policy is enforced here.', ['enforce', 'unknown_pods'], () => [
    [{ enforce: config.enforcement.enforce, unknown_pods: config.enforcement.unknownPods }, 1],
  ]);
  gauge('nftpolicy_live', 'The answer of /healthz.', () => Number(live(insight).ok));
  gauge('nftpolicy_ready', 'The answer of /readyz.', () => Number(ready(insight).ok));
  gauge('nftpolicy_generation', 'Changes of objects since the start.', () => store.snapshot().generation);
  gauge(
    'nftpolicy_applied_generation',
    'Generation of the newest objects that the kernel enforces.',
    () => controller.progress.appliedObjects ?? 0,
  );
  gauge('nftpolicy_apply_failing', 'Whether the last attempt to write failed.', () =>
    Number(enforcer.status().lastApply?.ok === false),
  );
  gauge('nftpolicy_last_apply_timestamp_seconds', 'When the last attempt to write ended.', () => {
    const at = enforcer.status().lastApply?.at;
    return at === undefined ? 0 : toEpochMs(at) / 1000;
  });
  gauge('nftpolicy_last_verified_timestamp_seconds', 'When the tables were last listed and compared.', () => {
    const at = enforcer.status().verifiedAt;
    return at === undefined ? 0 : toEpochMs(at) / 1000;
  });
  gauge('nftpolicy_cold_start', 'Whether the rules come from objects kept on disk.', () => Number(insight.coldStart()));
  gauge('nftpolicy_pods_bound', 'Local pods whose traffic is judged.', () => controller.status().bindings.length);
  gauges('nftpolicy_pods_closed', 'Local pods that stay closed, by reason.', ['code'], () =>
    controller.status().interfaceProblems.map(({ code }) => [{ code }, 1]),
  );
  gauges('nftpolicy_refusals', 'Why this node cannot be policed, or only in part.', ['code', 'severity'], () =>
    controller.status().refusals.map(({ code, severity }) => [{ code, severity }, 1]),
  );
  gauge('nftpolicy_host_unobservable', 'Whether the last look at the node failed.', () =>
    Number(controller.status().hostProblem !== undefined),
  );
  gauge(
    'nftpolicy_bridge_netfilter_repaired_total',
    'How often bridge-nf-call-* was found off and switched on.',
    () => controller.status().settingsRepaired,
  );
  gauges('nftpolicy_kernel_problems', 'Parts of the rules that are not in the kernel.', ['kind'], () =>
    enforcer.status().problems.map(({ kind }) => [{ kind }, 1]),
  );
  gauges('nftpolicy_table_objects', 'What the newest rules hold.', ['family', 'kind'], () =>
    countObjects(controller.ruleset()),
  );
  gauges('nftpolicy_diagnostics', 'Problems in objects.', ['severity'], () =>
    [...store.diagnostics().values()].flat().map(({ severity }) => [{ severity }, 1]),
  );
}

function countObjects(ruleset: Ruleset | undefined): readonly Sample[] {
  return [...(ruleset?.values() ?? [])].flatMap(({ family, chains, sets, maps }): Sample[] => {
    const sum = (sizes: Iterable<number>): number => [...sizes].reduce((total, size) => total + size, 0);
    const setSizes = Array.from(sets.values(), ({ elements }) => elements.size);
    const mapSizes = Array.from(maps.values(), ({ elements }) => elements.size);
    const rules = Array.from(chains.values(), (chain) => chain.rules.length);
    return [
      [{ family, kind: 'chain' }, chains.size],
      [{ family, kind: 'rule' }, sum(rules)],
      [{ family, kind: 'set' }, sets.size],
      [{ family, kind: 'map' }, maps.size],
      [{ family, kind: 'element' }, sum([...setSizes, ...mapSizes])],
    ];
  });
}
