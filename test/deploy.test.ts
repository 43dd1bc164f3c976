import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';

import { agentOptionNames, agentOptions, variableOf } from '../src/agent/option-table.ts';
import { openSource } from '../src/agent/open-source.ts';
import { agentContainer, agentLabels } from '../src/cli/agent-pods.ts';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  readonly version: string;
};
const directory = join(import.meta.dirname, '../deploy/kustomize');

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string }[];
  readonly livenessProbe?: {
    readonly httpGet: { readonly host: string; readonly port: number; readonly path: string };
  };
  readonly readinessProbe?: {
    readonly httpGet: { readonly host: string; readonly port: number; readonly path: string };
  };
  readonly securityContext: Record<string, unknown>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules?: readonly { readonly apiGroups: string[]; readonly resources: string[]; readonly verbs: string[] }[];
  readonly spec?: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly Container[]; readonly tolerations: unknown } & Record<
        string,
        unknown
      >;
    };
  };
}

function read(file: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(join(directory, file), 'utf8')).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  });
}

const [daemonSet] = read('base/daemonset.yaml');
const pod = daemonSet!.spec!.template.spec;
const agent = pod.containers[0]!;

describe('the DaemonSet', () => {
  test('asks health where the agent listens by default', () => {
    const listen = agentOptions.listen.default;
    for (const probe of [agent.livenessProbe, agent.readinessProbe]) {
      expect(`${probe?.httpGet.host}:${probe?.httpGet.port}`).toBe(listen);
    }
    expect([agent.livenessProbe?.httpGet.path, agent.readinessProbe?.httpGet.path]).toEqual(['/healthz', '/readyz']);
  });

  test('takes no port that another program of a node uses', () => {
    const taken = [
      9080, 9091, 9098, 9099, 5473, 8162, 8163, 10091, 20244, 6781, 8081, 9409, 10350, 10249, 10256, 10250, 9100, 9879,
      9962,
    ];
    expect(taken).not.toContain(agent.livenessProbe?.httpGet.port);
  });

  test('sets no variable the agent does not know', () => {
    const known = ['NODE_NAME', 'NODE_OPTIONS', ...agentOptionNames.map(variableOf)];
    expect((agent.env ?? []).map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
    expect(agent.args).toEqual(['agent']);
  });

  test('has NET_ADMIN and nothing more, on a read-only root', () => {
    expect(agent.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
    });
    expect(agent.securityContext['privileged']).toBeUndefined();
  });

  test('is found by explain, which asks its container', () => {
    const [name = '', value = ''] = agentLabels.split('=');
    expect(daemonSet?.spec?.template.metadata.labels).toMatchObject({ [name]: value });
    expect(agent.name).toBe(agentContainer);
  });

  test('runs on every node, before pod networking', () => {
    expect(pod).toMatchObject({ hostNetwork: true, dnsPolicy: 'Default', priorityClassName: 'system-node-critical' });
    expect(pod.tolerations).toEqual([
      { operator: 'Exists', effect: 'NoSchedule' },
      { operator: 'Exists', effect: 'NoExecute' },
    ]);
  });

  test('mounts what the agent reads by default, read-only, and writes to its own state only', () => {
    const mounts = new Map(agent.volumeMounts.map((mount) => [mount.mountPath, mount.readOnly === true]));
    expect(mounts.get(agentOptions.cniConfDir.default!)).toBe(true);
    expect(mounts.get(agentOptions.cniCacheDir.default!)).toBe(true);
    expect([...mounts].filter(([, readOnly]) => !readOnly).map(([path]) => path)).toEqual([
      '/var/lib/nftpolicy',
      '/dev/shm',
    ]);
  });
});

describe('the clean-up', () => {
  const [cleanup] = read('cleanup/daemonset.yaml');
  const {
    initContainers = [],
    containers,
    ...rest
  } = cleanup!.spec!.template.spec as typeof pod & {
    readonly initContainers?: readonly Container[];
  };
  const [first, ...others] = initContainers;

  test('runs on the nodes where agents run, with what they may do, and needs no API', () => {
    expect(first?.args).toEqual(['cleanup']);
    expect(others).toEqual([]);
    expect(first?.securityContext).toEqual(agent.securityContext);
    expect(rest).toMatchObject({
      hostNetwork: true,
      automountServiceAccountToken: false,
      tolerations: pod.tolerations,
      nodeSelector: pod['nodeSelector'],
    });
    expect(containers[0]?.securityContext).toMatchObject({ runAsUser: 65_534, capabilities: { drop: ['ALL'] } });
  });

  test('reaches the state that agents keep', () => {
    const stateOf = (volumes: unknown): unknown =>
      (volumes as readonly { readonly name: string }[]).find(({ name }) => name === 'state');
    expect(stateOf(rest['volumes'])).toEqual(stateOf(pod['volumes']));
    expect(first?.volumeMounts).toContainEqual({ name: 'state', mountPath: '/var/lib/nftpolicy' });
  });
});

describe('images', () => {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));

  test('are one image, of this version, whoever sets it', () => {
    const named = files.flatMap((file) => [
      ...readFileSync(join(directory, file), 'utf8').matchAll(/^ +image: (.*)$/gm),
    ]);
    expect(named.map(([, image]) => image)).toEqual(named.map(() => 'nftpolicy'));
    expect(named.length).toBeGreaterThan(3);
    const tags = files.flatMap((file) => [...readFileSync(join(directory, file), 'utf8').matchAll(/newTag: (.*)$/gm)]);
    expect(tags.map(([, tag]) => tag)).toEqual([version, version]);
  });

  test('of init containers follow the image that the agent is given', () => {
    const [overlay] = read('overlays/flannel/kustomization.yaml') as unknown as readonly [
      { readonly replacements: readonly { readonly source: object; readonly targets: readonly object[] }[] },
    ];
    const [patch] = read('overlays/flannel/bridge-netfilter.yaml') as unknown as readonly [
      { readonly spec: { readonly template: { readonly spec: { readonly initContainers: readonly Container[] } } } },
    ];
    const fieldPaths = patch.spec.template.spec.initContainers.map(
      ({ name }) => `spec.template.spec.initContainers.[name=${name}].image`,
    );
    const daemonSet = { kind: 'DaemonSet', name: 'nftpolicy' };
    expect(overlay.replacements).toEqual([
      {
        source: { ...daemonSet, fieldPath: `spec.template.spec.containers.[name=${agent.name}].image` },
        targets: [{ select: daemonSet, fieldPaths }],
      },
    ]);
  });
});

/** `GROUP/RESOURCE VERB` of each right in a file. */
function rightsIn(file: string): string[] {
  const role = read(file).find(({ kind }) => kind === 'ClusterRole');
  return (role?.rules ?? []).flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`))),
  );
}

test('the ClusterRole grants exactly what the agent asks for', async () => {
  const granted = rightsIn('base/rbac.yaml');
  const { api } = await openSource(
    { node: 'n' },
    { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' },
  );
  const kinds: Record<string, string> = {
    Pod: '/pods',
    Namespace: '/namespaces',
    Node: '/nodes',
    NetworkPolicy: 'networking.k8s.io/networkpolicies',
  };
  const asked = api!.source.health().flatMap(({ kind }) => ['list', 'watch'].map((verb) => `${kinds[kind]} ${verb}`));
  expect(granted.sort()).toEqual([...asked, '/events create'].sort());
});

test('the right to take the start-up taint off a node is granted apart, to the same account', () => {
  expect(rightsIn('startup-taint/rbac.yaml')).toEqual(['/nodes patch']);
  const [base, extra] = ['base/rbac.yaml', 'startup-taint/rbac.yaml'].map((file) =>
    read(file).find(({ kind }) => kind === 'ClusterRoleBinding'),
  ) as unknown as readonly { readonly subjects: unknown; readonly roleRef: { readonly name: string } }[];
  expect(extra?.subjects).toEqual(base?.subjects);
  expect(extra?.roleRef.name).toBe('nftpolicy-startup-taint');
});
