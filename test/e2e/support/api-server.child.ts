import { createInterface } from 'node:readline';

import type { Control } from '../../api-server/control.ts';
import type { Json } from '../../api-server/truth.ts';
import type { ApiBackend, Ref } from './backend.ts';

/** What the process that started this server may ask of it, one line of JSON each. */
export type Request =
  | { readonly do: 'apply'; readonly objects: readonly (Json & { readonly kind: string })[] }
  | { readonly do: 'terminate'; readonly ref: Ref }
  | { readonly do: 'remove'; readonly refs: readonly Ref[] }
  | { readonly do: 'containers'; readonly nodes: Readonly<Record<string, string>> }
  | { readonly do: 'objects' | 'audit' | 'stop' | 'start' | 'restart' | 'crashStorage' }
  | { readonly do: 'control'; readonly control: Control };

/*
 * An API server in a network namespace, the real one if its binaries are given, steered over stdin, which works through
 * outages too. It ends with stdin.
 */
const [host = '127.0.0.1', folder = '', assets, ...flags] = process.argv.slice(2);
const server: ApiBackend =
  assets === undefined
    ? await (await import('./test-backend.ts')).TestBackend.start(host)
    : await (await import('./real-backend.ts')).RealBackend.start(host, folder, { assets, flags });
process.stdout.write(`${JSON.stringify({ kubeconfig: server.kubeconfig })}\n`);

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
    case 'apply': {
      const stored = [];
      for (const object of request.objects) stored.push(await server.apply(object));
      return stored;
    }
    case 'terminate':
      return await server.terminate(request.ref);
    case 'remove':
      for (const ref of request.refs) await server.remove(ref);
      return null;
    case 'containers':
      return await server.containers(request.nodes);
    case 'control':
      return await server.control(request.control);
    case 'objects':
    case 'audit':
    case 'stop':
    case 'start':
    case 'restart':
    case 'crashStorage':
      return await server[request.do]();
  }
}
