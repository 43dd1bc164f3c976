/** What explain says of connections to the ports of nodes, against packets on two policed nodes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { probeAll } from '../lab/matrix.ts';
import type { Cell } from '../lab/matrix.ts';
import { createScenario } from '../lab/scenario.ts';
import type { Scenario } from '../lab/scenario.ts';
import { runPolicy } from '../support/run-policy.ts';

const nodePort = 30432;
const port = 5432;

interface Asked extends Cell {
  /** As explain is asked; an address of the client's for who is outside. */
  readonly askFrom: string;
  readonly askTo: string;
}

const block = (address: string): unknown => ({
  ipBlock: { cidr: `${address}/${address.includes(':') ? '128' : '32'}` },
});
const policy = (name: string, spec: unknown): string =>
  JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec,
  });
const database = { matchLabels: { 'app-component': 'database' } };
/** The pods that are called web. */
const clients = { matchExpressions: [{ key: 'app-component', operator: 'DoesNotExist' }] };
const ports = (number: number): unknown => [{ protocol: 'TCP', port: number }];

describe.each(['routed', 'bridged'] as const)('a port of a %s node', (mode) => {
  let scenario: Scenario;
  const agents: LabAgent[] = [];

  beforeAll(async () => {
    scenario = await createScenario(mode);
    for (const node of [scenario.node, scenario.pods.remoteApi.node])
      agents.push(await LabAgent.start(node, scenario.manifests.path));
  });
  afterAll(async () => {
    await scenario?.lab.close();
  });

  function cells(): readonly Asked[] {
    const { lab, node, pods } = scenario;
    const far = pods.remoteApi.node;
    const inside = [pods.web, pods.api, pods.remoteWeb, pods.remoteApi].map((pod) => ({
      from: pod,
      ask: () => `default/${pod.name}`,
    }));
    const sources = [
      ...inside,
      { from: node, ask: () => 'node/node-1' },
      { from: far, ask: () => 'node/node-2' },
      { from: lab.outside, ask: (family: number) => lab.outside.addresses[family] ?? '' },
    ];
    return [0, 1].flatMap((family) =>
      [node, far].flatMap((entry) =>
        sources.map(({ from, ask }): Asked => {
          const to = entry.addresses[family] ?? '';
          const askTo = `${to.includes(':') ? `[${to}]` : to}:${nodePort}`;
          return { from, to, port: nodePort, protocol: 'tcp', askFrom: ask(family), askTo };
        }),
      ),
    );
  }

  const title = ({ askFrom, askTo }: Asked): string => `${askFrom} -> ${askTo}`;

  async function compare(): Promise<{ readonly packets: readonly string[]; readonly said: readonly string[] }> {
    const asked = cells();
    const listeners = scenario.cells.filter(({ at, protocol }) => at !== undefined && protocol === 'tcp');
    const answers = await probeAll(scenario.lab.traffic, [...listeners, ...asked]);
    const packets = answers.slice(listeners.length).map(({ verdict }, index) => `${title(asked[index]!)} ${verdict}`);
    const said: string[] = [];
    for (const cell of asked) {
      const { code, stderr } = await runPolicy(
        ['explain', '-f', scenario.manifests.path, cell.askFrom, cell.askTo, '-q'],
        { cwd: scenario.lab.directory },
      );
      said.push(`${title(cell)} ${code === 0 ? 'allow' : code === 1 ? 'deny' : stderr}`);
    }
    return { packets, said };
  }

  let changes = 0;

  /** Every change concerns both nodes, so that both agents say when it is applied. */
  async function apply(spec: unknown): Promise<void> {
    changes += 1;
    const both = { podSelector: clients, ingress: [{ from: [block(`198.51.100.${changes}`)] }] };
    const text = [policy('asked', spec), policy('both', both)].join('\n---\n');
    const write = (): void => scenario.manifests.writeText('policy.yaml', text);
    const [first, second] = agents;
    const other = second?.applied(() => undefined);
    await first?.applied(write);
    await other;
  }

  test.each([
    {
      name: 'pods that may connect',
      spec: () => ({ podSelector: database, ingress: [{ from: [{ podSelector: {} }] }] }),
    },
    {
      name: 'a client outside that may connect',
      spec: () => ({ podSelector: database, ingress: [{ from: scenario.lab.outside.addresses.map(block) }] }),
    },
    {
      name: 'a node that may connect',
      spec: () => ({
        podSelector: database,
        ingress: [{ from: scenario.pods.remoteApi.node.addresses.map(block), ports: ports(port) }],
      }),
    },
    {
      name: 'a pod that it leads to',
      spec: () => ({
        podSelector: clients,
        policyTypes: ['Egress'],
        egress: [{ to: [{ podSelector: database }], ports: ports(port) }],
      }),
    },
    {
      name: 'the port of the other node',
      spec: () => ({
        podSelector: clients,
        policyTypes: ['Egress'],
        egress: [{ to: scenario.pods.remoteApi.node.addresses.map(block), ports: ports(nodePort) }],
      }),
    },
    { name: 'nobody', spec: () => ({ podSelector: clients, policyTypes: ['Egress'] }) },
  ])('explain and packets agree where a rule names $name', async ({ spec }) => {
    await apply(spec());
    const { packets, said } = await compare();
    expect(said).toEqual(packets);
    expect(new Set(packets.map((line) => line.split(' ').at(-1)))).toEqual(new Set(['allow', 'deny']));
  });
});
