import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Installed } from '../../src/explain/installed-answer.ts';
import { LabAgent } from '../lab/agent.ts';
import { addressOf } from '../lab/pod.ts';
import { CommandError } from '../lab/run.ts';
import { createScenario } from '../lab/scenario.ts';
import type { Scenario } from '../lab/scenario.ts';
import { compareSample, docCommands, docSample } from '../support/doc-samples.ts';

const policyFile = join(import.meta.dirname, '../../examples/01-database-api/policy.yaml');
const bin = join(import.meta.dirname, '../../bin/policy.mjs');

const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../schemas/explanation.json'), 'utf8')) as object;
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(schema);

interface Answer {
  readonly verdict: string;
  readonly codes: readonly string[];
  /** Of this node, the only one that was asked. */
  readonly installed: Installed | undefined;
}

const pageDirectory = '/etc/nftpolicy/manifests';

/** What the command of a page prints on the node. */
async function askSample({ node, manifests }: Scenario, name: string): Promise<string> {
  const [command] = docCommands(docSample(name));
  const args = (command?.args ?? []).map((word) => (word === pageDirectory ? manifests.path : word));
  const policy = ['env', `NODE_NAME=${node.name}`, process.execPath, bin, ...args];
  const printed = await node.run('sh', '-c', '"$@" || true', 'sh', ...policy);
  return printed.replaceAll(manifests.path, pageDirectory);
}

describe.each(['routed', 'bridged'] as const)('policy explain on a %s node', (mode) => {
  let scenario: Scenario;
  let agent: LabAgent;

  beforeAll(async () => {
    scenario = await createScenario(mode);
    scenario.manifests.writeText('policy.yaml', readFileSync(policyFile, 'utf8'));
    agent = await LabAgent.start(scenario.node, scenario.manifests.path);
  });
  afterAll(async () => {
    await scenario?.lab.close();
  });

  const explain = async (...args: string[]): Promise<{ readonly code: number | null; readonly out: string }> => {
    const command = [process.execPath, bin, 'explain', '-f', scenario.manifests.path, '--node=node-1', ...args];
    try {
      return { code: 0, out: await scenario.node.run(...command) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.exitCode, out: error.stderr };
    }
  };
  const answer = async (...args: string[]): Promise<Answer & { readonly code: number | null }> => {
    const { code, out } = await explain('-o', 'json', ...args);
    const begin = out.indexOf('{');
    const value = JSON.parse(out.slice(begin, out.lastIndexOf('}') + 1)) as Omit<Answer, 'installed'> & {
      readonly installed: readonly Installed[] | null;
    };
    expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
    return { ...value, code, installed: value.installed?.[0] };
  };
  const deciding = (found: Answer): readonly string[] =>
    (found.installed?.flows ?? []).flatMap(({ chains }) =>
      chains.map(({ direction, chain, verdict }) => `${direction} ${chain} ${verdict}`),
    );
  const connect = async (from: 'web' | 'api'): Promise<void> => {
    const { database } = scenario.pods;
    const to = { to: addressOf(database, 'IPv4'), port: 5432, protocol: 'tcp' as const };
    await scenario.lab.traffic.listen(database, 'tcp', 5432);
    await scenario.lab.traffic.probe({ from: scenario.pods[from], ...to });
  };

  test('shows the chain, handle, element and policy that admit a flow', async () => {
    const found = await answer('--family', '4', 'default/api', 'default/database:5432');
    expect(found).toMatchObject({ code: 0, verdict: 'ALLOWED', codes: [] });
    const veth = scenario.pods.database.hostInterface;
    expect(deciding(found)).toContain(`ingress pod-${veth}-ingress accept`);
    const ingress = found.installed?.flows[0]?.chains.find(({ direction }) => direction === 'ingress');
    expect(ingress?.handle).toBeGreaterThan(0);
    expect(ingress?.rules[0]).toMatchObject({ policy: 'default/database', direction: 'ingress' });
    expect(ingress?.lookups.some(({ element }) => element === addressOf(scenario.pods.api, 'IPv4'))).toBe(true);
    const listed = await scenario.node.run('nft', '-a', 'list', 'chain', 'inet', 'nftpolicy', `pod-${veth}-ingress`);
    expect(listed).toContain(`accept comment "default/database ingress[0]" # handle ${ingress?.handle ?? ''}\n`);
  });

  test('shows the drop of a denied flow with the packets on record', async () => {
    await connect('web');
    const { code, out } = await explain('--family', '4', 'default/web', 'default/database:5432');
    expect(code).toBe(1);
    const veth = scenario.pods.database.hostInterface;
    expect(out).toMatch(new RegExp(`node-1 +ingress +chain pod-${veth}-ingress +handle \\d+ +drop +\\d+ packets?`));
    expect(out).not.toContain('differs on');
    if (mode === 'bridged') return;
    const sample = compareSample('node-denied', await askSample(scenario, 'node-denied'));
    expect(sample.found).toBe(sample.shown);
  });

  test('traces a real packet over the rules that are listed', async () => {
    for (const [from, last] of [
      ['api', 'accept'],
      ['web', 'drop'],
    ] as const) {
      const asking = answer('--family', '4', '--trace', '20', `default/${from}`, 'default/database:5432');
      const traffic = (async () => {
        const world = { done: false };
        void asking.finally(() => (world.done = true));
        while (!world.done) await connect(from);
      })();
      const { trace } = (await asking).installed ?? {};
      await traffic;
      expect(trace?.kernel).toEqual(trace?.simulated);
      expect(trace).toMatchObject({ state: 'seen', same: true });
      expect(trace?.kernel.at(-1)?.verdict).toBe(last);
    }
    expect(await scenario.node.run('nft', 'list', 'tables')).not.toContain('nftpolicy-trace');
  });

  test('prints a trace as the guide shows it', async () => {
    const asking = askSample(scenario, 'trace');
    const world = { done: false };
    void asking.finally(() => (world.done = true));
    while (!world.done) await connect('web');
    const printed = await asking;
    expect(printed).toContain('the kernel took the path its listed rules promise');
    if (mode === 'bridged') return;
    const { shown, found } = compareSample('trace', printed);
    expect(found).toBe(shown);
  });

  test('says so when no packet comes in time', async () => {
    const { out } = await explain('--family', '4', '--trace', '1', 'default/api', 'default/database:5433');
    expect(out).toContain('no packet of this flow came within 1 s');
    expect(await scenario.node.run('nft', 'list', 'tables')).not.toContain('nftpolicy-trace');
  });

  test('removes its helper table when it is interrupted', async () => {
    const args = ['--node=node-1', '--trace', '60', 'default/api', 'default/database:5433'];
    const child = scenario.node.spawn([process.execPath, bin, 'explain', '-f', scenario.manifests.path, ...args]);
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const tables = (): Promise<string> => scenario.node.run('nft', 'list', 'tables');
    await expect.poll(tables, { timeout: 20_000 }).toContain('nftpolicy-trace');
    child.kill('SIGINT');
    expect(await exited).toBe(0);
    expect(await tables()).not.toContain('nftpolicy-trace');
  });

  test('follows IPv6 as well', async () => {
    const [api, web] = [
      await answer('--family', '6', 'default/api', 'default/database:5432'),
      await answer('--family', '6', 'default/web', 'default/database:5432'),
    ];
    const veth = scenario.pods.database.hostInterface;
    expect(deciding(api)).toContain(`ingress pod-${veth}-ingress accept`);
    expect(deciding(web)).toContain(`ingress pod-${veth}-ingress drop`);
    expect([api.verdict, web.verdict]).toEqual(['ALLOWED', 'DENIED']);
  });

  test('compares every port by one of each kind, and both families', async () => {
    const { out } = await explain('-o', 'wide', 'default/web', 'default/database');
    for (const family of ['IPv4', 'IPv6']) {
      expect(out).toContain(`  -- default/web -> default/database  TCP 5432 (postgres)  ${family}\n`);
      expect(out).toContain(`  -- default/web -> default/database  TCP any other port, by port 1  ${family}\n`);
    }
    expect(out.match(/ingress +chain pod-\S+-ingress +handle \d+ +drop/g)?.length).toBeGreaterThanOrEqual(4);
    const brief = await explain('default/web', 'default/database:5432');
    expect(brief.out).not.toMatch(/IPv6/);
  });

  test('judges one side of a flow from another node, and needs no agent for it', async () => {
    const found = await scenario.node.run(
      process.execPath,
      bin,
      'explain',
      '-f',
      scenario.manifests.path,
      '--installed=require',
      '--agent=127.0.0.1:9',
      '--node=node-1',
      'default/remote-api',
      'default/database:5432',
    );
    expect(found).toMatch(/node-1 +ingress +chain pod-\S+-ingress +handle \d+ +accept/);
    expect(found).not.toContain('node-1  egress');
  });

  test('is loud about a kernel that does something else', async () => {
    await agent.stop('SIGKILL');
    const veth = scenario.pods.database.hostInterface;
    const before = await answer('--family', '4', 'default/api', 'default/database:5432');
    const rule = before.installed?.flows[0]?.chains.find(({ direction }) => direction === 'ingress');
    const chain = `pod-${veth}-ingress`;
    await scenario.node.run('nft', 'delete', 'rule', 'inet', 'nftpolicy', chain, 'handle', String(rule?.handle));
    const missing = await explain('--family', '4', 'default/api', 'default/database:5432');
    expect(missing.code).toBe(1);
    expect(missing.out).toMatch(/^DENIED\[E070\] {2}default\/api -> default\/database/m);
    expect(missing.out).toMatch(/differs on node-1: default\/database, rule 1 is not installed in chain pod-/);
    expect(missing.out).toContain('policies say ALLOWED');
    expect(missing.out).toContain('no agent answers at');

    await scenario.node.run('nft', 'insert', 'rule', 'inet', 'nftpolicy', chain, 'accept');
    const open = await explain('--family', '4', 'default/web', 'default/database:5432');
    expect(open.code).toBe(0);
    expect(open.out).toMatch(/^ALLOWED\[E070,/m);
    expect(open.out).toMatch(/differs on node-1: chain pod-.* handle \d+ accepts it, a rule of no policy/);
    expect(open.out).toContain('policies say DENIED');
  });

  test('does not guess about rules it cannot follow', async () => {
    const veth = scenario.pods.database.hostInterface;
    const chain = `pod-${veth}-ingress`;
    await scenario.node.run('nft', 'insert', 'rule', 'inet', 'nftpolicy', chain, 'meta', 'mark', '7', 'accept');
    const { code, out } = await explain('--family', '4', 'default/web', 'default/database:5432');
    expect(out).toContain('cannot be followed');
    expect(out).toMatch(/^UNKNOWN\[E070/m);
    expect(code).toBe(3);
  });

  test('says that nothing is enforced where there is no table', async () => {
    await scenario.node.run(process.execPath, bin, 'cleanup');
    const denied = await explain('default/web', 'default/database:5432');
    expect(denied.out).toMatch(/^UNKNOWN\[E071\]/m);
    expect(denied.code).toBe(3);
    expect((await explain('default/api', 'default/database:5432')).code).toBe(0);
  });

  test('cleanup removes what a killed trace leaves', async () => {
    await scenario.node.nft('table inet nftpolicy-trace { }\ntable bridge nftpolicy-trace { }\n');
    await scenario.node.run(process.execPath, bin, 'cleanup');
    expect(await scenario.node.run('nft', 'list', 'tables')).not.toContain('nftpolicy');
  });
});

describe('policy explain beside an agent that cannot write', () => {
  let scenario: Scenario;

  beforeAll(async () => {
    scenario = await createScenario('routed');
    scenario.manifests.writeText('policy.yaml', readFileSync(policyFile, 'utf8'));
  });
  afterAll(async () => {
    await scenario?.lab.close();
  });

  test('names the failure of its last apply, and the verdict is that of the older rules', async () => {
    const { node, manifests } = scenario;
    const bin = join(node.directory, 'bin');
    const full = join(node.directory, 'full');
    mkdirSync(bin);
    // A kernel that takes no more rules: whatever would add some is refused, listing goes on.
    const script = `#!/bin/sh
for file; do :; done
if [ -e ${full} ] && grep -q '"add"' "$file" 2>/dev/null; then
  echo 'Error: Could not process rule: No space left on device' >&2
  exit 1
fi
PATH=$(echo "$PATH" | sed 's,^[^:]*:,,')
exec nft "$@"
`;
    writeFileSync(join(bin, 'nft'), script);
    chmodSync(join(bin, 'nft'), 0o755);
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const agent = await LabAgent.launch(node, [`--manifests=${manifests.path}`], { env });
    writeFileSync(full, '');
    manifests.apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'open', namespace: 'default' },
      spec: {
        podSelector: { matchLabels: { 'app-component': 'database' } },
        ingress: [{ from: [{ podSelector: {} }] }],
      },
    });
    await agent.logged(({ level, msg }) => level === 'error' && msg.includes('No space left'));
    const sample = compareSample('node-differs', await askSample(scenario, 'node-differs'));
    expect(sample.found).toBe(sample.shown);
  });
});
