import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { answerControl } from '../../api-server/control.ts';
import type { Control } from '../../api-server/control.ts';
import type { ExecResult } from '../../api-server/exec.ts';
import { TestApiServer } from '../../api-server/server.ts';
import { collections } from '../../api-server/truth.ts';
import type { Json, Plural } from '../../api-server/truth.ts';

/** Names one object of the server. */
export interface Ref {
  readonly plural: Plural;
  readonly namespace?: string;
  readonly name: string;
}

/** What the process that started this server may ask of it, one line of JSON each. */
export type Request =
  | { readonly do: 'apply'; readonly objects: readonly (Json & { readonly kind: string })[] }
  | { readonly do: 'remove'; readonly refs: readonly Ref[] }
  | { readonly do: 'objects' }
  | { readonly do: 'stop' | 'start' | 'restart' }
  /** Containers are the network namespaces of their nodes, with this checkout's programs. */
  | { readonly do: 'containers'; readonly nodes: Readonly<Record<string, string>> }
  | { readonly do: 'control'; readonly control: Control };

/*
 * The test API server in a network namespace, steered over stdin, which works through outages too. It ends with stdin.
 */
const [host = '127.0.0.1'] = process.argv.slice(2);
const server = new TestApiServer({ host, names: [host], bookmarkMs: 2_000 });
await server.start();
process.stdout.write(`${JSON.stringify({ kubeconfig: server.kubeconfig() })}\n`);

let running = true;
let queue = Promise.resolve();
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, ...request } = JSON.parse(line) as Request & { readonly id: number };
  queue = queue.then(async () => {
    const answer = await perform(request as Request).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, error: String(error) }),
    );
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
});
lines.on('close', () => process.exit(0));

async function perform(request: Request): Promise<unknown> {
  switch (request.do) {
    case 'apply':
      for (const object of request.objects) apply(object);
      return null;
    case 'remove':
      for (const { plural, name, namespace } of request.refs) server.truth.delete(plural, name, namespace);
      return null;
    case 'objects':
      return (['nodes', 'namespaces', 'pods', 'networkpolicies'] as const).flatMap((plural) =>
        server.truth.list(plural),
      );
    case 'stop':
      await server.stop();
      running = false;
      return null;
    case 'start':
      if (!running) await server.start();
      running = true;
      return null;
    case 'restart':
      await server.restart();
      running = true;
      return null;
    case 'containers':
      server.exec = ({ pod, command, signal }) => {
        const { nodeName = '' } = pod['spec'] as { readonly nodeName?: string };
        return runOnNode(request.nodes[nodeName] ?? '', command, signal);
      };
      return null;
    case 'control':
      return answerControl(server, request.control);
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

/** Creates or replaces; an object with another uid is another object. */
function apply(object: Json & { readonly kind: string }): void {
  const plural = pluralOf(object.kind);
  const metadata = object['metadata'] as { readonly name: string; readonly namespace?: string; readonly uid?: string };
  const { name, namespace, uid } = metadata;
  const existing = server.truth.get(plural, name, namespace);
  if (existing === undefined) server.truth.create(plural, object);
  else if (uid !== undefined && uid !== existing.metadata.uid) {
    server.truth.delete(plural, name, namespace);
    server.truth.create(plural, object);
  } else server.truth.update(plural, object);
}

function pluralOf(kind: string): Plural {
  for (const [plural, type] of collections) if (type.kind === kind) return plural;
  throw new Error(`the server has no ${kind}`);
}
