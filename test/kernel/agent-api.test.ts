import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Ajv2020 } from 'ajv/dist/2020.js';

import { startupTaint } from '../../src/agent/startup-taint.ts';
import type { DeniedReport } from '../../src/controller/denied-report.ts';
import type { StatusReport } from '../../src/controller/status-report.ts';
import { LabAgent } from '../lab/agent.ts';
import { LabApiServer } from '../lab/api-server.ts';
import { Lab } from '../lab/lab.ts';
import { namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { CommandError } from '../lab/run.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');

/** Holds what a command printed to its published schema. */
function hold(name: 'status' | 'denied', printed: string): void {
  const schema = JSON.parse(readFileSync(join(import.meta.dirname, `../../schemas/${name}.json`), 'utf8')) as object;
  const validate = new Ajv2020({ strict: true }).compile(schema);
  expect(validate(JSON.parse(printed)), JSON.stringify(validate.errors)).toBe(true);
}

function policyManifest(name: string, app: string, operator = 'In'): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'database' } },
      ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'app', operator, values: [app] }] } }] }],
    },
  };
}

describe('policy agent on a Kubernetes API', () => {
  let lab: Lab;
  let node: LabNode;
  let api: LabApiServer;
  let agent: LabAgent;
  let database: LabPod;
  let web: LabPod;

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode: 'routed' });
    [database, web] = await Promise.all([
      node.addPod({ name: 'database', labels: { app: 'database' } }),
      node.addPod({ name: 'web', labels: { app: 'web' } }),
    ]);
    api = await LabApiServer.start(node);
    const spec = { taints: [{ key: startupTaint, effect: 'NoExecute' }] };
    const tainted = { ...nodeManifest(node), spec };
    await api.apply(namespaceManifest('default'), tainted, podManifest(database), podManifest(web));
    await api.apply(policyManifest('database', 'api'));
    const state = join(node.directory, 'state');
    agent = await LabAgent.launch(node, ['--kubeconfig', api.kubeconfig, '--state-dir', state]);
  });
  afterAll(async () => {
    await lab?.close();
  });

  const policy = async (...args: string[]): Promise<{ code: number | null; out: string }> => {
    try {
      return { code: 0, out: await node.run(process.execPath, bin, ...args) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.exitCode, out: error.stderr };
    }
  };
  const get = async (path: string): Promise<string> =>
    await node.run('curl', '-s', '-w', ' %{http_code}', `http://127.0.0.1:9478${path}`);
  const verdict = async (): Promise<string | undefined> => {
    const to = { to: addressOf(database, 'IPv4'), port: 5432, protocol: 'tcp' as const, at: database };
    return (await probeAll(lab.traffic, [{ ...to, from: web }]))[0]?.verdict;
  };

  test('enforces what the API server says', async () => {
    expect(await verdict()).toBe('deny');
    await api.apply(policyManifest('database', 'web'));
    await expect.poll(verdict, { timeout: 10_000 }).toBe('allow');
    await api.apply(policyManifest('database', 'api'));
    await expect.poll(verdict, { timeout: 10_000 }).toBe('deny');
  });

  test('takes the start-up taint off its node', async () => {
    const taints = async (): Promise<unknown> =>
      ((await api.ask({ action: 'list', plural: 'nodes' })) as { spec: { taints?: unknown } }[])[0]?.spec.taints;
    await expect.poll(taints, { timeout: 15_000 }).toEqual([]);
    await agent.logged(({ msg }) => msg === 'this node is enforced: its start-up taint is off');
  });

  test('answers probes and metrics', async () => {
    expect(await get('/healthz')).toBe('ok\n 200');
    expect(await get('/readyz')).toBe('ok\n 200');
    const metrics = await get('/metrics');
    for (const line of [
      /^nftpolicy_build_info\{version="\d+\.\d+\.\d+",node_version="24[^"]*",nft_version="nftables v[^"]*"\} 1$/m,
      /^nftpolicy_synced\{kind="NetworkPolicy"\} 1$/m,
      /^nftpolicy_pods_bound 2$/m,
      /^nftpolicy_event_to_kernel_seconds_count [1-9]\d*$/m,
      /^nftpolicy_applies_total\{result="ok"\} [1-9]\d*$/m,
      /^nftpolicy_table_objects\{family="inet",kind="chain"\} [1-9]\d*$/m,
    ]) {
      expect(metrics).toMatch(line);
    }
  });

  test('says in policy status what it enforces, and waits for a policy', async () => {
    const { code, out } = await policy('status');
    expect(out).toContain('ENFORCING');
    expect(out).toMatch(/^node .*, agent \d+\.\d+\.\d+, nft \d+\.\d+\.\d+, /m);
    expect(out).toMatch(/default\/database +veth\w+ +in: default\/database +out: open/);
    expect(code).toBe(0);
    const waited = policy('status', '--wait-for', 'default/late', '--timeout', '15', '-o', 'json');
    await api.apply(policyManifest('late', 'api'));
    const { code: late, out: text } = await waited;
    expect(late).toBe(0);
    const report = JSON.parse(text) as StatusReport;
    expect(report.policy).toMatchObject({ policy: 'default/late', known: true, applied: true });
    expect(report.pods.map(({ ingress }) => ingress.policies)).toEqual([['default/database', 'default/late'], []]);
    const generation = String(report.generation.applied);
    expect((await policy('status', '--wait-for', generation, '--timeout', '0')).code).toBe(0);
    const never = await policy('status', '--wait-for', 'default/never', '--timeout', '0.3');
    expect(never).toMatchObject({ code: 1, out: expect.stringContaining('default/never is not known') as string });
    await api.remove('networkpolicies', 'late', 'default');
  });

  test('waits for one version of a policy, and says when it is not enforced as written', async () => {
    const applied = async (manifest: Manifest): Promise<string> =>
      ((await api.ask({ action: 'apply', plural: 'networkpolicies', object: manifest })) as Manifest).metadata[
        'resourceVersion'
      ] as string;
    const wait = (what: string, seconds: string) => policy('status', '--wait-for', what, '--timeout', seconds);
    const first = await applied(policyManifest('versions', 'api'));
    expect((await wait(`default/versions@${first}`, '60')).code).toBe(0);
    const never = await wait(`versions@${String(Number(first) + 1_000)}`, '0.3');
    expect(never).toMatchObject({
      code: 1,
      out: expect.stringContaining(`of policy default/versions is not known to the agent: ${first} is`) as string,
    });
    const second = await applied(policyManifest('versions', 'web', 'Like'));
    const invalid = await wait(`default/versions@${second}`, '60');
    expect(invalid.code).toBe(1);
    expect(invalid.out).toContain('admits less than is written: spec.ingress[0].from[0].podSelector');
    expect(invalid.out).toMatch(/objects with problems\n +NetworkPolicy default\/versions +D112 +spec\.ingress/);
    hold('status', (await policy('status', '-o', 'json')).out);
    await agent.logged(({ msg }) => msg.startsWith('NetworkPolicy default/versions spec.ingress[0]'));
    await api.remove('networkpolicies', 'versions', 'default');
    for (const wrong of ['', 'a/b/c', 'a@b', '-1']) expect((await wait(wrong, '0')).code).toBe(2);
  });

  test('names pods and policies of denied flows, and counts them', async () => {
    expect(await verdict()).toBe('deny');
    const { out } = await policy('denied');
    const [web4, database4] = [addressOf(web, 'IPv4'), addressOf(database, 'IPv4')];
    expect(out).toMatch(
      new RegExp(
        `DENIED +default/web \\(${web4}\\) -> default/database \\(${database4}\\) +tcp/5432 .*ingress: no rule of default/database`,
      ),
    );
    expect(await get('/metrics')).toMatch(
      /^nftpolicy_denied_packets_total\{namespace="default",pod="database",direction="ingress",mode="denied"\} [1-9]/m,
    );
    hold('denied', (await policy('denied', '-o', 'json')).out);
  });

  test('goes on naming who was denied when the pod is gone and its address is given to another', async () => {
    const gone = await node.addPod({ name: 'gone', labels: { app: 'web' } });
    await api.apply(podManifest(gone));
    await expect.poll(async () => (await policy('status')).out, { timeout: 60_000 }).toContain('default/gone');
    const to = { to: addressOf(database, 'IPv6'), port: 5432, protocol: 'tcp' as const, at: database };
    expect((await probeAll(lab.traffic, [{ ...to, from: gone }]))[0]?.verdict).toBe('deny');
    const line = (name: string) => new RegExp(`default/${name} \\(${addressOf(gone, 'IPv6')}\\) -> default/database`);
    expect((await policy('denied')).out).toMatch(line('gone'));
    await api.remove('pods', 'gone', 'default');
    await node.removePod(gone);
    await expect.poll(async () => (await policy('status')).out, { timeout: 60_000 }).not.toContain('default/gone');
    expect((await policy('denied')).out).toMatch(line('gone'));
    const heir = await node.addPod({ name: 'heir', labels: { app: 'web' }, ips: gone.ips });
    await api.apply(podManifest(heir));
    await expect.poll(async () => (await policy('status')).out, { timeout: 60_000 }).toContain('default/heir');
    expect((await policy('denied')).out).toMatch(line('gone'));
    expect((await probeAll(lab.traffic, [{ ...to, from: heir }]))[0]?.verdict).toBe('deny');
    expect((await policy('denied')).out).toMatch(line('heir'));
    await api.remove('pods', 'heir', 'default');
    await node.removePod(heir);
  });

  test('policy denied -w prints what is new, through a restart of the agent', async () => {
    const child = node.spawn([process.execPath, bin, 'denied', '-w', '-o', 'json']);
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => void (printed += text));
    const flows = (): DeniedReport['flows'] =>
      printed
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => JSON.parse(text) as DeniedReport['flows'][number]);
    const packets = (): number =>
      flows()
        .filter(({ from }) => from.pod === 'default/web')
        .at(-1)?.packets ?? 0;
    await expect.poll(packets, { timeout: 60_000 }).toBeGreaterThan(0);
    const before = packets();
    await agent.stop('SIGKILL');
    const state = join(node.directory, 'state');
    agent = await LabAgent.launch(node, ['--kubeconfig', api.kubeconfig, '--state-dir', state]);
    expect(await verdict()).toBe('deny');
    await expect.poll(packets, { timeout: 60_000 }).toBeGreaterThan(before);
    hold('denied', JSON.stringify({ schema: 'nftpolicy.dev/denied/v1', flows: flows() }));
    child.kill('SIGTERM');
  });

  test('posts one Event for a pod that stays closed, and none for one that is fine', async () => {
    const ghost = { ...database, name: 'ghost', uid: 'ghost-uid', ips: ['10.244.1.77'] };
    await api.apply(podManifest(ghost));
    type Event = { involvedObject: { name: string; uid: string }; reason: string; message: string };
    const events = async (): Promise<Event[]> => (await api.ask({ action: 'list', plural: 'events' })) as Event[];
    await expect.poll(async () => (await events()).length, { timeout: 15_000 }).toBe(1);
    expect((await events())[0]).toMatchObject({
      involvedObject: { name: 'ghost', uid: 'ghost-uid' },
      reason: 'PolicyPodClosed',
      message: expect.stringContaining('nothing on the node leads to 10.244.1.77') as string,
    });
    const { code, out } = await policy('status');
    expect(code).toBe(1);
    expect(out).toMatch(/closed pods\n +default\/ghost +pod-interface-missing/);
    await api.remove('pods', 'ghost', 'default');
    expect(agent.log.some(({ level, pod }) => level === 'warn' && pod === 'default/ghost')).toBe(true);
  });

  test('says which permission is missing, and keeps enforcing what it knows', async () => {
    await api.ask({ action: 'forbid', verb: 'watch', plural: 'networkpolicies' });
    await api.ask({ action: 'forbid', verb: 'list', plural: 'networkpolicies' });
    await api.ask({ action: 'stop' });
    await api.ask({ action: 'start' });
    await agent.logged(({ level, msg }) => level === 'error' && msg.includes('networkpolicies.networking.k8s.io'));
    expect(await verdict()).toBe('deny');
    expect(await get('/readyz')).toBe('ok\n 200');
    await api.ask({ action: 'permit', verb: 'watch', plural: 'networkpolicies' });
    await api.ask({ action: 'permit', verb: 'list', plural: 'networkpolicies' });
  });

  test('ends within two seconds, and status says that nobody attends to the rules', async () => {
    const begin = performance.now();
    expect(await agent.stop('SIGTERM')).toBe(0);
    expect(performance.now() - begin).toBeLessThan(2_000);
    expect(await verdict()).toBe('deny');
    const { code, out } = await policy('status');
    expect(code).toBe(3);
    expect(out).toContain('UNATTENDED');
    hold('status', (await policy('status', '-o', 'json')).out);
    expect((await policy('denied')).out).toContain(addressOf(web, 'IPv4'));
    hold('denied', (await policy('denied', '-o', 'json')).out);
    await policy('cleanup');
    expect(await policy('status')).toMatchObject({ code: 1 });
  });

  test('prints its configuration and takes it from a file and the environment', async () => {
    const again = await LabAgent.launch(node, ['--listen', '127.0.0.1:9479'], {
      env: { NFTPOLICY_KUBECONFIG: api.kubeconfig, NFTPOLICY_STATE_DIR: 'off', NFTPOLICY_REJECT: 'true' },
    });
    const printed = again.log.find(({ msg }) => msg === 'configuration');
    expect(printed).toMatchObject({
      config: { kubeconfig: api.kubeconfig, listen: { port: 9479 }, enforcement: { reject: true } },
    });
    expect(JSON.stringify(printed)).not.toContain(
      /token: (\S+)/.exec(readFileSync(api.kubeconfig, 'utf8'))?.[1] ?? 'test-token',
    );
    await again.stop();
  });
});
