import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = join(import.meta.dirname, 'fixtures/explain/ends');
const shop = join(import.meta.dirname, 'fixtures/explain/shop');
const files = ['explain', '-f', 'policies.yaml', '-f', 'cluster.yaml'];

const ask = (...args: readonly string[]) => runPolicy([...files, ...args], { cwd });
const firstLine = async (...args: readonly string[]): Promise<string> =>
  (await ask(...args)).stdout.split('\n', 1)[0] ?? '';

describe('ends', () => {
  test.each([
    {
      name: 'a Deployment stands for the pods of its ReplicaSets',
      args: ['-n', 'shop', 'client', 'deploy/web:8080'],
      is: 'ALLOWED  shop/client -> deployment shop/web  TCP 8080  (2 flows alike)',
    },
    {
      name: 'a Deployment of a longer name is another one',
      args: ['-n', 'shop', 'client', 'deployments.apps/web-canary:8081'],
      is: 'DENIED[E030]  shop/client -> deployment shop/web-canary  TCP 8081',
    },
    {
      name: 'a workload without pods is its template',
      args: ['-n', 'shop', 'client', 'sts/cache:redis'],
      is: 'UNPROTECTED  shop/client -> statefulset shop/cache  TCP 6379',
    },
    {
      name: 'a kind wins over a namespace',
      args: ['shop/client', 'shop/po/web-5d8f-aaaaa:http'],
      is: 'ALLOWED  shop/client -> shop/web-5d8f-aaaaa  TCP 8080',
    },
    {
      name: 'the worst endpoint names a Service',
      args: ['-n', 'shop', 'client', 'svc/web:80'],
      is: 'DENIED[E030] on 1 of 3 endpoints  shop/client -> service shop/web:80 -> 3 endpoints',
    },
    {
      name: 'a cluster address means its Service',
      args: ['shop/client', '10.96.0.1:80'],
      is: 'DENIED[E030] on 1 of 3 endpoints  shop/client -> service shop/web:80 -> 3 endpoints',
    },
    {
      name: 'a headless Service translates no port',
      args: ['-n', 'shop', 'client', 'svc/web-headless:80'],
      is: 'DENIED[E030]  shop/client -> service shop/web-headless:80 -> 3 endpoints  TCP 80  (3 flows alike)',
    },
    {
      name: 'an external name is only known to DNS',
      args: ['-n', 'shop', 'client', 'svc/elsewhere:443'],
      is: 'UNKNOWN[E090]  shop/client -> service shop/elsewhere:443 -> no endpoint  TCP 443',
    },
    {
      name: 'endpoint slices count before selectors',
      args: ['-n', 'shop', 'client', 'svc/manual:80'],
      is: 'UNPROTECTED  shop/client -> service shop/manual:80 -> 198.51.100.7  TCP 9000',
    },
    {
      name: 'policy sees the entry node behind a node port',
      args: ['203.0.113.3', '192.168.7.11:30080'],
      is: 'DENIED[E014,E020] on 2 of 3 flows  203.0.113.3 -> service shop/web:30080 -> 3 endpoints',
    },
    {
      name: 'externalTrafficPolicy Local keeps the client',
      args: ['203.0.113.3', 'shop/svc/kept:80'],
      is: 'ALLOWED  203.0.113.3 -> service shop/kept:80 -> 3 endpoints',
    },
    {
      name: 'a block splits where rules do',
      args: ['203.0.113.0/24', 'shop/deploy/web:8080'],
      is: 'DENIED[E014] on 2 of 4 sources  203.0.113.0/24 -> deployment shop/web  TCP 8080',
    },
    {
      name: 'an IPv6 address means its pod',
      args: ['shop/client', '[fd00::1]:8080'],
      is: 'ALLOWED  shop/client -> shop/web-5d8f-aaaaa  TCP 8080',
    },
    {
      name: 'no port asks for every one',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa'],
      is: 'DENIED[E030] on 1 of 3 port ranges  shop/client -> shop/web-5d8f-aaaaa',
    },
    {
      name: 'ICMP has no port',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa', '--protocol', 'icmp'],
      is: 'DENIED[E032]  shop/client -> shop/web-5d8f-aaaaa  ICMP',
    },
  ])('$name', async ({ args, is }) => {
    expect(await firstLine(...args)).toBe(is);
  });

  test('open ports are listed as ranges', async () => {
    const { stdout } = await ask('-n', 'shop', 'client', 'web-5d8f-aaaaa');
    expect(stdout).toContain('ALLOWED       shop/client -> shop/web-5d8f-aaaaa  TCP 9000-9009\n');
    expect(stdout).toContain('DENIED[E030]  shop/client -> shop/web-5d8f-aaaaa  TCP any other port\n');
  });

  test.each([
    { name: 'a finished pod', args: ['-n', 'shop', 'client', 'old:80'], says: 'pod shop/old has finished (Succeeded)' },
    {
      name: 'a pod of another namespace',
      args: ['client', 'web-5d8f-aaaaa:80'],
      says: 'there is no pod default/client in the manifests; did you mean shop/client?',
    },
    { name: 'a misspelt pod', args: ['-n', 'shop', 'clinet', 'web-5d8f-aaaaa:80'], says: 'did you mean shop/client?' },
    {
      name: 'a workload named like a pod',
      args: ['-n', 'shop', 'web', 'client:80'],
      says: 'or the workload: deploy/web?',
    },
    { name: 'a misspelt Service', args: ['-n', 'shop', 'client', 'svc/wbe:80'], says: 'did you mean svc/web?' },
    {
      name: 'a target port asked of a Service',
      args: ['-n', 'shop', 'client', 'svc/web:8080'],
      says: 'has no port 8080/TCP; it has 80/TCP (http)',
    },
    {
      name: 'an unknown port name',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa:htp'],
      says: 'it declares http = 8080/TCP',
    },
    { name: 'a host name', args: ['www.example.com', 'shop/client:80'], says: 'host names are not looked up' },
    {
      name: 'a family that is not shared',
      args: ['-n', 'shop', 'client', 'web-canary-77-ccccc:80', '--family', '6'],
      says: 'no IPv6 address in common',
    },
    {
      name: 'a Service as source',
      args: ['-n', 'shop', 'svc/web', 'client:80'],
      says: 'a Service opens no connections',
    },
    { name: 'a port on the source', args: ['-n', 'shop', 'client:80', 'web-5d8f-aaaaa:80'], says: 'FROM has no port' },
    {
      name: 'an object that --without cannot find',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa:80', '--without', 'netpol/shop/nothing'],
      says: 'there is no NetworkPolicy shop/nothing',
    },
    {
      name: 'a misspelt object of --without',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa:80', '--without', 'netpol/wbe'],
      says: 'there is no NetworkPolicy shop/wbe in the manifests; did you mean netpol/shop/web?',
    },
    {
      name: 'a workload that --without cannot leave out',
      args: ['-n', 'shop', 'client', 'web-5d8f-aaaaa:80', '--without', 'deploy/web'],
      says: 'of a netpol, pod, svc, ns or node, not deploy/web',
    },
  ])('$name is a usage error that helps', async ({ args, says }) => {
    const { code, stdout, stderr } = await ask(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
  });
});

describe('answers', () => {
  test.each([
    { expect: 'allow', port: '8080', code: 0 },
    { expect: 'deny', port: '8080', code: 1 },
    { expect: 'deny', port: '9999', code: 0 },
    { expect: 'allow', port: '9999', code: 1 },
  ])('--expect $expect on port $port exits $code', async ({ expect: wanted, port, code }) => {
    const result = await ask('-n', 'shop', 'client', `web-5d8f-aaaaa:${port}`, '-q', '--expect', wanted);
    expect(result).toEqual({ code, stdout: '', stderr: '' });
  });

  test('--without shows the answer before and after', async () => {
    const { stdout, code } = await ask('-n', 'shop', 'client', 'web-5d8f-aaaaa:9999', '--without', 'netpol/shop/web');
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'UNPROTECTED  shop/client -> shop/web-5d8f-aaaaa  TCP 9999',
      'before: DENIED[E030]  shop/client -> shop/web-5d8f-aaaaa  TCP 9999',
    ]);
  });

  test('manifests come from standard input, too', async () => {
    const stdin = ['policies.yaml', 'cluster.yaml'].map((name) => readFileSync(join(cwd, name), 'utf8')).join('---\n');
    const { stdout } = await runPolicy(['explain', '-f', '-', '-n', 'shop', 'client', 'web-5d8f-aaaaa:8080'], {
      cwd,
      stdin,
    });
    expect(stdout).toContain('--> <stdin>:15:15');
  });

  test('colour is for terminals that want it', async () => {
    const args = [...files, '-n', 'shop', 'client', 'web-5d8f-aaaaa:9999'];
    const escape = '\u001B[';
    expect((await runPolicy(args, { cwd, columns: 80 })).stdout).toContain(escape);
    expect((await runPolicy(args, { cwd, columns: 80, env: { NO_COLOR: '1' } })).stdout).not.toContain(escape);
    expect((await runPolicy(args, { cwd })).stdout).not.toContain(escape);
    expect((await runPolicy([...args, '--color', 'always'], { cwd })).stdout).toContain(escape);
  });

  test('a narrow terminal gets lines that fit in every frame', async () => {
    const args = [
      'explain',
      '-f',
      'policies.yaml',
      '-f',
      'cluster.yaml',
      '-n',
      'shop',
      'api-6f4b8',
      '10.20.0.5:443',
      '--color',
      'never',
    ];
    const { stdout } = await runPolicy(args, { cwd: shop, columns: 48 });
    const frames = stdout.split('\n').filter((line) => / \|/.test(line));
    expect(frames.length).toBeGreaterThan(4);
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThanOrEqual(48);
  });

  test('the answer is the same every time', async () => {
    const args = [...files, '203.0.113.0/24', 'shop/deploy/web'];
    const [a, b] = [await runPolicy(args, { cwd }), await runPolicy(args, { cwd })];
    expect(a).toEqual(b);
  });

  test('the help teaches by examples', async () => {
    const { stdout, code } = await runPolicy(['explain', '--help'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain('policy explain -f manifests/ -n shop deploy/web svc/db:5432');
  });
});
