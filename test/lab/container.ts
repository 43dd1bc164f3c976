import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What of a pod specification decides how its container runs. */
interface ContainerSpec {
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly add?: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string };
  readonly emptyDir?: { readonly sizeLimit?: string };
}

/** A container of a workload, and the volumes of its pod. */
export interface ContainerOf {
  readonly container: ContainerSpec;
  readonly volumes: readonly Volume[];
}

/** The first container, or init container, of a workload in `deploy/kustomize`. */
export function containerOf(file: string, kind: 'containers' | 'initContainers' = 'containers'): ContainerOf {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/kustomize', file), 'utf8');
  const { spec } = (
    parse(text) as {
      readonly spec: { readonly template: { readonly spec: Readonly<Record<string, unknown>> } };
    }
  ).spec.template;
  const [container] = spec[kind] as readonly ContainerSpec[];
  if (container === undefined) throw new Error(`${file} has no ${kind}`);
  return { container, volumes: (spec['volumes'] ?? []) as readonly Volume[] };
}

/** Where a container runs: its root, and what it is given beyond its specification. */
export interface Place {
  readonly root: string;
  /** Directories that stand for those of the host, by the host's path. */
  readonly hostPaths: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Mounted read-only where every container finds it. */
  readonly serviceAccount?: string;
}

// /var/run is a link to it, and would lead out of the root.
const serviceAccountPath = '/run/secrets/kubernetes.io/serviceaccount';
const devices = ['null c 1 3', 'zero c 1 5', 'full c 1 7', 'random c 1 8', 'urandom c 1 9'];

/**
 * The command line that runs `command` as a container runtime would run the container: its root and mounts, a process
 * namespace, read-only /proc/sys and /sys, capabilities and environment of the specification alone. The seccomp
 * profile is left out. The network is the caller's, as with `hostNetwork`.
 */
export function containerCommand(
  { container, volumes }: ContainerOf,
  place: Place,
  command: readonly string[],
): string[] {
  const { root } = place;
  const {
    privileged = false,
    capabilities,
    readOnlyRootFilesystem,
    allowPrivilegeEscalation,
  } = container.securityContext;
  const mounts = container.volumeMounts.map(({ name, mountPath, readOnly = false }) => {
    const volume = volumes.find((one) => one.name === name);
    const source = volume?.hostPath === undefined ? undefined : place.hostPaths[volume.hostPath.path];
    if (volume?.hostPath !== undefined && source === undefined) throw new Error(`nothing stands for volume ${name}`);
    return mountLines(root + mountPath, source, readOnly, volume?.emptyDir?.sizeLimit);
  });
  if (place.serviceAccount !== undefined)
    mounts.push(mountLines(root + serviceAccountPath, place.serviceAccount, true));
  const readOnlySys = [`mount --bind ${root}/proc/sys ${root}/proc/sys`, `mount -o remount,bind,ro ${root}/proc/sys`];
  const script = [
    'set -e',
    'mount --make-rprivate /',
    `mount --bind ${root} ${root}`,
    `mount -t proc proc ${root}/proc`,
    ...(privileged ? [] : readOnlySys),
    `mount -t sysfs -o ro sysfs ${root}/sys`,
    `mount -t tmpfs -o mode=755 tmpfs ${root}/dev`,
    ...devices.map((device) => `mknod -m 666 ${root}/dev/${device}`),
    `mkdir ${root}/dev/shm`,
    ...mounts.flat(),
    ...(readOnlyRootFilesystem === true ? [`mount -o remount,bind,ro ${root}`] : []),
    'exec "$@"',
  ];
  const added = (capabilities?.add ?? []).map((name) => `,+${name.toLowerCase()}`).join('');
  const rights = privileged
    ? []
    : [
        'setpriv',
        `--bounding-set=-all${added}`,
        `--inh-caps=-all${added}`,
        ...(allowPrivilegeEscalation === false ? ['--no-new-privs'] : []),
      ];
  const env = Object.fromEntries(
    (container.env ?? []).flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
  );
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const variables = Object.entries({ ...env, ...place.env }).map(([name, value]) => `${name}=${value}`);
  const inside = ['env', '-i', path, ...variables, 'chroot', root, ...rights, ...command];
  return ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script.join('\n'), 'sh', ...inside];
}

/** Mounts a directory, or memory if there is none. The runtime makes missing places in the root. */
function mountLines(
  target: string,
  source: string | undefined,
  readOnly: boolean,
  sizeLimit?: string,
): readonly string[] {
  const size = sizeLimit === undefined ? '' : ` -o size=${sizeLimit.replace(/i$/, '')}`;
  return [
    `mkdir -p ${target}`,
    source === undefined ? `mount -t tmpfs${size} tmpfs ${target}` : `mount --bind ${source} ${target}`,
    ...(readOnly ? [`mount -o remount,bind,ro ${target}`] : []),
  ];
}
