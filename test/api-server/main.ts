import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { answerControl } from './control.ts';
import { between, seededRandom } from './random.ts';
import { TestApiServer } from './server.ts';

/**
 * Runs the test API server as its own process, for tests in network namespaces:
 * `node test/api-server/main.ts --host 127.0.0.1 --port 0 --print-kubeconfig`.
 *
 * Prints one line of JSON on stdout when it listens: `{"url", "kubeconfig"?, "ca", "token"}`. It ends on SIGTERM.
 * `POST /control` with a bearer token steers it; see `control.ts`.
 */
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
    name: { type: 'string', multiple: true, default: [] },
    seed: { type: 'string' },
    'bookmark-ms': { type: 'string', default: '60000' },
    'no-watch-list': { type: 'boolean', default: false },
    'print-kubeconfig': { type: 'boolean', default: false },
    kubeconfig: { type: 'string' },
  },
});

const seed = values.seed === undefined ? between(Math.random, 1, 1_000_000) : Number(values.seed);
const server = new TestApiServer({
  host: values.host,
  port: Number(values.port),
  names: values.name,
  bookmarkMs: Number(values['bookmark-ms']),
  random: seededRandom(seed),
  control: answerControl,
});
server.watchList = !values['no-watch-list'];
await server.start();
const kubeconfig = server.kubeconfig();
if (values.kubeconfig !== undefined) writeFileSync(values.kubeconfig, kubeconfig, { mode: 0o600 });
process.stdout.write(
  `${JSON.stringify({
    url: server.url,
    token: 'test-token',
    ca: server.authority.cert,
    seed,
    ...(values['print-kubeconfig'] && { kubeconfig }),
  })}\n`,
);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.stop());
