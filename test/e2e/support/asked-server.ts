import { setTimeout as sleep } from 'node:timers/promises';

import type { KubeAccess } from '../../../src/source/kubernetes/access.ts';
import type { AuditedRequest } from '../../api-server/audit.ts';
import type { KeyPair } from '../../api-server/certificate.ts';
import { RealApiServer } from '../../api-server/real-server.ts';
import { pathOf, RestClient } from '../../api-server/rest-client.ts';
import { TestApiServer } from '../../api-server/server.ts';
import { pluralOf } from '../../api-server/truth.ts';
import type { Json, Plural } from '../../api-server/truth.ts';

/** An API server that `policy explain` asks as the user `asker`, who may read what explain reads and nothing else. */
export interface AskedServer {
  readonly url: string;
  readonly token: string;
  /** Of somebody who may do everything, also speak as others; none where nobody judges that. */
  readonly superToken: string | undefined;
  /** Namespaces that the server makes for itself. */
  readonly ownNamespaces: number;
  /** A kubeconfig of the asker, or of whoever has other credentials. */
  kubeconfig(user?: Json): string;
  certificate(user: string): KeyPair;
  /** Creates or replaces objects, status included. Answers the last one's uid. */
  apply(...objects: readonly Json[]): Promise<string>;
  /** Takes rights from the asker: `list pods`. */
  forbid(...rights: readonly string[]): Promise<void>;
  /** What the asker asked since {@link AskedServer.reset}, sorted. */
  asked(): readonly string[];
  /** How the asker listed pods: `NAMESPACE or * SELECTOR or all`, sorted. */
  podLists(): readonly string[];
  /** No objects but its own, and all rights. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** What explain may have to read: `get` and `list` of each. */
const readable: readonly (readonly [group: string, plurals: readonly string[]])[] = [
  ['', ['pods', 'namespaces', 'nodes', 'services']],
  ['networking.k8s.io', ['networkpolicies']],
  ['discovery.k8s.io', ['endpointslices']],
  ['apps', ['deployments', 'statefulsets', 'daemonsets', 'replicasets']],
  ['batch', ['jobs', 'cronjobs']],
];

/** The server made for tests. */
export class AskedTestServer implements AskedServer {
  readonly ownNamespaces = 0;
  readonly token = 'test-token';
  readonly superToken = undefined;
  server: TestApiServer = new TestApiServer();

  get url(): string {
    return this.server.url;
  }

  kubeconfig(user?: Json): string {
    return user === undefined ? this.server.kubeconfig() : this.server.kubeconfigOf(user);
  }

  certificate(user: string): KeyPair {
    return this.server.authority.client(user);
  }

  async apply(...objects: readonly Json[]): Promise<string> {
    const { truth } = this.server;
    const stored = objects.map((object) => {
      const plural = pluralOf(String(object['kind']));
      const { name, namespace } = object['metadata'] as { readonly name: string; readonly namespace?: string };
      return truth.get(plural, name, namespace) === undefined
        ? truth.create(plural, object)
        : truth.update(plural, object);
    });
    return await Promise.resolve(stored.at(-1)?.metadata.uid ?? '');
  }

  async forbid(...rights: readonly string[]): Promise<void> {
    for (const right of rights) this.server.forbidden.add(right);
    await Promise.resolve();
  }

  asked(): readonly string[] {
    return this.server.requests.map(({ verb, plural }) => `${verb} ${plural}`).sort();
  }

  podLists(): readonly string[] {
    return this.server.requests
      .filter(({ verb, plural }) => verb === 'list' && plural === 'pods')
      .map(({ namespace, query }) => listText(namespace, query))
      .sort();
  }

  async reset(): Promise<void> {
    await this.server.stop();
    this.server = new TestApiServer();
    await this.server.start();
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}

/** The real one, whose RBAC judges the asker. */
export class AskedRealServer implements AskedServer {
  readonly ownNamespaces = 4;
  readonly token = 'asker-token';
  readonly #server: RealApiServer;
  readonly #access: KubeAccess;
  readonly #client: RestClient;
  readonly #askerAccess: KubeAccess;
  readonly #asker: RestClient;
  readonly #namespaces = new Set<string>();
  #forbidden: readonly string[] = [];
  #generation = 0;
  #askedBefore = 0;

  private constructor(server: RealApiServer) {
    this.#server = server;
    this.#access = server.access();
    this.#client = new RestClient(this.#access);
    this.#askerAccess = server.access(this.token);
    this.#asker = new RestClient(this.#askerAccess);
  }

  static async start(assets: string): Promise<AskedRealServer> {
    const server = new AskedRealServer(await RealApiServer.start({ assets, users: ['asker'] }));
    await server.#client.send('POST', `${rbac}/clusterroles`, roleOf([], 0));
    await server.#client.send('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'asker' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'asker' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'asker' }],
    });
    return server;
  }

  get url(): string {
    return this.#server.url;
  }

  get superToken(): string {
    return this.#server.token;
  }

  kubeconfig(user: Json = { token: this.token }): string {
    return this.#server.kubeconfig(user);
  }

  certificate(user: string): KeyPair {
    return this.#server.authority.client(user);
  }

  async apply(...objects: readonly Json[]): Promise<string> {
    let uid = '';
    for (const object of objects) {
      const { name } = object['metadata'] as { readonly name: string };
      if (object['kind'] === 'Namespace') this.#namespaces.add(name);
      uid = (await this.#client.apply({ ...object, kind: String(object['kind']) })).metadata.uid;
    }
    return uid;
  }

  async forbid(...rights: readonly string[]): Promise<void> {
    this.#forbidden = rights;
    await this.#grant();
  }

  asked(): readonly string[] {
    return this.#byAsker()
      .slice(this.#askedBefore)
      .map(({ what }) => what.replace(/\..*/, ''))
      .sort();
  }

  podLists(): readonly string[] {
    return this.#byAsker()
      .slice(this.#askedBefore)
      .filter(({ what }) => what === 'list pods')
      .map(({ namespace, query }) => listText(namespace, query))
      .sort();
  }

  async reset(): Promise<void> {
    const namespaced: readonly Plural[] = [
      'pods',
      'services',
      'networkpolicies',
      'endpointslices',
      'deployments',
      'statefulsets',
      'replicasets',
      'jobs',
    ];
    for (const namespace of this.#namespaces) {
      for (const plural of namespaced) await this.#client.send('DELETE', `${pathOf(plural, namespace)}?${atOnce}`);
    }
    await this.#client.send('DELETE', '/api/v1/nodes');
    this.#forbidden = [];
    await this.#grant();
    this.#askedBefore = this.#byAsker().length;
  }

  async stop(): Promise<void> {
    this.#access.close();
    this.#askerAccess.close();
    await this.#server.stop();
  }

  /** What the asker asked but for its rights, which {@link AskedRealServer.#grant} asks. */
  #byAsker(): readonly AuditedRequest[] {
    return this.#server
      .audit()
      .filter(({ user, what }) => user === 'asker' && !what.includes('selfsubjectaccessreviews'));
  }

  /** Writes the role, and waits until the server judges by it. */
  async #grant(): Promise<void> {
    this.#generation += 1;
    await this.#client.send('PUT', `${rbac}/clusterroles/asker`, roleOf(this.#forbidden, this.#generation));
    const attributes = { path: `/generation-${this.#generation}`, verb: 'get' };
    for (;;) {
      const review = (await this.#asker.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        spec: { nonResourceAttributes: attributes },
      })) as { readonly status: { readonly allowed: boolean } };
      if (review.status.allowed) return;
      await sleep(50);
    }
  }
}

function listText(namespace: string | undefined, query: URLSearchParams): string {
  return `${namespace === undefined || namespace === '' ? '*' : namespace} ${query.get('fieldSelector') ?? 'all'}`;
}

/** Without controllers nobody would end a graceful deletion, or let go what hangs on a deleted Job. */
const atOnce = 'gracePeriodSeconds=0&propagationPolicy=Background';

const rbac = '/apis/rbac.authorization.k8s.io/v1';

/** The generation is part of the rights, so that one can ask whether they count yet. */
function roleOf(forbidden: readonly string[], generation: number): Json {
  const rules = readable.flatMap(([group, plurals]) =>
    plurals.map((plural) => ({
      apiGroups: [group],
      resources: [plural],
      verbs: ['get', 'list'].filter((verb) => !forbidden.includes(`${verb} ${plural}`)),
    })),
  );
  return {
    metadata: { name: 'asker' },
    rules: [
      ...rules.filter(({ verbs }) => verbs.length > 0),
      { nonResourceURLs: [`/generation-${generation}`], verbs: ['get'] },
    ],
  };
}
