// Measures `policy explain` on a cluster, as a person meets it: one process, one question, the test API server.
//   node bench/explain-live.ts [--pods 5000] [--runs 7] [--program bin/policy.mjs ...]
// Several programs are asked in turn, so that they meet the same machine. The server is a process of its own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { TestApiServer } from '../test/api-server/server.ts';
import type { Json } from '../test/api-server/truth.ts';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '5000' },
    runs: { type: 'string', default: '7' },
    program: { type: 'string', multiple: true, default: [join(import.meta.dirname, '../bin/policy.mjs')] },
    serve: { type: 'boolean', default: false },
  },
});
const pods = Number(values.pods);
const namespaces = Math.max(1, Math.ceil(pods / 100));
const addressOf = (index: number): string => `10.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
const nameOf = (index: number): string => `app-${Math.floor(index / namespaces) % 20}-${index}`;

/** As large as pods are that a real kubelet has reported: about 6 kB, half of it bookkeeping. */
function podObject(index: number): Json {
  const ip = addressOf(index);
  const labels = { app: `app-${Math.floor(index / namespaces) % 20}`, 'pod-template-hash': `h${index % 7}` };
  const container = {
    name: 'main',
    image: 'registry.example/app:1',
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: Array.from({ length: 15 }, (_, number) => ({
      name: `SETTING_${number}`,
      value: `a value of setting ${number}`,
    })),
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }],
  };
  const fields = Object.fromEntries(
    Array.from({ length: 40 }, (_, number) => [`f:field-${number}`, { '.': {}, 'f:x': {} }]),
  );
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: nameOf(index),
      namespace: `ns-${index % namespaces}`,
      labels,
      managedFields: [{ manager: 'kubelet', operation: 'Update', apiVersion: 'v1', fieldsV1: fields }],
    },
    spec: { nodeName: `node-${index % 50}`, containers: [container], serviceAccountName: 'default' },
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({ type, status: 'True' })),
    },
  };
}

function policyObject(index: number): Json {
  const app = index % 20;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `app-${app}`, namespace: `ns-${Math.floor(index / 20)}` },
    spec: {
      podSelector: { matchLabels: { app: `app-${app}` } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: `app-${app + 1}` } } }], ports: [{ port: 'http' }] }],
    },
  };
}

async function serve(): Promise<void> {
  const server = new TestApiServer();
  const { truth } = server;
  const node = (name: string): Json => ({
    metadata: { name },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.0.1' }] },
  });
  for (let index = 0; index < 50; index += 1) truth.create('nodes', node(`node-${index}`));
  for (let index = 0; index < namespaces; index += 1) truth.create('namespaces', { metadata: { name: `ns-${index}` } });
  for (let index = 0; index < pods; index += 1) truth.create('pods', podObject(index));
  for (let index = 0; index < namespaces * 20; index += 1) truth.create('networkpolicies', policyObject(index));
  await server.start();
  console.log(JSON.stringify({ kubeconfig: server.kubeconfig() }));
  process.stdin.resume().on('end', () => process.exit(0));
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'nftpolicy-bench-'));
  const server = spawn(process.execPath, [import.meta.filename, '--serve', '--pods', values.pods], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(kubeconfig, (JSON.parse(line) as { kubeconfig: string }).kubeconfig);
    const [from, to] = [7, Math.floor(pods / 2) + 1];
    const pod = (index: number): string => `ns-${index % namespaces}/${nameOf(index)}`;
    const questions: readonly (readonly [string, ...string[]])[] = [
      ['two pods', pod(from), `${pod(to)}:8080`],
      ['two addresses', addressOf(from), `${addressOf(to)}:8080`],
      ['a pod and an address outside', pod(from), '203.0.113.7:443'],
    ];
    console.log(
      `${pods} pods in ${namespaces} namespaces, ${namespaces * 20} policies; ms from start to end of the process`,
    );
    for (const [name, ...args] of questions) {
      const times = values.program.map((): number[] => []);
      for (let run = 0; run <= Number(values.runs); run += 1) {
        for (const [index, program] of values.program.entries()) {
          const begin = performance.now();
          const command = [resolve(program), 'explain', '--kubeconfig', kubeconfig, ...args];
          const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
          if (status !== 0 && status !== 1) throw new Error(`${program} ended with ${status}: ${stderr}`);
          // The first run fills caches.
          if (run > 0) times[index]?.push(performance.now() - begin);
        }
      }
      for (const [index, program] of values.program.entries()) {
        const sorted = (times[index] ?? []).sort((a, b) => a - b);
        const [min = 0, median = 0] = [sorted[0], sorted[sorted.length >> 1]];
        console.log(
          `${name.padEnd(30)} min ${min.toFixed(0).padStart(5)}  median ${median.toFixed(0).padStart(5)}  ${program}`,
        );
      }
    }
  } finally {
    server.stdin.end();
    rmSync(directory, { recursive: true });
  }
}

await (values.serve ? serve() : measure());
