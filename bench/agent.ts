// What a node's agent costs in a large cluster: the real process, in a network namespace, against the test API server
// in a process of its own. `npm run bench -- agent` as root; PODS, POLICIES, NAMESPACES, DURATION and RATE change the
// size. CPU seconds are of the agent alone; nft's are told apart. Nothing here is asserted.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Lab } from '../test/lab/lab.ts';
import type { LabNode } from '../test/lab/node.ts';
import { addressOf, localNode, localPods } from './support/cluster.ts';

const size = {
  pods: Number(process.env['PODS'] ?? 150_000),
  policies: Number(process.env['POLICIES'] ?? 10_000),
  namespaces: Number(process.env['NAMESPACES'] ?? 1_500),
};
const seconds = Number(process.env['DURATION'] ?? 60);
const rate = Number(process.env['RATE'] ?? 500);
const root = join(import.meta.dirname, '..');
const program = join(root, 'bin/policy.mjs');
/** As the DaemonSet of deploy/kustomize sets it. */
const heap = /value: (--max-old-space-size=\S+.*)$/m.exec(
  readFileSync(join(root, 'deploy/kustomize/base/daemonset.yaml'), 'utf8'),
)?.[1];
const nodeOptions = process.env['AGENT_NODE_OPTIONS'] ?? heap ?? '';

const print = (name: string, value: string): void => void process.stdout.write(`${name.padEnd(36)} ${value}\n`);

interface Usage {
  readonly cpu: number;
  /** Of what it starts: shells, and what these start. */
  readonly childCpu: number;
  readonly rssMb: number;
  readonly peakMb: number;
}

function usage(pid: number): Usage {
  if (!existsSync(`/proc/${pid}`)) throw new Error('the agent ended');
  const { own, children } = cpuOf(pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return {
    cpu: own,
    childCpu: childrenOf(pid)
      .map(cpuOf)
      .reduce((sum, child) => sum + child.own + child.children, children),
    rssMb: kilobytes('VmRSS') / 1024,
    peakMb: kilobytes('VmHWM') / 1024,
  };
}

/** CPU seconds of a process, and of its children that have ended; none if it has ended itself. */
function cpuOf(pid: number): { readonly own: number; readonly children: number } {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
    return { own: (user + system) / 100, children: (childUser + childSystem) / 100 };
  } catch {
    return { own: 0, children: 0 };
  }
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
}

interface Scrape {
  readonly buckets: ReadonlyMap<number, number>;
  readonly text: string;
}

async function scrape(node: LabNode): Promise<Scrape> {
  const text = await node.run('curl', '-s', '--max-time', '30', 'http://127.0.0.1:9478/metrics');
  const buckets = new Map<number, number>();
  for (const [, le, count] of text.matchAll(/^nftpolicy_event_to_kernel_seconds_bucket\{le="([^"]+)"\} (\d+)/gm))
    buckets.set(le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(count));
  return { buckets, text };
}

/** The bucket of the histogram in which a share of the batches between two scrapes lies. */
function bucketOf(share: number, before: Scrape, after: Scrape): string {
  const grown = [...after.buckets].map(([le, count]) => [le, count - (before.buckets.get(le) ?? 0)] as const);
  const total = grown.at(-1)?.[1] ?? 0;
  const found = grown.findIndex(([, count]) => count >= share * total);
  const ms = (at: number): string => String((grown[at]?.[0] ?? 0) * 1000);
  return `${found <= 0 ? '0' : ms(found - 1)}-${ms(found)} ms`;
}

function figure(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
}

async function measure(node: LabNode, protobuf: boolean): Promise<void> {
  const child = node.spawn(
    [
      process.execPath,
      '--max-old-space-size=8192',
      join(import.meta.dirname, 'support/api-server.child.ts'),
      JSON.stringify({ ...size, protobuf }),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  if (child.stdout === null) throw new Error('the API server has no stdout');
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: object): Promise<void> => {
    child.stdin?.write(`${JSON.stringify(command)}\n`);
    await answers.next();
  };
  const hello = JSON.parse(String((await answers.next()).value)) as { kubeconfig: string; podBytes: number };
  const kubeconfig = join(node.directory, 'kubeconfig');
  writeFileSync(kubeconfig, hello.kubeconfig, { mode: 0o600 });
  print('pods on the wire', protobuf ? 'protobuf' : `JSON, ${hello.podBytes} bytes each`);

  const state = join(node.directory, `state-${String(protobuf)}`);
  mkdirSync(state);
  const ready = join(node.directory, `ready-${String(protobuf)}`);
  const flags = (process.env['AGENT_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const agent = node.spawn(
    [
      process.execPath,
      ...flags,
      program,
      'agent',
      `--node=${localNode}`,
      `--ready-file=${ready}`,
      `--state-dir=${state}`,
      `--cni-conf-dir=${node.cni.configDirectory}`,
      `--cni-cache-dir=${join(node.cni.resultsDirectory, '..')}`,
      '--kubeconfig',
      kubeconfig,
    ],
    { env: { NODE_OPTIONS: nodeOptions }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const { pid } = agent;
  if (pid === undefined) throw new Error('the agent did not start');
  const log: string[] = [];
  agent.stderr?.setEncoding('utf8').on('data', (text: string) => void log.push(text));
  agent.once('exit', (code, signal) => {
    if (code !== 0) process.stderr.write(`the agent ended: ${String(code ?? signal)}\n${log.join('').slice(-3000)}\n`);
  });
  const begin = performance.now();
  const isReady = (): boolean => {
    try {
      return readFileSync(ready, 'utf8').length > 0;
    } catch {
      return false;
    }
  };
  while (!isReady()) {
    if (agent.exitCode !== null || agent.signalCode !== null || performance.now() - begin > 600_000) {
      agent.kill('SIGKILL');
      throw new Error(`the agent was not ready; it said:\n${log.join('').slice(-4000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const last = usage(pid);
  print(
    '  first sync, all in the kernel',
    `${last.cpu.toFixed(1)} CPU s, nft ${last.childCpu.toFixed(1)} CPU s, peak RSS ${last.peakMb.toFixed(0)} MB`,
  );
  print('  wall', `${((performance.now() - begin) / 1000).toFixed(1)} s`);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const settled = usage(pid);
  print('  20 s later', `${(settled.cpu - last.cpu).toFixed(1)} CPU s more, RSS ${settled.rssMb.toFixed(0)} MB`);
  const before = await scrape(node);
  print(
    '  heap in use, buffers',
    `${(figure(before.text, 'nodejs_heap_size_used_bytes') / 1e6).toFixed(0)} MB, ${(figure(before.text, 'nodejs_external_memory_bytes') / 1e6).toFixed(0)} MB`,
  );
  print('  pods bound', String(figure(before.text, 'nftpolicy_pods_bound')));

  const from = usage(pid);
  const start = performance.now();
  await ask({ action: 'updates', perSecond: rate, seconds });
  const took = (performance.now() - start) / 1000;
  const to = usage(pid);
  const after = await scrape(node);
  const share = (used: number): string => `${((100 * used) / took).toFixed(1)} %`;
  print(
    `  ${rate} updates/s for ${took.toFixed(0)} s`,
    `${share(to.cpu - from.cpu)} of a core, nft ${share(to.childCpu - from.childCpu)}; RSS ${to.rssMb.toFixed(0)} MB, peak ${to.peakMb.toFixed(0)} MB`,
  );
  print('  event to kernel, batches', `p50 ${bucketOf(0.5, before, after)}, p99 ${bucketOf(0.99, before, after)}`);
  print(
    '  event loop delay p99',
    `${(figure(after.text, 'nftpolicy_event_loop_delay_p99_seconds') * 1000).toFixed(0)} ms`,
  );

  agent.kill('SIGTERM');
  await new Promise((resolve) => agent.once('exit', resolve));
  if (process.env['AGENT_LOG'] !== undefined) writeFileSync(process.env['AGENT_LOG'], log.join(''));
  child.stdin?.end();
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  await node.run('nft', 'destroy', 'table', 'inet', 'nftpolicy').catch(() => undefined);
}

spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
await using lab = await Lab.create();
const node = await lab.addNode({ name: localNode, mode: 'routed' });
for (let i = 0; i < localPods; i += 1) {
  await node.addPod({ name: `app-${i}`, namespace: `ns-${i % size.namespaces}`, attach: 'plain', ips: [addressOf(i)] });
}
print('size', `${size.pods} pods, ${localPods} of them local, ${size.policies} policies, NODE_OPTIONS=${nodeOptions}`);
for (const encoding of (process.env['ENCODINGS'] ?? 'json,protobuf').split(','))
  await measure(node, encoding === 'protobuf');
