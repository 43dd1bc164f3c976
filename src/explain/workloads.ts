import { decodeObject } from '../model/decode/object.ts';
import { isFinished } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { compareText } from '../model/names.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { Cluster, WrittenObject } from './cluster.ts';
import type { WorkloadKind } from './explanation.ts';

/** The pods of a workload. */
export interface WorkloadPods {
  /** Live pods, sorted by name. */
  readonly pods: readonly Endpoint[];
  /** A pod as its template would make it, if there are no live ones. */
  readonly template?: { readonly pod: Endpoint; readonly written: WrittenObject };
  /** There is such a workload, even if it has no pods. */
  readonly exists: boolean;
}

/** Finds a workload's pods by owner references, else by its selector, else makes one from its template. */
export function workloadPods(cluster: Cluster, kind: WorkloadKind, namespace: string, name: string): WorkloadPods {
  const written = cluster.others.find((other) => isObject(other.raw, kind, namespace, name));
  const selector = written === undefined ? undefined : readSelector(written.raw);
  const pods: Endpoint[] = [];
  let finished = 0;
  for (const pod of cluster.snapshot.pods.values()) {
    if (pod.namespace !== namespace) continue;
    const owned =
      pod.owner === undefined ? selector !== undefined && selector(pod) : isOwner(pod.owner, kind, name, pod);
    if (!owned) continue;
    if (isFinished(pod)) finished += 1;
    else pods.push(pod);
  }
  pods.sort((a, b) => compareText(a.name, b.name));
  const template = pods.length > 0 || written === undefined ? undefined : templatePod(written, kind, namespace, name);
  return {
    pods,
    ...(template === undefined ? {} : { template }),
    exists: pods.length > 0 || written !== undefined || finished > 0,
  };
}

/** Names of workloads of a kind, from owner references and manifests: for suggestions. */
export function workloadNames(cluster: Cluster, kind: WorkloadKind, namespace: string): readonly string[] {
  const found = new Set<string>();
  for (const { raw } of cluster.others) {
    const metadata = part(raw, 'metadata');
    if (part(raw, 'kind') === kind && (part(metadata, 'namespace') ?? 'default') === namespace)
      found.add(String(part(metadata, 'name')));
  }
  for (const pod of cluster.snapshot.pods.values()) {
    if (pod.namespace !== namespace || pod.owner === undefined) continue;
    if (pod.owner.kind === kind) found.add(pod.owner.name);
    if (kind === 'Deployment' && pod.owner.kind === 'ReplicaSet') found.add(pod.owner.name.replace(/-[a-z0-9]+$/, ''));
    if (kind === 'CronJob' && pod.owner.kind === 'Job') found.add(pod.owner.name.replace(/-\d+$/, ''));
  }
  return [...found];
}

/** A Deployment owns through ReplicaSets called `name-hash`, a CronJob through Jobs called `name-time`. */
function isOwner(owner: NonNullable<Endpoint['owner']>, kind: WorkloadKind, name: string, pod: Endpoint): boolean {
  if (owner.kind === kind && owner.name === name) return true;
  const suffix = owner.name.startsWith(`${name}-`) ? owner.name.slice(name.length + 1) : undefined;
  if (suffix === undefined) return false;
  if (kind === 'Deployment' && owner.kind === 'ReplicaSet') {
    const hash = pod.labels.get('pod-template-hash');
    return hash === undefined ? /^[a-z0-9]{1,10}$/.test(suffix) : suffix === hash;
  }
  return kind === 'CronJob' && owner.kind === 'Job' && /^\d+$/.test(suffix);
}

function part(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Record<string, unknown>)[key]
    : undefined;
}

function isObject(raw: unknown, kind: string, namespace: string, name: string): boolean {
  const metadata = part(raw, 'metadata');
  return (
    part(raw, 'kind') === kind &&
    part(metadata, 'name') === name &&
    (part(metadata, 'namespace') ?? 'default') === namespace
  );
}

/** `spec.selector.matchLabels` of a workload; expressions are rare there and make it unusable. */
function readSelector(raw: unknown): ((pod: Endpoint) => boolean) | undefined {
  const selector = part(part(raw, 'spec'), 'selector');
  const labels = part(selector, 'matchLabels');
  if (typeof labels !== 'object' || labels === null || part(selector, 'matchExpressions') !== undefined)
    return undefined;
  const wanted = Object.entries(labels);
  return wanted.length === 0 ? undefined : (pod) => wanted.every(([key, value]) => pod.labels.get(key) === value);
}

function templatePod(
  written: WrittenObject,
  kind: WorkloadKind,
  namespace: string,
  name: string,
): NonNullable<WorkloadPods['template']> | undefined {
  const path: FieldPath = kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec', 'template'] : ['spec', 'template'];
  let template: unknown = written.raw;
  for (const step of path) template = part(template, String(step));
  if (typeof template !== 'object' || template === null) return undefined;
  const metadata = part(template, 'metadata');
  const raw = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: part(metadata, 'labels') ?? {} },
    spec: part(template, 'spec') ?? {},
  };
  const { object } = decodeObject(raw, { kind: 'cluster', resourceVersion: '' });
  if (object?.kind !== 'Pod') return undefined;
  return {
    pod: object,
    written: {
      raw,
      text: written.text,
      locate: (inner) => written.locate([...path, ...inner]),
      locateNearest: (inner) => {
        const nearest = written.locateNearest([...path, ...inner]);
        return { path: nearest.path.slice(path.length), spans: nearest.spans };
      },
    },
  };
}
