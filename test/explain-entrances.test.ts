import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

const cwd = join(import.meta.dirname, 'fixtures/explain/entrances');

interface Said {
  readonly verdict: string;
  readonly flows: readonly string[];
  readonly text: string;
}

/** The verdict, and of every flow its ends, its verdicts and what is special about it. */
async function ask(from: string, to: string): Promise<Said> {
  const args = ['explain', '-f', 'policies.yaml', '-f', 'cluster.yaml', from, to];
  const [json, text] = await Promise.all([runPolicy([...args, '-o', 'json'], { cwd }), runPolicy(args, { cwd })]);
  const { verdict, steps } = JSON.parse(json.stdout) as {
    verdict: string;
    steps: readonly {
      kind: string;
      from: { name?: string; address?: string };
      to: { name: string };
      port: number;
      egress: { verdict: string };
      ingress: { verdict: string };
      remark?: string;
    }[];
  };
  const flows = steps.flatMap((step) =>
    step.kind === 'flow'
      ? [
          `${step.from.name ?? step.from.address} -> ${step.to.name}:${step.port} ${step.egress.verdict} ${step.ingress.verdict}${step.remark === undefined ? '' : ` ${step.remark}`}`,
        ]
      : [],
  );
  return { verdict, flows, text: text.stdout };
}

// web-1 runs on node a with port 8080, web-2 on node b with port 9090; client and shut run on node a.
describe('a Service entered from outside', () => {
  test.each([
    {
      name: 'the node of an endpoint sees the client, another one the node that was entered',
      from: '203.0.113.9',
      to: 'shop/svc/web:80',
      flows: [
        '203.0.113.9 -> web-1:8080 allow allow entering by a',
        'b -> web-1:8080 allow deny entering by b',
        '203.0.113.9 -> web-2:9090 allow allow entering by b',
        'a -> web-2:9090 allow deny entering by a',
      ],
    },
    {
      name: 'the node of an endpoint does not lend its exemption to a client',
      from: '198.18.0.1',
      to: 'node/a:30080',
      flows: ['198.18.0.1 -> web-1:8080 allow deny entering by a', 'a -> web-2:9090 allow deny entering by a'],
    },
    {
      name: 'with Local a node leads to its own endpoints',
      from: '203.0.113.9',
      to: '192.168.1.2:30081',
      flows: ['203.0.113.9 -> web-2:9090 allow allow'],
    },
    {
      name: 'a Service of one family is asked in that family',
      from: 'shop/open-1',
      to: 'shop/svc/open:80',
      flows: ['open-1 -> open-1:8080 allow allow'],
    },
  ])('$name', async ({ from, to, flows }) => {
    expect((await ask(from, to)).flows).toEqual(flows);
  });

  test('with Local it is told which endpoints a node does not lead to', async () => {
    const { text } = await ask('203.0.113.9', 'node/a:30081');
    expect(text).toContain('externalTrafficPolicy is Local: a leads to its own endpoints only, not to web-2\n');
  });
});

test('one letter is no likeness', async () => {
  const { stderr } = await runPolicy(['explain', '-f', 'cluster.yaml', 'node/c', 'shop/web-1:80'], { cwd });
  expect(stderr).toBe('policy explain: there is no node c in the manifests\n');
});

describe('a Service entered by a pod through an address for the outside', () => {
  test.each([
    {
      name: 'egress is judged, also where the pod may not connect at all',
      from: 'shop/shut',
      to: '198.51.100.7:80',
      flows: ['shut -> web-1:8080 deny deny', 'shut -> web-2:9090 deny deny seen as node/a'],
    },
    {
      name: 'another node sees the node of the pod behind a load balancer',
      from: 'shop/client',
      to: '198.51.100.7:80',
      flows: ['client -> web-1:8080 allow allow', 'client -> web-2:9090 allow deny seen as node/a'],
    },
    {
      name: 'a port of its own node is the same',
      from: 'shop/client',
      to: 'node/a:30080',
      flows: ['client -> web-1:8080 allow allow', 'client -> web-2:9090 allow deny seen as node/a'],
    },
    {
      name: 'to a port of another node its egress rules must admit that node',
      from: 'shop/client',
      to: 'node/b:30080',
      flows: ['client -> web-1:8080 deny deny entering by b', 'client -> web-2:9090 deny allow entering by b'],
    },
    {
      name: 'with Local its address is kept',
      from: 'shop/client',
      to: 'node/a:30081',
      flows: ['client -> web-1:8080 allow allow', 'client -> web-2:9090 allow allow'],
    },
  ])('$name', async ({ from, to, flows }) => {
    expect((await ask(from, to)).flows).toEqual(flows);
  });

  test('both ways of a packet are shown, and an edit that opens each', async () => {
    const { verdict, text } = await ask('shop/shut', 'node/b:30082');
    expect(verdict).toBe('DENIED');
    expect(text).toContain('2 egress   shut -> node/b  TCP 30082  DENIED\n');
    expect(text).toContain('3 ingress  shut -> open-1  TCP 8080  ALLOWED  open  entering by b\n');
    expect(text).toContain('- ipBlock: {cidr: 192.168.1.2/32}');
    expect(text).toContain('- {protocol: TCP, port: 30082}');
    expect(text).toContain('= likely; this flow becomes ALLOWED, no other judged flow changes');
    expect(text).toContain('policy on b sees shut only if its CNI plugin keeps the addresses of pods');
  });
});
