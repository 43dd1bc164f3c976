import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Plural } from '../api-server/truth.ts';
import type { ApiCommand } from './api-server.child.ts';
import type { Manifest } from './manifests.ts';
import type { LabNode } from './node.ts';

const plurals: Readonly<Record<string, Plural>> = {
  Pod: 'pods',
  Namespace: 'namespaces',
  Node: 'nodes',
  Service: 'services',
  NetworkPolicy: 'networkpolicies',
};

/** The test API server as its own process on a lab node, reachable from that node alone. */
export class LabApiServer {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  /** Path of a kubeconfig for it. */
  readonly kubeconfig: string;
  #lane: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcess, answers: AsyncIterator<string>, kubeconfig: string) {
    this.#child = child;
    this.#answers = answers;
    this.kubeconfig = kubeconfig;
  }

  /** Starts it; resolves when it listens. */
  static async start(node: LabNode): Promise<LabApiServer> {
    const child = node.spawn([process.execPath, join(import.meta.dirname, 'api-server.child.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (child.stdout === null) throw new Error('the API server has no stdout');
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await answers.next();
    if (first.done === true) throw new Error('the API server ended at once');
    const kubeconfig = join(node.directory, 'kubeconfig');
    writeFileSync(kubeconfig, (JSON.parse(first.value) as { kubeconfig: string }).kubeconfig, { mode: 0o600 });
    return new LabApiServer(child, answers, kubeconfig);
  }

  /** Creates or replaces objects. */
  async apply(...objects: readonly Manifest[]): Promise<void> {
    for (const object of objects) {
      const plural = plurals[object.kind];
      if (plural === undefined) throw new Error(`no collection for ${object.kind}`);
      await this.ask({ action: 'apply', plural, object });
    }
  }

  /** Deletes one object. */
  async remove(plural: Plural, name: string, namespace?: string): Promise<void> {
    await this.ask({ action: 'delete', plural, name, ...(namespace === undefined ? {} : { namespace }) });
  }

  /** Sends one command and answers with what it answered; one at a time. */
  async ask(command: ApiCommand): Promise<unknown> {
    const turn = this.#lane.then(async () => {
      this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
      const answer = await this.#answers.next();
      if (answer.done === true) throw new Error('the API server ended');
      return JSON.parse(answer.value) as unknown;
    });
    this.#lane = turn.catch(() => undefined);
    return await turn;
  }
}
