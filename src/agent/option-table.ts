/** One option of the agent, as flags, environment and configuration file know it. */
export interface AgentOption {
  readonly type: 'text' | 'boolean' | 'choice';
  readonly choices?: readonly string[];
  /** What the value of the flag is called in the help. */
  readonly placeholder?: string;
  readonly help: string;
  /** In force when nobody says otherwise; as text. */
  readonly default?: string;
}

/** The name of an option in the configuration file. */
export type AgentOptionName =
  | 'node'
  | 'manifests'
  | 'kubeconfig'
  | 'context'
  | 'enforce'
  | 'unknownPods'
  | 'reject'
  | 'policeNodeEgress'
  | 'nodeDns'
  | 'recordDenied'
  | 'listen'
  | 'stateDir'
  | 'readyFile'
  | 'cniConfDir'
  | 'cniCacheDir'
  | 'netnsDir'
  | 'logLevel';

/**
 * Every option of the agent. The key is the name in the configuration file; flag and environment variable are made of
 * it. No schema here: the command line loads this table for its help.
 */
export const agentOptions: Readonly<Record<AgentOptionName, AgentOption>> = {
  node: { type: 'text', placeholder: 'name', help: 'name of this node, as the API knows it (else NODE_NAME)' },
  manifests: {
    type: 'text',
    placeholder: 'dir',
    help: 'watch a directory of Kubernetes objects instead of an API server',
  },
  kubeconfig: {
    type: 'text',
    placeholder: 'path',
    help: 'reach the API server by this kubeconfig instead of from within the cluster',
  },
  context: { type: 'text', placeholder: 'name', help: 'context of the kubeconfig' },
  enforce: {
    type: 'choice',
    choices: ['every-packet', 'new-connections'],
    default: 'every-packet',
    help: 'judge every packet, so that tightening cuts live connections, or only the first of each connection',
  },
  unknownPods: {
    type: 'choice',
    choices: ['drop', 'accept'],
    default: 'drop',
    help: 'what happens to traffic of local pods that are not known yet',
  },
  reject: {
    type: 'boolean',
    default: 'false',
    help: 'answer refused packets (TCP reset, ICMP) instead of dropping them',
  },
  policeNodeEgress: { type: 'boolean', default: 'false', help: 'enforce egress rules towards the own node too' },
  nodeDns: {
    type: 'text',
    placeholder: 'auto|off|addresses',
    default: 'auto',
    help: 'with --police-node-egress: where DNS on the node stays reachable; auto: at the addresses of nodelocaldns',
  },
  recordDenied: { type: 'boolean', default: 'true', help: 'record refused flows for `policy denied`' },
  listen: {
    type: 'text',
    placeholder: 'host:port',
    default: '127.0.0.1:9478',
    help: 'address of health, metrics and status, or off',
  },
  stateDir: {
    type: 'text',
    placeholder: 'dir',
    help: 'where the last good objects are kept for a cold start, or off (/var/lib/nftpolicy; off with --manifests)',
  },
  readyFile: { type: 'text', placeholder: 'path', help: 'written after the first complete apply' },
  cniConfDir: { type: 'text', placeholder: 'dir', default: '/etc/cni/net.d', help: 'CNI configuration' },
  cniCacheDir: { type: 'text', placeholder: 'dir', default: '/var/lib/cni', help: 'CNI result cache' },
  netnsDir: { type: 'text', placeholder: 'dir', default: '/run/netns', help: 'named network namespaces' },
  logLevel: {
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    help: 'least severity that is logged',
  },
};

/** All of them, in the order of the help. */
export const agentOptionNames: readonly AgentOptionName[] = Object.keys(agentOptions) as AgentOptionName[];

/** `--cni-conf-dir`. */
export function flagOf(name: AgentOptionName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `NFTPOLICY_CNI_CONF_DIR`. */
export function variableOf(name: AgentOptionName): string {
  return `NFTPOLICY_${name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`;
}
