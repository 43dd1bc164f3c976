import type { Json } from './truth.ts';

/** A pod as a kubelet has reported it; `labels`, `ip` and `node` may be anything. */
export function podObject(options: {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Json;
  readonly ip?: string;
  readonly node?: string;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
}): Json {
  const {
    name,
    namespace = 'shop',
    uid,
    labels = {},
    ip = '10.0.0.1',
    node = 'n1',
    phase = 'Running',
    hostNetwork,
  } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, ...(uid !== undefined && { uid }), labels },
    spec: {
      nodeName: node,
      ...(hostNetwork !== undefined && { hostNetwork }),
      containers: [{ name: 'main', image: 'image', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
    status: { phase, podIP: ip, podIPs: [{ ip }] },
  };
}

/** A namespace with labels. */
export function namespaceObject(name: string, labels: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

/** A policy that isolates pods with these labels and admits nothing. */
export function denyAllObject(name: string, namespace = 'shop', matchLabels: Json = {}): Json {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector: { matchLabels }, policyTypes: ['Ingress', 'Egress'] },
  };
}
