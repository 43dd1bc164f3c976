/**
 * The test API server inside a lab node, obeying lines of JSON on stdin: every line is answered by one line. It listens
 * on 127.0.0.1 of its network namespace, where nobody else could reach it.
 */
import { createInterface } from 'node:readline';

import { TestApiServer } from '../api-server/server.ts';
import type { Json, Plural } from '../api-server/truth.ts';

/** What the lab may ask of its API server. */
export type ApiCommand =
  | { readonly action: 'apply'; readonly plural: Plural; readonly object: Json }
  | { readonly action: 'delete'; readonly plural: Plural; readonly name: string; readonly namespace?: string }
  | { readonly action: 'list'; readonly plural: Plural }
  | { readonly action: 'forbid' | 'permit'; readonly verb: string; readonly plural: Plural }
  | { readonly action: 'stop' | 'start' };

const server = new TestApiServer();
await server.start();
console.log(JSON.stringify({ kubeconfig: server.kubeconfig() }));

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await obey(JSON.parse(line) as ApiCommand)));
}
await server.stop();

async function obey(command: ApiCommand): Promise<unknown> {
  const { truth } = server;
  switch (command.action) {
    case 'apply': {
      const { name, namespace } = command.object['metadata'] as { name: string; namespace?: string };
      if (truth.get(command.plural, name, namespace) === undefined) return truth.create(command.plural, command.object);
      return truth.update(command.plural, command.object);
    }
    case 'delete':
      return truth.delete(command.plural, command.name, command.namespace);
    case 'list':
      return truth.list(command.plural);
    case 'forbid':
      server.forbidden.add(`${command.verb} ${command.plural}`);
      return {};
    case 'permit':
      server.forbidden.delete(`${command.verb} ${command.plural}`);
      return {};
    case 'stop':
      await server.stop();
      return {};
    case 'start':
      await server.start();
      return {};
  }
}
