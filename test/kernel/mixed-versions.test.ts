import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { compareVersion, parseVersion } from 'nftables-json';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { CommandError, run } from '../lab/run.ts';

/*
 * An agent with an nft before 1.1.2 on a node where another program writes sets with a newer one. Two are needed:
 * `npm run test:kernel -- --nft PATH` names the second.
 */
const programs = ['nft', process.env['OTHER_NFT']].flatMap((program) => {
  if (program === undefined) return [];
  const version = parseVersion(execFileSync(program, ['--version'], { encoding: 'utf8' }));
  return version === undefined ? [] : [{ program, isOld: compareVersion(version, [1, 1, 2]) < 0 }];
});
const old = programs.find(({ isOld }) => isOld)?.program;
const newer = programs.find(({ isOld }) => !isOld)?.program;
const missing = old === undefined || newer === undefined;
if (missing)
  console.warn('NOT TESTED: two versions of nft on one node; npm run test:kernel -- --nft PATH names another');

const policy = join(import.meta.dirname, '../../bin/policy.mjs');
const address = '127.0.0.1:9478';
const reason = /nft 1\.\S+ cannot work in this network namespace: .* written with nft 1\.1\.2 or newer/;

describe.skipIf(missing)('sets of a newer nft on the node of an older one', () => {
  let lab: Lab;
  let node: LabNode;
  let agent: LabAgent;
  let env: { readonly PATH: string };
  let limits: string;

  const policyOnNode = (...args: string[]): Promise<string> =>
    run(['ip', 'netns', 'exec', node.netns, process.execPath, policy, ...args], { env });
  const outputOf = async (...args: string[]): Promise<string> =>
    await policyOnNode(...args).catch((error: unknown) => {
      if (error instanceof CommandError) return `exit ${String(error.exitCode)}: ${error.stderr}`;
      throw error;
    });

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode: 'routed' });
    const directory = join(node.directory, 'old');
    mkdirSync(join(directory, 'manifests'), { recursive: true });
    limits = join(directory, 'limits');
    const path = execFileSync('sh', ['-c', `command -v ${old}`], { encoding: 'utf8' }).trim();
    writeFileSync(join(directory, 'nft'), `#!/bin/sh\nulimit -c >> ${limits}\nexec ${path} "$@"\n`);
    chmodSync(join(directory, 'nft'), 0o755);
    env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    const rules = join(directory, 'other.nft');
    writeFileSync(rules, 'table ip other {\n set s { type ipv4_addr; elements = { 192.0.2.1 }; }\n}\n');
    await node.run(newer ?? '', '-f', rules);
    agent = await LabAgent.launch(node, [`--manifests=${join(directory, 'manifests')}`], { env, waitForReady: false });
  });
  afterAll(async () => {
    await agent.stop();
    await lab.close();
  });

  test('are named as the cause in the log and in policy status', async () => {
    await agent.logged(({ level, code, msg }) => level === 'error' && code === 'mixed-versions' && reason.test(msg));
    await agent.logged(({ msg }) => msg.startsWith('not in the kernel: ') && reason.test(msg));
    const status = await outputOf('status', '--address', address);
    expect(status).toMatch(/^exit 1: state +FAILING/);
    expect(status).toMatch(reason);
    expect(agent.log.filter(({ msg }) => msg === 'applied')).toEqual([]);
  });

  test('are survived: nft never leaves a core dump, and works again once they are gone', async () => {
    expect(new Set(readFileSync(limits, 'utf8').trim().split('\n'))).toEqual(new Set(['0']));
    await node.run(newer ?? '', 'delete', 'table', 'ip', 'other');
    await agent.logged(({ msg }) => msg === 'applied');
    expect(await outputOf('status', '--address', address)).toMatch(/^state +ENFORCING/);
  });

  test('are told as well when they are our own, by policy cleanup too: a newer agent wrote the rules', async () => {
    await agent.stop();
    await policyOnNode('cleanup');
    const newest = { PATH: process.env['PATH'] ?? '' };
    const directory = join(node.directory, 'old');
    if (newer !== 'nft') newest.PATH = `${join(newer ?? '', '..')}:${newest.PATH}`;
    const first = await LabAgent.launch(node, [`--manifests=${join(directory, 'manifests')}`], { env: newest });
    await first.stop();
    agent = await LabAgent.launch(node, [`--manifests=${join(directory, 'manifests')}`], { env, waitForReady: false });
    await agent.logged(({ msg }) => msg.startsWith('not in the kernel: ') && reason.test(msg));
    expect(await node.run(newer ?? '', 'list', 'table', 'inet', 'nftpolicy')).toContain('chain forward-ingress');
    await agent.stop();
    expect(await outputOf('cleanup')).toMatch(/^exit 2: policy: nft 1\.\S+ cannot work in this network namespace/);
  });
});
