import { formatVersion } from 'nftables-json';

import { nodeDnsOf } from '../compiler/base-chains.ts';
import { createJudge } from '../compiler/judge.ts';
import type { EffectiveSection } from '../compiler/effective-policy.ts';
import { maxObjectProblems } from '../controller/status-report.ts';
import type { EnforcedPod, NodeState, ObjectProblem, PodSection, StatusReport } from '../controller/status-report.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import type { PodBinding } from '../model/binding.ts';
import { placeText } from '../model/diagnostic.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import { compareText } from '../model/names.ts';
import type { PolicyKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { formatFieldPath } from '../model/source-ref.ts';
import type { ResourceKind } from '../source/source.ts';
import { ready } from './health.ts';
import { toIso } from './insight.ts';
import type { Insight } from './insight.ts';

/** Puts together what this node enforces. Cost: all policies once, and the local pods. */
export function statusReport(insight: Insight, asked: { readonly policy?: string } = {}): StatusReport {
  const { config, controller, store, source } = insight;
  const status = controller.status();
  const enforced = insight.enforcer.status();
  const snapshot = store.snapshot();
  const applied = controller.progress.appliedObjects;
  const since = insight.enforcingSince();
  return {
    schema: 'nftpolicy.dev/status/v1',
    node: config.node,
    version: insight.version,
    ...(insight.capabilities !== undefined && { nft: formatVersion(insight.capabilities.version) }),
    startedAt: new Date(insight.startedAtMs).toISOString(),
    state: stateOf(insight),
    ready: ready(insight).ok,
    options: config.enforcement,
    ...(config.enforcement.policeNodeEgress && { nodeDns: nodeDnsOf(status, config.enforcement) }),
    generation: { objects: snapshot.generation, ...(applied !== undefined && { applied }) },
    ...(since !== undefined && { enforcingSince: toIso(since) }),
    ...(enforced.lastApply !== undefined && {
      lastApply: { ...enforced.lastApply, at: toIso(enforced.lastApply.at) },
    }),
    ...(enforced.verifiedAt !== undefined && { verifiedAt: toIso(enforced.verifiedAt) }),
    driftRepaired: enforced.driftRepaired,
    settingsRepaired: status.settingsRepaired,
    source: {
      from: source.description,
      kinds: source.source.health().map(({ kind, state, synced, lastHeardAtMs, version, problem }) => ({
        kind,
        state,
        synced,
        objects: countOf(snapshot, kind),
        ...(lastHeardAtMs !== undefined && { lastHeardAt: toIso(lastHeardAtMs) }),
        ...(version !== undefined && { version }),
        ...(problem !== undefined && { problem }),
      })),
    },
    refusals: status.refusals,
    ...(status.hostProblem !== undefined && { hostProblem: status.hostProblem }),
    pods: enforcedPods(snapshot, status.bindings),
    closedPods: status.interfaceProblems.map(({ pod, uid, code, message, help }) => ({
      pod,
      uid,
      code,
      message,
      help,
    })),
    problems: enforced.problems.map(({ kind, object, message, closed }) => ({
      kind,
      ...(object !== undefined && { object }),
      message,
      pods: podsBehind(closed, status.bindings).map(({ pod }) => pod),
    })),
    diagnostics: countDiagnostics(insight),
    objectProblems: diagnosticsOf(insight).slice(0, maxObjectProblems).map(toObjectProblem),
    ...(asked.policy !== undefined && { policy: policyProgress(insight, asked.policy) }),
  };
}

/** The pods whose dispatch elements fail closed. Elements are keyed by interface, by address or by both. */
export function podsBehind(
  closed: EnforcerStatus['problems'][number]['closed'],
  bindings: readonly PodBinding[],
): readonly PodBinding[] {
  const keys = new Set(closed.flatMap(({ key }) => key.split(' . ')));
  return bindings.filter((binding) => keys.has(binding.interface) || binding.addresses.some((ip) => keys.has(ip)));
}

function stateOf(insight: Insight): NodeState {
  const { refusals, inSync } = insight.controller.status();
  if (refusals.some(({ severity }) => severity === 'refuse')) return 'refused';
  if (insight.coldStart()) return 'cold-start';
  const { lastApply } = insight.enforcer.status();
  if (!inSync || lastApply === undefined) return 'syncing';
  return lastApply.ok ? 'enforcing' : 'failing';
}

function enforcedPods(snapshot: ClusterSnapshot, bindings: readonly PodBinding[]): readonly EnforcedPod[] {
  const judge = createJudge(snapshot);
  const pods = bindings.flatMap((binding): EnforcedPod[] => {
    const pod = snapshot.pods.get(binding.pod);
    const policy = pod === undefined ? undefined : judge.effectivePolicy({ kind: 'pod', pod });
    if (policy === undefined) return [];
    const { uid, addresses, attachment } = binding;
    const place = { pod: binding.pod, uid, interface: binding.interface, addresses, attachment: attachment.kind };
    return [{ ...place, ingress: sectionOf(policy.ingress), egress: sectionOf(policy.egress) }];
  });
  return pods.sort((a, b) => compareText(a.pod, b.pod));
}

function sectionOf({ isolated, policies, audits }: EffectiveSection): PodSection {
  return {
    isolated: isolated !== 'no',
    policies: policies.map(({ policy }) => policy.key),
    audits: audits.map(({ policy }) => policy.key),
  };
}

function policyProgress(insight: Insight, policy: string): NonNullable<StatusReport['policy']> {
  const { progress } = insight.controller;
  const generation = progress.policyGeneration(policy as PolicyKey);
  const applied = progress.appliedObjects;
  const source = insight.store.snapshot().policies.get(policy as PolicyKey)?.source;
  const errors = diagnosticsOf(insight).filter(
    ({ severity, object }) => severity === 'error' && object === `NetworkPolicy ${policy}`,
  );
  return {
    policy,
    known: generation !== undefined,
    ...(generation !== undefined && { generation }),
    ...(source?.kind === 'cluster' && { resourceVersion: source.resourceVersion }),
    applied: generation !== undefined && applied !== undefined && applied >= generation,
    problems: errors.map(({ path, message }) =>
      path === undefined ? message : `${formatFieldPath(path)}: ${message}`,
    ),
  };
}

/** All problems in objects, errors first. */
function diagnosticsOf({ store }: Insight): readonly Diagnostic[] {
  const all = [...store.diagnostics().values()].flat();
  return [...all.filter(({ severity }) => severity === 'error'), ...all.filter(({ severity }) => severity !== 'error')];
}

function toObjectProblem({ code, severity, message, help, object, path, span }: Diagnostic): ObjectProblem {
  return {
    code,
    severity,
    message,
    ...(help !== undefined && { help }),
    ...(object !== undefined && { object }),
    ...(path !== undefined && path.length > 0 && { field: formatFieldPath(path) }),
    ...(span !== undefined && { place: `${placeText(span)}:${span.start.column}` }),
  };
}

function countOf(snapshot: ClusterSnapshot, kind: ResourceKind): number {
  switch (kind) {
    case 'Namespace':
      return snapshot.namespaces.size;
    case 'Node':
      return snapshot.nodes.size;
    case 'Pod':
      return snapshot.pods.size;
    case 'Service':
      return snapshot.services.size;
    case 'NetworkPolicy':
      return snapshot.policies.size;
  }
}

function countDiagnostics(insight: Insight): StatusReport['diagnostics'] {
  const all = diagnosticsOf(insight);
  const errors = all.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: all.length - errors };
}
