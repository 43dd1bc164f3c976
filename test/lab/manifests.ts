import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabNode } from './node.ts';
import type { LabPod } from './pod.ts';
import type { LabService } from './services.ts';

/** A Kubernetes object as it stands in a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** Names one object. */
export interface ManifestKey {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** A directory of manifests that a watching program sees change one whole file at a time. */
export class ManifestDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true });
  }

  /** Creates or replaces objects, one file each. */
  apply(...objects: readonly Manifest[]): void {
    for (const object of objects) {
      const { name, namespace } = object.metadata;
      this.writeText(
        fileName({ kind: object.kind, name, ...(namespace === undefined ? {} : { namespace }) }),
        `${JSON.stringify(object, undefined, 2)}\n`,
      );
    }
  }

  /** Deletes the files of objects written by {@link apply}. */
  remove(...keys: readonly ManifestKey[]): void {
    for (const key of keys) rmSync(join(this.path, fileName(key)));
  }

  /** Writes any file, whole or not at all: readers never see half of it. */
  writeText(name: string, text: string): void {
    const temporary = join(this.path, `.${name}.tmp`);
    writeFileSync(temporary, text);
    renameSync(temporary, join(this.path, name));
  }

  /** Deletes a file written by {@link writeText}. */
  removeText(name: string): void {
    rmSync(join(this.path, name));
  }
}

function fileName(key: ManifestKey): string {
  return `${[key.kind.toLowerCase(), key.namespace ?? '', key.name].filter((part) => part !== '').join('_')}.json`;
}

/** The Namespace object, with the label the API server adds. */
export function namespaceManifest(name: string, labels: Readonly<Record<string, string>> = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } },
  };
}

/** The Node object of a lab node. */
export function nodeManifest(node: LabNode): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, labels: { 'kubernetes.io/hostname': node.name } },
    spec: { podCIDR: node.podCidrs[0], podCIDRs: node.podCidrs },
    status: { addresses: node.addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** The Pod object of a pod that a scheduler has just bound to a node. */
export function pendingPodManifest(
  node: LabNode,
  pod: Pick<LabPod, 'name' | 'namespace' | 'labels'> & Partial<Pick<LabPod, 'ports'>>,
): Manifest {
  const { name, namespace, labels, ports = [] } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { nodeName: node.name, containers: [{ name: 'main', image: 'lab', ports }] },
  };
}

/** The Pod object of a lab pod, running and with the addresses its interface got. */
export function podManifest(
  pod: LabPod,
  change: { readonly labels?: Readonly<Record<string, string>> } = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: pod.namespace, uid: pod.uid, labels: change.labels ?? pod.labels },
    spec: {
      nodeName: pod.node.name,
      containers: [{ name: 'main', image: 'lab', ports: pod.ports }],
    },
    status: {
      phase: 'Running',
      podIP: pod.ips[0],
      podIPs: pod.ips.map((ip) => ({ ip })),
      hostIP: pod.node.addresses[0],
    },
  };
}

/** The Service object behind a lab service. */
export function serviceManifest(service: LabService, selector: Readonly<Record<string, string>>): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: service.name, namespace: service.namespace },
    spec: {
      type: service.ports.some((port) => port.nodePort !== undefined) ? 'NodePort' : 'ClusterIP',
      clusterIP: service.clusterIps[0],
      clusterIPs: service.clusterIps,
      selector,
      ports: service.ports.map((port) => ({ name: `p${String(port.port)}`, ...port })),
    },
  };
}
