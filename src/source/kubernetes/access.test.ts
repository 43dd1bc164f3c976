import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createAuthority } from '../../../test/api-server/certificate.ts';
import { renderKubeconfig, TestApiServer } from '../../../test/api-server/server.ts';
import type { KubeAccess } from './access.ts';
import { readBody } from './access.ts';
import { inClusterAccess } from './in-cluster.ts';
import { kubeconfigAccess } from './kubeconfig.ts';
import type { KubeconfigOptions } from './kubeconfig.ts';
import { openAccess, parseRequestTimeout } from './open-access.ts';

let server: TestApiServer;
let folder: string;

beforeEach(async () => {
  server = new TestApiServer();
  await server.start();
  folder = mkdtempSync(join(tmpdir(), 'nftpolicy-access-'));
});

afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o700 });
  return path;
}

/** Lists pods once: the status, and whom the server took us for. */
async function whoami(access: KubeAccess): Promise<{ status: number; user: string }> {
  const signal = AbortSignal.timeout(10_000);
  const response = await access.request({ method: 'GET', path: '/api/v1/pods', signal });
  await readBody(response, 1_000_000);
  return { status: response.status, user: server.requests.at(-1)?.user ?? '' };
}

async function asUser(
  user: object,
  options: Partial<KubeconfigOptions> = {},
): Promise<{ status: number; user: string }> {
  const kubeconfig = write(
    'config',
    renderKubeconfig(server.url, server.authority.cert, user as Record<string, unknown>),
  );
  const access = await kubeconfigAccess({ env: {}, kubeconfig, ...options });
  const result = await whoami(access);
  access.close();
  return result;
}

const agent = 'system:serviceaccount:kube-system:nftpolicy';

describe('in a cluster', () => {
  function access(): KubeAccess {
    write('ca.crt', server.authority.cert);
    const { hostname, port } = new URL(server.url);
    return inClusterAccess({ env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }, folder });
  }

  test('the token file and the CA file are enough, and a replaced token is used at once', async () => {
    write('token', 'test-token\n');
    const opened = access();
    expect(await whoami(opened)).toEqual({ status: 200, user: agent });
    server.tokens.clear();
    server.tokens.set('rotated', 'rotated-user');
    expect((await whoami(opened)).status).toBe(401);
    write('token', 'rotated');
    expect(await whoami(opened)).toEqual({ status: 200, user: 'rotated-user' });
    opened.close();
  });

  test('a replaced CA file is used at once', async () => {
    write('token', 'test-token');
    const opened = access();
    write('ca.crt', createAuthority().cert);
    await expect(whoami(opened)).rejects.toMatchObject({ name: 'AccessError', code: 'tls' });
    write('ca.crt', server.authority.cert);
    expect((await whoami(opened)).status).toBe(200);
    opened.close();
  });

  test('requests share one connection', async () => {
    write('token', 'test-token');
    const opened = access();
    const ports = new Set<number | undefined>();
    for (let i = 0; i < 3; i++) {
      await whoami(opened);
      ports.add(server.connections);
    }
    expect([...ports]).toEqual([1]);
    opened.close();
  });

  test('files that are missing, and a place that is no cluster, are said to be so', async () => {
    await expect(whoami(access())).rejects.toMatchObject({ code: 'credentials' });
    expect(() => inClusterAccess({ env: {} })).toThrow('KUBERNETES_SERVICE_HOST');
  });

  test('a token that is none is said to be so, until it is replaced', async () => {
    write('ca.crt', server.authority.cert);
    write('token', 'test\ntoken');
    const opened = access();
    await expect(whoami(opened)).rejects.toMatchObject({
      name: 'AccessError',
      code: 'credentials',
      message: expect.stringContaining('the credentials cannot be used') as string,
    });
    write('token', 'test-token');
    expect((await whoami(opened)).status).toBe(200);
  });

  test('a server that is not there is unreachable', async () => {
    write('token', 'test-token');
    const opened = access();
    await server.stop();
    await expect(whoami(opened)).rejects.toMatchObject({ code: 'unreachable' });
    await server.start();
  });
});

describe('with a kubeconfig', () => {
  test('a token', async () => {
    expect(await asUser({ token: 'test-token' })).toEqual({ status: 200, user: agent });
  });

  test('a token file, relative to the kubeconfig', async () => {
    write('my-token', 'test-token');
    expect(await asUser({ tokenFile: 'my-token' })).toEqual({ status: 200, user: agent });
  });

  test('a client certificate', async () => {
    const { cert, key } = server.authority.client('alice', ['developers']);
    const user = {
      'client-certificate-data': Buffer.from(cert).toString('base64'),
      'client-key-data': Buffer.from(key).toString('base64'),
    };
    expect(await asUser(user)).toEqual({ status: 200, user: 'alice' });
  });

  test('a client key that is cut off', async () => {
    const { cert, key } = server.authority.client('alice', ['developers']);
    const user = {
      'client-certificate-data': Buffer.from(cert).toString('base64'),
      'client-key-data': Buffer.from(key.slice(0, key.length / 2)).toString('base64'),
    };
    await expect(asUser(user)).rejects.toMatchObject({ name: 'AccessError', code: 'credentials' });
  });

  test('an exec plugin that hangs holds no request beyond its deadline, and runs once', async () => {
    write(
      'plugin',
      `#!/bin/sh\necho >> ${folder}/started\nwhile test ! -e ${folder}/end; do sleep 0.05; done\nexit 1\n`,
    );
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', args: [] };
    const kubeconfig = write('config', renderKubeconfig(server.url, server.authority.cert, { exec }));
    const access = await kubeconfigAccess({ env: {}, kubeconfig });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const signal = AbortSignal.timeout(300);
      const asked = access.request({ method: 'GET', path: '/api/v1/pods', signal });
      await expect(asked).rejects.toMatchObject({ code: 'aborted' });
    }
    expect(readFileSync(join(folder, 'started'), 'utf8')).toBe('\n');
    write('end', '');
    await expect(whoami(access)).rejects.toMatchObject({ code: 'credentials' });
    access.close();
  });

  test('an exec plugin, asked again when its token is refused', async () => {
    write('answer', 'old-token');
    write(
      'plugin',
      `#!/bin/sh
test -n "$KUBERNETES_EXEC_INFO" || exit 3
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat ${folder}/answer)"
`,
    );
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: './plugin',
      args: [],
      interactiveMode: 'Never',
    };
    const kubeconfig = write('config', renderKubeconfig(server.url, server.authority.cert, { exec }));
    const access = await kubeconfigAccess({ env: {}, kubeconfig });
    expect((await whoami(access)).status).toBe(401);
    write('answer', 'test-token');
    expect((await whoami(access)).status).toBe(401);
    access.refreshCredentials();
    expect(await whoami(access)).toEqual({ status: 200, user: agent });
    access.close();
  });

  test('an exec plugin that fails is named with its own words', async () => {
    write('plugin', '#!/bin/sh\necho "please log in" >&2\nexit 1\n');
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', args: [] };
    await expect(asUser({ exec })).rejects.toMatchObject({
      code: 'credentials',
      message: 'cannot get credentials of user "test": please log in',
    });
  });

  test('impersonation', async () => {
    expect(await asUser({ token: 'test-token' }, { as: 'bob', asGroups: ['a', 'b'] })).toEqual({
      status: 200,
      user: 'bob',
    });
  });

  test('an unknown authority is not trusted', async () => {
    const kubeconfig = write('config', renderKubeconfig(server.url, createAuthority().cert, { token: 'test-token' }));
    const access = await kubeconfigAccess({ env: {}, kubeconfig });
    await expect(whoami(access)).rejects.toMatchObject({ code: 'tls' });
  });

  test('context, cluster and user are chosen by flags', async () => {
    server.tokens.set('other-token', 'other-user');
    const ca = Buffer.from(server.authority.cert).toString('base64');
    const kubeconfig = write(
      'config',
      JSON.stringify({
        clusters: [
          { name: 'dead', cluster: { server: 'https://127.0.0.1:1' } },
          { name: 'live', cluster: { server: server.url, 'certificate-authority-data': ca } },
        ],
        users: [
          { name: 'one', user: { token: 'test-token' } },
          { name: 'two', user: { token: 'other-token' } },
        ],
        contexts: [
          { name: 'a', context: { cluster: 'dead', user: 'one' } },
          { name: 'b', context: { cluster: 'live', user: 'two' } },
        ],
        'current-context': 'a',
      }),
    );
    const user = async (flags: Partial<KubeconfigOptions>): Promise<string> =>
      (await whoami(await kubeconfigAccess({ env: {}, kubeconfig, ...flags }))).user;
    expect(await user({ context: 'b' })).toBe('other-user');
    expect(await user({ cluster: 'live' })).toBe(agent);
    expect(await user({ cluster: 'live', user: 'two' })).toBe('other-user');
    await expect(user({ context: 'c' })).rejects.toThrow('there is no context "c"; there are: a, b');
    await expect(user({ user: 'three' })).rejects.toThrow('there is no user "three"; there are: one, two');
    await expect(user({ cluster: 'none' })).rejects.toThrow('there is no cluster "none"; there are: dead, live');
  });

  test('of several files the first to name a thing wins, and missing ones do not matter', async () => {
    server.tokens.set('other-token', 'other-user');
    const one = write('one', renderKubeconfig(server.url, server.authority.cert, { token: 'other-token' }));
    const two = write('two', renderKubeconfig('https://127.0.0.1:1', server.authority.cert, { token: 'test-token' }));
    const access = await openAccess({ env: { KUBECONFIG: `${folder}/none:${one}:${two}` } });
    expect(await whoami(access)).toEqual({ status: 200, user: 'other-user' });
  });

  test('a file that was asked for must be there and be readable', async () => {
    await expect(kubeconfigAccess({ env: {}, kubeconfig: join(folder, 'none') })).rejects.toMatchObject({
      code: 'credentials',
    });
    await expect(kubeconfigAccess({ env: {}, kubeconfig: write('bad', 'a: [') })).rejects.toMatchObject({
      code: 'credentials',
    });
    await expect(kubeconfigAccess({ env: {}, kubeconfig: write('empty', '{}') })).rejects.toThrow(
      'no context is chosen',
    );
  });
});

describe('openAccess', () => {
  test('says what is missing where there is nothing to choose from', async () => {
    await expect(openAccess({ env: { HOME: folder } })).rejects.toThrow('no API server is known');
  });

  test('ends a request that takes too long, but no watch', async () => {
    const kubeconfig = write('config', server.kubeconfig());
    const access = await openAccess({ env: {}, kubeconfig, requestTimeoutMs: 150 });
    server.faults.add({ verb: 'list' }, { kind: 'hang-before-headers' });
    await expect(whoami(access)).rejects.toMatchObject({ code: 'aborted' });
    const abort = new AbortController();
    const query = new URLSearchParams({ watch: '1' });
    const watching = await access.request({ method: 'GET', path: '/api/v1/pods', query, signal: abort.signal });
    setTimeout(() => server.truth.create('pods', { metadata: { name: 'late', namespace: 'shop' } }), 300);
    for await (const chunk of watching.body) {
      expect(Buffer.from(chunk).toString()).toContain('late');
      break;
    }
    abort.abort();
    access.close();
  });

  test.each([
    ['30', 30_000],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['200ms', 200],
    ['0', 0],
    ['soon', undefined],
    ['-1s', undefined],
  ])('--request-timeout=%s', (text, expected) => {
    expect(parseRequestTimeout(text)).toBe(expected);
  });
});
