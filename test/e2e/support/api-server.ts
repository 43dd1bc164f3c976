import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { AuditedRequest } from '../../api-server/audit.ts';
import type { Control } from '../../api-server/control.ts';
import type { Lab } from '../../lab/lab.ts';
import type { Manifest } from '../../lab/manifests.ts';
import type { LabNode } from '../../lab/node.ts';
import type { RawObject } from '../../oracle/question.ts';
import type { StoredObject } from '../../api-server/truth.ts';
import type { Request } from './api-server.child.ts';
import type { Ref } from './backend.ts';

/** An API server outside of a lab's nodes, reached by them over their uplinks. It ends with the lab. */
export class LabApiServer {
  /** For agents on any node. */
  readonly kubeconfig: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;

  private constructor(child: ChildProcess, kubeconfig: string) {
    this.#child = child;
    this.kubeconfig = kubeconfig;
  }

  /**
   * Starts the server made for tests, or the real one whose binaries are in `assets`, with further flags; `node` lends
   * its process book.
   */
  static async start(lab: Lab, node: LabNode, assets?: string, ...flags: readonly string[]): Promise<LabApiServer> {
    const program = fileURLToPath(new URL('api-server.child.ts', import.meta.url));
    const [host = ''] = lab.outside.addresses;
    const command = ['ip', 'netns', 'exec', lab.outside.netns, process.execPath, program, host, lab.directory];
    if (assets !== undefined) command.push(assets, ...flags);
    const child = node.spawn(command, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.stdout === null) throw new Error('the server has no output');
    const lines = createInterface({ input: child.stdout });
    const first = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      child.once('exit', (code) => reject(new Error(`the API server ended: ${String(code)}`)));
    });
    const path = join(lab.directory, 'kubeconfig');
    writeFileSync(path, (JSON.parse(first) as { readonly kubeconfig: string }).kubeconfig);
    const server = new LabApiServer(child, path);
    lines.on('line', (line) => server.#answer(line));
    child.once('exit', () => {
      for (const waiting of server.#waiting.values()) waiting.reject(new Error('the API server ended'));
    });
    return server;
  }

  /** Creates or replaces objects; answers them as stored. */
  async apply(...objects: readonly Manifest[]): Promise<readonly StoredObject[]> {
    return (await this.#ask({ do: 'apply', objects })) as readonly StoredObject[];
  }

  /** Begins the graceful end of a pod. */
  async terminate(ref: Ref): Promise<void> {
    await this.#ask({ do: 'terminate', ref });
  }

  async remove(...refs: readonly Ref[]): Promise<void> {
    await this.#ask({ do: 'remove', refs });
  }

  /** Everything the server holds. */
  async objects(): Promise<readonly RawObject[]> {
    return (await this.#ask({ do: 'objects' })) as readonly RawObject[];
  }

  /** Refuses and breaks connections until {@link start}. */
  async stop(): Promise<void> {
    await this.#ask({ do: 'stop' });
  }

  async start(): Promise<void> {
    await this.#ask({ do: 'start' });
  }

  /** A new server with the same state and no history. */
  async restart(): Promise<void> {
    await this.#ask({ do: 'restart' });
  }

  /**
   * From now on programs run in the containers of these nodes' pods: in their network namespaces. Rejects on a real
   * server, which has no kubelets.
   */
  async runContainers(nodes: readonly LabNode[]): Promise<void> {
    await this.#ask({ do: 'containers', nodes: Object.fromEntries(nodes.map(({ name, netns }) => [name, netns])) });
  }

  /** etcd is killed and comes back; the server made for tests restarts. */
  async crashStorage(): Promise<void> {
    await this.#ask({ do: 'crashStorage' });
  }

  /** Every request there was; of a real server only. */
  async audit(): Promise<readonly AuditedRequest[]> {
    return (await this.#ask({ do: 'audit' })) as readonly AuditedRequest[];
  }

  /** Rejects on a real server. */
  async control(control: Control): Promise<void> {
    await this.#ask({ do: 'control', control });
  }

  async #ask(request: Request): Promise<unknown> {
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#child.stdin?.write(`${JSON.stringify({ ...request, id })}\n`);
    return await waiting.promise;
  }

  #answer(line: string): void {
    const { id, result, error } = JSON.parse(line) as {
      readonly id: number;
      readonly result: unknown;
      readonly error?: string;
    };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }
}
