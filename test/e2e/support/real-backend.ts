import { join } from 'node:path';

import type { KubeAccess } from '../../../src/source/kubernetes/access.ts';
import type { AuditedRequest } from '../../api-server/audit.ts';
import { RealApiServer } from '../../api-server/real-server.ts';
import { RestClient } from '../../api-server/rest-client.ts';
import type { Json, StoredObject } from '../../api-server/truth.ts';
import { run } from '../../lab/run.ts';
import { listed } from './backend.ts';
import type { ApiBackend, Ref } from './backend.ts';

/** A real etcd and kube-apiserver in the network namespace of this process, which must be one of a lab. */
export class RealBackend implements ApiBackend {
  readonly #server: RealApiServer;
  readonly #access: KubeAccess;
  readonly #client: RestClient;

  private constructor(server: RealApiServer) {
    this.#server = server;
    this.#access = server.access();
    this.#client = new RestClient(this.#access);
  }

  static async start(
    host: string,
    folder: string,
    { assets, flags }: { readonly assets: string; readonly flags: readonly string[] },
  ): Promise<RealBackend> {
    return new RealBackend(await RealApiServer.start({ assets, flags, host, folder: join(folder, 'apiserver') }));
  }

  get kubeconfig(): string {
    return this.#server.kubeconfig();
  }

  async apply(object: Json & { readonly kind: string }): Promise<StoredObject> {
    return await this.#client.apply(object);
  }

  async terminate({ plural, name, namespace }: Ref): Promise<void> {
    await this.#client.delete(plural, name, namespace, 30);
  }

  async remove({ plural, name, namespace }: Ref): Promise<void> {
    await this.#client.delete(plural, name, namespace);
  }

  async objects(): Promise<readonly Json[]> {
    return (await Promise.all(listed.map((plural) => this.#client.list(plural)))).flat();
  }

  /** Cuts the nodes off. The server and its storage go on, as behind a switch that fails. */
  async stop(): Promise<void> {
    const port = this.#server.port;
    await run([
      'nft',
      [
        'add table inet outage',
        'add chain inet outage in { type filter hook input priority 0; }',
        'add chain inet outage out { type filter hook output priority 0; }',
        `add rule inet outage in iifname uplinks tcp dport ${port} reject with tcp reset`,
        `add rule inet outage out oifname uplinks tcp sport ${port} reject with tcp reset`,
      ].join('; '),
    ]);
  }

  async start(): Promise<void> {
    // Adding what may be there already makes the deletion succeed in any case.
    await run(['nft', 'add table inet outage; delete table inet outage']);
  }

  async restart(): Promise<void> {
    await this.#server.restart();
    await this.start();
    this.#access.close();
  }

  async crashStorage(): Promise<void> {
    await this.#server.crashStorage(2_000);
  }

  containers(): Promise<void> {
    return Promise.reject(new Error('there are no kubelets to run programs in containers'));
  }

  audit(): Promise<readonly AuditedRequest[]> {
    return Promise.resolve(this.#server.audit());
  }

  control(): Promise<object> {
    return Promise.reject(new Error('a real server has no faults on demand'));
  }
}
