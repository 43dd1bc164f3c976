import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { runPolicy } from './support/run-policy.ts';

const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../schemas/explanation.json'), 'utf8')) as object;
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false, allErrors: true });
const validate = ajv.compile(schema);

interface Asked {
  readonly name: string;
  readonly cwd: string;
  readonly args: readonly string[];
}

const fixtures = join(import.meta.dirname, 'fixtures');
const shop = join(fixtures, 'explain/shop');
const goldens = JSON.parse(readFileSync(join(fixtures, 'explain/cases.json'), 'utf8')) as {
  readonly cases: readonly { readonly id: string; readonly args: readonly string[] }[];
};
const manifests = ['-f', 'policies.yaml', '-f', 'cluster.yaml'];
const asked: readonly Asked[] = [
  ...goldens.cases.map(({ id, args }) => ({ name: id, cwd: shop, args })),
  ...readdirSync(join(fixtures, 'broken')).map((name) => {
    const cwd = join(fixtures, 'broken', name);
    const [question = ''] = readFileSync(join(cwd, 'question.txt'), 'utf8').split('\n');
    return { name, cwd, args: ['explain', ...manifests, ...question.split(' ')] };
  }),
  ...[
    ['every port', 'shop/web-7d9c5', 'shop/api-6f4b8'],
    ['a block', '10.0.0.0/8', 'shop/api-6f4b8:8080'],
    ['a node', 'node/node-a', 'shop/api-6f4b8:8080'],
    ['ICMP', 'shop/web-7d9c5', 'shop/api-6f4b8', '--protocol', 'icmp'],
    ['a change', 'shop/web-7d9c5', 'shop/api-6f4b8:8080', '--without', 'netpol/shop/web-egress'],
    ['every port of a Service', '-n', 'shop', 'web-7d9c5', 'kube-system/svc/kube-dns'],
  ].map(([name = '', ...args]) => ({ name, cwd: shop, args: ['explain', ...manifests, ...args] })),
  ...[
    ['the port of another node', 'shop/client', 'node/b:30080'],
    ['a load balancer from outside', '203.0.113.9', '198.51.100.7:80'],
    ['a namespace nobody described', 'shop/shut', 'pay/gateway:8443'],
    ['the DNS of nodes', 'shop/shut', 'shop/svc/web:80', '--node-dns', '169.254.20.10'],
  ].map(([name = '', ...args]) => ({
    name,
    cwd: join(fixtures, 'explain/entrances'),
    args: ['explain', ...manifests, ...args],
  })),
];

describe('the JSON of policy explain', () => {
  test.each(asked)('$name fits its schema', async ({ cwd, args }) => {
    const { stdout } = await runPolicy([...args, '-o', 'json'], { cwd });
    const value = JSON.parse(stdout) as unknown;
    validate(value);
    expect(validate.errors ?? []).toEqual([]);
  });

  test.each(asked)('$name is the same value as YAML', async ({ cwd, args }) => {
    const json = await runPolicy([...args, '-o', 'json'], { cwd });
    const yaml = await runPolicy([...args, '-o', 'yaml'], { cwd });
    expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
    expect(yaml.code).toBe(json.code);
  });

  test('the schema refuses what is no explanation', () => {
    expect(validate({ apiVersion: 'nftpolicy.dev/v1', kind: 'Explanation', verdict: 'MAYBE' })).toBe(false);
  });
});
