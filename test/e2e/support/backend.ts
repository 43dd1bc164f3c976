import type { AuditedRequest } from '../../api-server/audit.ts';
import type { Control } from '../../api-server/control.ts';
import type { Json, Plural, StoredObject } from '../../api-server/truth.ts';

/** Names one object of the server. */
export interface Ref {
  readonly plural: Plural;
  readonly namespace?: string;
  readonly name: string;
}

/** An API server as a lab steers it. Objects can be read and written at any time, also while no node reaches it. */
export interface ApiBackend {
  readonly kubeconfig: string;
  /** Creates or replaces; the server gives the uid. */
  apply(object: Json & { readonly kind: string }): Promise<StoredObject>;
  /** Begins the end of a pod: it stays until it is removed. */
  terminate(ref: Ref): Promise<void>;
  remove(ref: Ref): Promise<void>;
  /** Nodes, namespaces, pods and policies. */
  objects(): Promise<readonly Json[]>;
  /** No node reaches it any more; connections break. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The same state, and no history. */
  restart(): Promise<void>;
  /** Its storage crashes and comes back. */
  crashStorage(): Promise<void>;
  /** Containers are the network namespaces of their nodes, given by name, with this checkout's programs. */
  containers(nodes: Readonly<Record<string, string>>): Promise<void>;
  /** What was asked of it, by whom, and with what answer. */
  audit(): Promise<readonly AuditedRequest[]>;
  /** Faults of single requests, which only a server made for tests has. */
  control(control: Control): Promise<object>;
}

/** What {@link ApiBackend.objects} answers. */
export const listed: readonly Plural[] = ['nodes', 'namespaces', 'pods', 'networkpolicies'];
