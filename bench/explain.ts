// Measures `policy explain` as a person meets it: one process, one question, manifests in files.
//   node bench/explain.ts [--pods 10000] [--policies 1000] [--runs 5] [--program bin/policy.mjs]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '10000' },
    policies: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '5' },
    program: { type: 'string', default: join(import.meta.dirname, '../bin/policy.mjs') },
  },
});
const [pods, policies, runs] = [Number(values.pods), Number(values.policies), Number(values.runs)];
const namespaces = Math.max(1, Math.ceil(pods / 100));

function podText(index: number): string {
  const namespace = `ns-${index % namespaces}`;
  const app = Math.floor(index / namespaces) % 20;
  const address = `10.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  return `apiVersion: v1
kind: Pod
metadata:
  name: app-${app}-${index}
  namespace: ${namespace}
  labels:
    app: app-${app}
    pod-template-hash: h${index % 7}
spec:
  nodeName: node-${index % 50}
  containers:
    - name: main
      image: registry.example/app:${app}
      ports:
        - name: http
          containerPort: 8080
status:
  phase: Running
  podIP: ${address}
  podIPs:
    - ip: ${address}
`;
}

function policyText(index: number): string {
  const app = Math.floor(index / namespaces) % 20;
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: app-${app}-${index}
  namespace: ns-${index % namespaces}
spec:
  podSelector:
    matchLabels:
      app: app-${app}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              app: app-${app + 1}
      ports:
        - {protocol: TCP, port: http}
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: ns-${(index + 1) % namespaces}
  egress:
    - to:
        - ipBlock:
            cidr: 0.0.0.0/0
            except: [10.0.0.0/8]
    - to:
        - podSelector: {}
      ports:
        - {protocol: TCP, port: 8080}
`;
}

const folder = mkdtempSync(join(tmpdir(), 'nftpolicy-bench-'));
try {
  const all = join(folder, 'all');
  mkdirSync(all);
  const several = (count: number, text: (index: number) => string): string =>
    Array.from({ length: count }, (_, index) => text(index)).join('---\n');
  writeFileSync(join(all, 'pods.yaml'), several(pods, podText));
  writeFileSync(join(all, 'policies.yaml'), several(policies, policyText));
  const namespaceText = (index: number): string => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ns-${index}}\n`;
  writeFileSync(join(all, 'namespaces.yaml'), several(namespaces, namespaceText));
  const shop = join(import.meta.dirname, '../test/fixtures/explain/shop');
  const small = ['-f', join(shop, 'policies.yaml'), '-f', join(shop, 'cluster.yaml')];
  const program = resolve(values.program);
  const questions: readonly (readonly [name: string, args: readonly string[]])[] = [
    ['node -e 0', ['-e', '0']],
    ['the example, allowed', [program, 'explain', ...small, '-n', 'shop', 'web-7d9c5', 'api-6f4b8:8080']],
    ['the example, two blockers', [program, 'explain', ...small, '-n', 'shop', 'web-7d9c5', 'payments/gateway-0:8443']],
    [`${pods} pods, allowed`, [program, 'explain', '-f', all, 'ns-0/app-1-' + String(namespaces), 'ns-0/app-0-0:8080']],
    [
      `${pods} pods, denied`,
      [program, 'explain', '-f', all, 'ns-0/app-2-' + String(2 * namespaces), 'ns-0/app-0-0:8080'],
    ],
  ];
  for (const [name, args] of questions) {
    const times: number[] = [];
    let verdict = '';
    for (let run = 0; run < runs; run++) {
      const start = performance.now();
      const { stdout, status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
      if (stdout === '' && args.includes('explain')) throw new Error(`${program} answered nothing`);
      times.push(performance.now() - start);
      if (status === 2) throw new Error(stderr);
      verdict = stdout.split('\n', 1)[0] ?? '';
    }
    times.sort((a, b) => a - b);
    process.stdout.write(
      `${name.padEnd(28)} min ${(times[0] ?? 0).toFixed(0)} ms  median ${(times[times.length >> 1] ?? 0).toFixed(0)} ms  ${verdict}\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
