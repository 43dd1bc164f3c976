// The main job on a real kernel: nodes, pods, packets and policies, with every packet's fate beside explain's verdict.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { LabAgent } from './agent.ts';
import { podManifest } from './manifests.ts';
import { probeAll } from './matrix.ts';
import { addressOf } from './pod.ts';
import { listNamespaces } from './registry.ts';
import { createScenario } from './scenario.ts';
import type { Scenario, ScenarioCell } from './scenario.ts';
import { askExplain } from './ask-explain.ts';

const root = join(import.meta.dirname, '../..');
const policyFile = join(root, 'examples/01-database-api/policy.yaml');

let agreed = 0;
let disagreed = 0;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function check(what: string, holds: boolean): void {
  if (holds) agreed += 1;
  else disagreed += 1;
  say(`  ${holds ? 'ok      ' : 'DISAGREE'}  ${what}`);
}

/** Sends packets for all cells, asks explain about all cells, prints both. */
async function compare(scenario: Scenario): Promise<void> {
  const packets = await scenario.probe();
  const expected = await askExplain(scenario.manifests.path, scenario.cells);
  const rows = [...new Set(scenario.cells.map(({ row }) => row))];
  const columns = [...new Set(scenario.cells.map(({ column }) => column))];
  const cellText = (row: string, column: string): string => {
    const index = scenario.cells.findIndex((cell) => cell.row === row && cell.column === column);
    const verdict = packets[index]?.verdict;
    if (verdict === undefined) return '';
    const agrees = verdict === expected[index];
    if (agrees) agreed += 1;
    else disagreed += 1;
    return agrees ? (verdict === 'allow' ? 'yes' : '-') : `${verdict}/${expected[index] ?? '?'}!`;
  };
  const table = rows.map((row) => [row, ...columns.map((column) => cellText(row, column))]);
  say(renderTable(['from \\ to database', ...columns.map((column) => column.replaceAll(' ', '\n'))], table));
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const headLines = head.map((text) => text.split('\n'));
  const height = Math.max(...headLines.map(({ length }) => length));
  const lines = Array.from({ length: height }, (_, i) =>
    headLines.map((cell) => cell[i - (height - cell.length)] ?? ''),
  );
  const all = [...lines, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const render = (row: readonly string[]): string =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd();
  return [
    ...lines.map(render),
    `  ${'-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))}`,
    ...rows.map(render),
  ].join('\n');
}

async function reaches(
  scenario: Scenario,
  cell: Omit<ScenarioCell, 'row' | 'column' | 'askFrom' | 'askTo'>,
): Promise<boolean> {
  const [answer] = await probeAll(scenario.lab.traffic, [cell]);
  return answer?.verdict === 'allow';
}

/** Labels move, pods come, the agent dies: each seen by packets. */
async function liveChanges(scenario: Scenario, agent: LabAgent): Promise<void> {
  const { lab, node, manifests, pods } = scenario;
  const to = addressOf(pods.database, 'IPv4');
  const database = { to, port: 5432, protocol: 'tcp', at: pods.database } as const;

  const held = await lab.traffic.hold({ from: pods.api, to, port: 5432, protocol: 'tcp' });
  check('api holds an open connection to database', (await held.exchange()) === 'answered');
  await agent.applied(() => manifests.apply(podManifest(pods.api, { labels: {} })));
  check('api loses its label: the open connection is cut', (await held.exchange(500)) === 'timeout');
  check('api loses its label: a new connection is denied', !(await reaches(scenario, { ...database, from: pods.api })));
  await agent.applied(() => manifests.apply(podManifest(pods.api)));
  check('the label is back: the held connection goes on', (await held.exchange(3000)) === 'answered');
  await held.release();

  const labels = { 'app-component': 'api' };
  const late = await node.addPod({ name: 'late-api', labels });
  check('a pod the agent does not know is isolated', !(await reaches(scenario, { ...database, from: late })));
  const toLate = { from: pods.web, to: addressOf(late, 'IPv6'), port: 80, protocol: 'tcp', at: late } as const;
  check('nobody but its node reaches it', !(await reaches(scenario, toLate)));
  check('its own node reaches it', await reaches(scenario, { ...toLate, from: node }));
  await agent.applied(() => manifests.apply(podManifest(late)));
  check('known and labelled, it gets in', await reaches(scenario, { ...database, from: late }));
  check('and is reached', await reaches(scenario, toLate));

  await agent.stop('SIGKILL');
  check('agent killed with -9: web is still denied', !(await reaches(scenario, { ...database, from: pods.web })));
  check('agent killed with -9: api still gets in', await reaches(scenario, { ...database, from: pods.api }));
  const stranger = await node.addPod({ name: 'stranger', labels });
  check(
    'a pod that starts while the agent is dead is isolated',
    !(await reaches(scenario, { ...database, from: stranger })),
  );
}

/** Containers of one pod share localhost, which no policy touches, and the pod's address. */
async function containers(scenario: Scenario): Promise<void> {
  const { api, web } = scenario.pods;
  const onLocalhost = { from: api, to: '127.0.0.1', port: 8080, protocol: 'tcp', at: api } as const;
  const onPodAddress = { from: web, to: addressOf(api, 'IPv4'), port: 9090, protocol: 'tcp', at: api } as const;
  check('containers of the api pod reach each other on localhost', await reaches(scenario, onLocalhost));
  check('the other container of api is reached on the pod address', await reaches(scenario, onPodAddress));
  const { at: _, ...unheard } = onPodAddress;
  check('its localhost listener is not', !(await reaches(scenario, { ...unheard, port: 8080 })));
}

async function cleanUp(scenario: Scenario): Promise<void> {
  say(
    `\n  $ policy cleanup\n  ${(await scenario.node.run(process.execPath, join(root, 'bin/policy.mjs'), 'cleanup')).trim()}`,
  );
  const tables = await scenario.node.run('nft', 'list', 'tables');
  check('no table of ours is left', !tables.includes('nftpolicy'));
  const { api, database } = scenario.pods;
  const cell = {
    from: scenario.pods.web,
    to: addressOf(database, 'IPv4'),
    port: 5432,
    protocol: 'tcp',
    at: database,
  } as const;
  check('traffic is open again', (await reaches(scenario, cell)) && (await reaches(scenario, { ...cell, from: api })));
}

/** Processes this one started that still run; those that ended and wait to be reaped do not count. */
function livingChildren(): number {
  const pids = readFileSync('/proc/thread-self/children', 'utf8')
    .split(' ')
    .filter((pid) => pid.trim() !== '');
  return pids.filter((pid) => !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))).length;
}

async function run(mode: 'routed' | 'bridged', plugin: string): Promise<void> {
  say(`\n== ${mode}: two nodes with the CNI plugin ${plugin}, five pods (IPv4 and IPv6), a client outside ==`);
  await using scenario = await createScenario(mode);
  const agent = await LabAgent.start(scenario.node, scenario.manifests.path);
  say('\n  No policy yet. Packets on node-1, where the agent enforces:\n');
  await compare(scenario);
  say('\n  examples/01-database-api: only pods labelled app-component=api may reach database.\n');
  await agent.applied(() => scenario.manifests.writeText('policy.yaml', readFileSync(policyFile, 'utf8')));
  await compare(scenario);
  say('\n  While it runs:\n');
  await containers(scenario);
  await liveChanges(scenario, agent);
  await cleanUp(scenario);
}

const started = performance.now();
const before = {
  namespaces: listNamespaces().length,
  version: execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim(),
};
say(`nftpolicy demo: ${before.version}, Node.js ${process.versions.node}`);
say('yes = packets pass and explain says allowed; - = packets are dropped and explain says denied');
await run('routed', 'ptp');
await run('bridged', 'bridge');
say('');
check('no network namespace is left behind', listNamespaces().length === before.namespaces);
check('no process is left behind', livingChildren() === 0);
say(`\n${agreed} agree, ${disagreed} disagree (${((performance.now() - started) / 1000).toFixed(1)} s)`);
process.exitCode = disagreed === 0 ? 0 : 1;
