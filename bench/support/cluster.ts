// A large cluster as an API server holds it: pods of about 8 KB, policies like those of bench/index.ts.
import type { Json } from '../../test/api-server/truth.ts';

/** How large a cluster is. */
export interface ClusterSize {
  readonly pods: number;
  readonly policies: number;
  readonly namespaces: number;
}

/** Pods on the measured node. */
export const localPods = 110;
/** The measured node. */
export const localNode = 'node-1';

/** Whole numbers below a limit, the same sequence in every run. */
export function sequence(start: number): (limit: number) => number {
  let seed = start;
  return (limit) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((seed / 0x8000_0000) * limit);
  };
}

/** The namespace `ns-INDEX`. */
export function namespaceObject(index: number, team = `team-${index % 40}`): Json {
  const labels = { team, env: ['prod', 'stage', 'dev'][index % 3], 'pod-security.kubernetes.io/enforce': 'baseline' };
  return { metadata: { name: `ns-${index}`, labels } };
}

/** Ten labels, seven of which nobody selects by; the same for all replicas of a Deployment. */
function labelsOf(home: number, app: number): Record<string, string> {
  return {
    app: `app-${app}`,
    'app.kubernetes.io/name': `app-${app}`,
    'app.kubernetes.io/instance': `app-${app}-main`,
    'app.kubernetes.io/version': `1.${app % 7}.${home % 3}`,
    'app.kubernetes.io/managed-by': 'Helm',
    'app.kubernetes.io/part-of': `product-${home % 100}`,
    tier: ['front', 'back', 'data'][app % 3] ?? '',
    role: `role-${app % 5}`,
    'pod-template-hash': hashOf(home, app),
    'helm.sh/chart': `chart-${app}`,
  };
}

function hashOf(home: number, app: number): string {
  return (0x10_0000 + home * 12 + app).toString(36).padStart(10, '7');
}

/** Parts that pods of one app share, so that the server can hold many. */
const parts = new Map<number, { readonly container: Json; readonly managedFields: unknown; readonly status: Json }>();

function partsOf(app: number): { readonly container: Json; readonly managedFields: unknown; readonly status: Json } {
  let known = parts.get(app);
  if (known === undefined) {
    const env = Array.from({ length: 24 }, (_, i) => ({ name: `SETTING_${i}`, value: `value-${app}-${i}`.repeat(2) }));
    const probe = { httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' }, periodSeconds: 10, timeoutSeconds: 1 };
    const fields = Object.fromEntries(env.map(({ name }) => [`k:{"name":"${name}"}`, { '.': {}, 'f:value': {} }]));
    known = {
      container: {
        name: 'main',
        image: `registry.example/team/app-${app}:1.4.${app}`,
        ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
        env,
        resources: { limits: { memory: '512Mi' }, requests: { cpu: '100m', memory: '256Mi' } },
        livenessProbe: probe,
        readinessProbe: probe,
        volumeMounts: Array.from({ length: 4 }, (_, i) => ({ name: `volume-${i}`, mountPath: `/var/data/${i}` })),
        terminationMessagePath: '/dev/termination-log',
        securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      },
      managedFields: ['kube-controller-manager', 'kubelet'].map((manager) => ({
        manager,
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-11-02T10:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:spec': { 'f:containers': { 'k:{"name":"main"}': { '.': {}, 'f:env': fields } } } },
      })),
      status: {
        phase: 'Running',
        conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
          type,
          status: 'True',
          lastProbeTime: null,
          lastTransitionTime: '2026-11-02T10:00:00Z',
        })),
        containerStatuses: [
          {
            name: 'main',
            ready: true,
            restartCount: 0,
            image: `registry.example/team/app-${app}:1.4.${app}`,
            imageID: `registry.example/team/app-${app}@sha256:${'0123456789abcdef'.repeat(4)}`,
            containerID: `containerd://${'0123456789abcdef'.repeat(4)}`,
            state: { running: { startedAt: '2026-11-02T10:00:00Z' } },
          },
        ],
      },
    };
    parts.set(app, known);
  }
  return known;
}

/** The app of a pod that nobody changed. */
export function appOf(index: number, { namespaces }: ClusterSize): number {
  return Math.floor(index / namespaces) % 12;
}

/** The address of a pod: 10.x of the cluster; of the measured node's range if it runs there. */
export function addressOf(index: number): string {
  return index < localPods ? `10.244.1.${index + 2}` : `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
}

/** Pod INDEX; the first {@link localPods} run on the measured node. */
export function podObject(index: number, size: ClusterSize, app: number = appOf(index, size), restarts = 0): Json {
  const { container, managedFields, status } = partsOf(app);
  const ip = addressOf(index);
  const created = new Date(1_760_000_000_000 + index * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  const home = index % size.namespaces;
  const hash = hashOf(home, app);
  return {
    metadata: {
      name: `app-${index}`,
      namespace: `ns-${home}`,
      uid: uidOf(index),
      creationTimestamp: created,
      labels: labelsOf(home, app),
      annotations: { 'kubectl.kubernetes.io/restartedAt': created, 'example.com/restarts': String(restarts) },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `app-${app}-${hash}`, uid: hash, controller: true },
      ],
      managedFields,
    },
    spec: {
      nodeName: index < localPods ? localNode : `node-${2 + (index % Math.ceil(size.pods / localPods))}`,
      hostNetwork: false,
      containers: [container],
      serviceAccountName: 'default',
      tolerations: ['not-ready', 'unreachable'].map((key) => ({
        key: `node.kubernetes.io/${key}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      })),
    },
    status: { ...status, podIP: ip, podIPs: [{ ip }] },
  };
}

/** The uid of a pod. */
export function uidOf(index: number): string {
  return `0b7c1a52-4d1e-4a55-9d36-${index.toString(16).padStart(12, '0')}`;
}

/** Policies in a fixed order; random, the same in every run. */
export function policyObjects(size: ClusterSize): Json[] {
  const random = sequence(1);
  const section = (): unknown[] =>
    Array.from({ length: 1 + random(2) }, () => {
      const port = [80, 443, 5432, 6379, 9090][random(5)];
      const peers = Array.from({ length: 1 + random(2) }, () => peer(random, size));
      return { peers, ports: [random(8) === 0 ? { port: 'http' } : { protocol: 'TCP', port }] };
    });
  const named = (key: 'from' | 'to', rules: unknown[]): unknown[] =>
    (rules as { peers: unknown; ports: unknown }[]).map(({ peers, ports }) => ({ [key]: peers, ports }));
  return Array.from({ length: size.policies }, (_, index) => {
    const podSelector = random(4) === 0 ? {} : { matchLabels: { app: `app-${random(12)}` } };
    const ingress = named('from', section());
    const egress = random(3) === 0 ? named('to', section()) : undefined;
    return {
      metadata: { name: `policy-${index}`, namespace: `ns-${index % size.namespaces}` },
      spec: {
        podSelector,
        policyTypes: egress === undefined ? ['Ingress'] : ['Ingress', 'Egress'],
        ingress,
        ...(egress !== undefined && { egress }),
      },
    };
  });
}

function peer(random: (limit: number) => number, { namespaces }: ClusterSize): unknown {
  const labels = (matchLabels: Record<string, string>): unknown => ({ matchLabels });
  switch (random(10)) {
    case 0:
      return { namespaceSelector: labels({ team: `team-${random(40)}` }) };
    case 1:
      return {
        namespaceSelector: labels({ 'kubernetes.io/metadata.name': `ns-${random(namespaces)}` }),
        podSelector: labels({ tier: 'front' }),
      };
    case 2:
      return {
        namespaceSelector: labels({ env: 'prod' }),
        podSelector: labels({ role: `role-${random(5)}` }),
      };
    case 3:
      return { podSelector: {} };
    default:
      return { podSelector: labels({ app: `app-${random(12)}` }) };
  }
}
