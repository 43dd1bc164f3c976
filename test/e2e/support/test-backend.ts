import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { AuditedRequest } from '../../api-server/audit.ts';
import { answerControl } from '../../api-server/control.ts';
import type { Control } from '../../api-server/control.ts';
import type { ExecResult } from '../../api-server/exec.ts';
import { TestApiServer } from '../../api-server/server.ts';
import { pluralOf } from '../../api-server/truth.ts';
import type { Json, StoredObject } from '../../api-server/truth.ts';
import { listed } from './backend.ts';
import type { ApiBackend, Ref } from './backend.ts';

/** The API server made for tests. */
export class TestBackend implements ApiBackend {
  readonly #server: TestApiServer;
  #running = true;

  private constructor(server: TestApiServer) {
    this.#server = server;
  }

  static async start(host: string): Promise<TestBackend> {
    const server = new TestApiServer({ host, names: [host], bookmarkMs: 2_000 });
    await server.start();
    return new TestBackend(server);
  }

  get kubeconfig(): string {
    return this.#server.kubeconfig();
  }

  apply(object: Json & { readonly kind: string }): Promise<StoredObject> {
    const { truth } = this.#server;
    const plural = pluralOf(object.kind);
    const { name, namespace } = object['metadata'] as { readonly name: string; readonly namespace?: string };
    const exists = truth.get(plural, name, namespace) !== undefined;
    return Promise.resolve(exists ? truth.update(plural, object) : truth.create(plural, object));
  }

  async terminate(ref: Ref): Promise<void> {
    const deletionTimestamp = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const metadata = { deletionTimestamp, deletionGracePeriodSeconds: 30 };
    this.#server.truth.patch(ref.plural, ref.name, ref.namespace, { metadata });
    await Promise.resolve();
  }

  async remove({ plural, name, namespace }: Ref): Promise<void> {
    this.#server.truth.delete(plural, name, namespace);
    await Promise.resolve();
  }

  objects(): Promise<readonly Json[]> {
    return Promise.resolve(listed.flatMap((plural) => this.#server.truth.list(plural)));
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    this.#running = false;
  }

  async start(): Promise<void> {
    if (!this.#running) await this.#server.start();
    this.#running = true;
  }

  async restart(): Promise<void> {
    await this.#server.restart();
    this.#running = true;
  }

  async crashStorage(): Promise<void> {
    await this.restart();
  }

  containers(nodes: Readonly<Record<string, string>>): Promise<void> {
    this.#server.exec = ({ pod, command, signal }) => {
      const { nodeName = '' } = pod['spec'] as { readonly nodeName?: string };
      return runOnNode(nodes[nodeName] ?? '', command, signal);
    };
    return Promise.resolve();
  }

  audit(): Promise<readonly AuditedRequest[]> {
    return Promise.reject(new Error('the server made for tests keeps no audit log'));
  }

  control(control: Control): Promise<object> {
    return Promise.resolve(answerControl(this.#server, control));
  }
}

/** Runs a program of a container; its `policy` is ours. */
async function runOnNode(
  netns: string,
  [program = '', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<ExecResult> {
  const bin = fileURLToPath(new URL('../../../bin/policy.mjs', import.meta.url));
  const command = program === 'policy' ? [process.execPath, bin, ...args] : [program, ...args];
  const options = { signal, maxBuffer: 1 << 28 };
  return await new Promise((resolve) => {
    execFile('ip', ['netns', 'exec', netns, ...command], options, (error, stdout, stderr) => {
      resolve({ exitCode: typeof error?.code === 'number' ? error.code : error === null ? 0 : 137, stdout, stderr });
    });
  });
}
