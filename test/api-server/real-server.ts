import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createAuthority } from './certificate.ts';

/** Why there is no real API server here; `undefined` if there is one. */
export function whyNoRealServer(assets: string | undefined): string | undefined {
  if (assets === undefined || assets === '') return 'KUBEBUILDER_ASSETS is not set';
  const missing = ['etcd', 'kube-apiserver'].filter((name) => !existsSync(join(assets, name)));
  return missing.length === 0 ? undefined : `KUBEBUILDER_ASSETS (${assets}) has no ${missing.join(' and no ')}`;
}

/** A real etcd and kube-apiserver on loopback, without controllers, kubelets or schedulers. */
export class RealApiServer {
  readonly ca: string;
  readonly token = 'real-server-token';
  readonly #assets: string;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'nftpolicy-apiserver-'));
  readonly #flags: readonly string[];
  readonly #etcdFlags: readonly string[];
  readonly #port: number;
  #etcd: ChildProcess | undefined;
  #server: ChildProcess | undefined;

  private constructor(assets: string, ports: readonly number[]) {
    const [port = 0, clientPort = 0, peerPort = 0] = ports;
    this.#assets = assets;
    this.#port = port;
    const authority = createAuthority();
    const { cert, key } = authority.server(['localhost', 'kubernetes.default.svc', '127.0.0.1']);
    this.ca = authority.cert;
    const account = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const files = {
      cert: this.#write('server.crt', cert),
      key: this.#write('server.key', key),
      publicKey: this.#write('sa.pub', account.publicKey.export({ type: 'spki', format: 'pem' }) as string),
      privateKey: this.#write('sa.key', account.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
      tokens: this.#write('tokens.csv', `${this.token},tester,tester,"system:masters"\n`),
    };
    const client = `http://127.0.0.1:${clientPort}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    this.#etcdFlags = [
      `--data-dir=${join(this.#folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
    ];
    this.#flags = [
      `--etcd-servers=${client}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${this.#folder}`,
      `--tls-cert-file=${files.cert}`,
      `--tls-private-key-file=${files.key}`,
      `--service-account-key-file=${files.publicKey}`,
      `--service-account-signing-key-file=${files.privateKey}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${files.tokens}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/24',
      '--disable-admission-plugins=ServiceAccount',
    ];
  }

  /** Starts both processes and waits until the server is ready. */
  static async start(assets: string): Promise<RealApiServer> {
    const server = new RealApiServer(assets, await Promise.all([freePort(), freePort(), freePort()]));
    try {
      server.#etcd = server.#spawn('etcd', server.#etcdFlags);
      await server.#startServer();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** `https://host:port`. */
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Ends the API server and starts it again; etcd stays. */
  async restart(): Promise<void> {
    await end(this.#server);
    await this.#startServer();
  }

  /** Ends both and removes their files. */
  async stop(): Promise<void> {
    await end(this.#server);
    await end(this.#etcd);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startServer(): Promise<void> {
    this.#server = this.#spawn('kube-apiserver', this.#flags);
    const until = Date.now() + 90_000;
    while (Date.now() < until) {
      if (this.#server.exitCode !== null) break;
      if (await this.#ready()) return;
      await sleep(200);
    }
    const log = readFileSync(join(this.#folder, 'kube-apiserver.log'), 'utf8');
    throw new Error(`kube-apiserver did not become ready:\n${log.slice(-3000)}`);
  }

  async #ready(): Promise<boolean> {
    const { httpsAccess } = await import('../../src/source/kubernetes/https-access.ts');
    const { AccessError, readBody } = await import('../../src/source/kubernetes/access.ts');
    const headers = { authorization: `Bearer ${this.token}` };
    const access = httpsAccess(this.url, {
      read: () => Promise.resolve({ tls: { ca: this.ca }, headers }),
      invalidate: () => undefined,
    });
    try {
      const response = await access.request({ method: 'GET', path: '/readyz', signal: AbortSignal.timeout(2000) });
      await readBody(response, 1_000_000);
      return response.status === 200;
    } catch (error) {
      if (error instanceof AccessError) return false;
      throw error;
    } finally {
      access.close();
    }
  }

  #spawn(name: string, flags: readonly string[]): ChildProcess {
    const log = openSync(join(this.#folder, `${name}.log`), 'a');
    return spawn(join(this.#assets, name), flags, { stdio: ['ignore', log, log] });
  }

  #write(name: string, content: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
