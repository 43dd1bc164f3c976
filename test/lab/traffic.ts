import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Registry } from './registry.ts';

/** Something packets start from or arrive at: a pod, a node, the outside. */
export interface Place {
  /** Its network namespace. */
  readonly netns: string;
}

/** A protocol of the lab: TCP and UDP by sockets, SCTP and other IP protocols (`ip:47`) by raw sockets. */
export type LabProtocol = 'tcp' | 'udp' | 'sctp' | `ip:${number}`;

/** One question to the network. */
export interface Probe {
  readonly from: Place;
  /** Source address, where the place has several. */
  readonly source?: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: LabProtocol | 'icmp';
  /** How long silence must last to count as such; 400 by default. */
  readonly waitMs?: number;
}

/** What became of a probe. */
export interface ProbeResult {
  /**
   * `open`: TCP connected; `answered`: UDP or ICMP reply; `arrived`: seen by the destination (raw protocols);
   * `refused`: reset or port unreachable; `unreachable`: an error before any answer; `timeout`: silence.
   */
  readonly outcome: 'open' | 'answered' | 'arrived' | 'refused' | 'unreachable' | 'timeout';
  /** Namespace of the listener that answered, which shows where a Service led to. */
  readonly server?: string;
  /** Source address as that listener saw it. */
  readonly seen?: string;
}

/** A connection or UDP session that stays open. */
export interface Held {
  /** Sends a word and waits for its echo. */
  exchange(waitMs?: number): Promise<'answered' | 'timeout' | 'closed'>;
  release(): Promise<void>;
}

/** A sender of UDP datagrams that runs by itself until it is halted. */
export interface Stream {
  /** Ends it and returns how many datagrams it sent. */
  halt(): Promise<number>;
}

type Answer = ReadonlyMap<string, string>;

/** The lab's sender and receiver in all namespaces: a client of `traffic.pl`. */
export class Traffic {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<
    string,
    { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void; readonly line: string }
  >();
  #next = 1;
  #ended: Error | undefined;

  constructor(registry: Registry) {
    this.#child = spawn('/usr/bin/perl', [fileURLToPath(new URL('traffic.pl', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    if (this.#child.pid !== undefined) registry.addProcess(this.#child.pid);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line));
    this.#child.once('error', (error) => this.#fail(error));
    this.#child.once('exit', (code, signal) => this.#fail(new Error(`traffic.pl ended: ${String(code ?? signal)}`)));
    this.#child.stdin.once('error', (error) => this.#fail(error));
  }

  /** Opens a listener; `*` listens on all addresses of both families. Does nothing if it is there already. */
  async listen(at: Place, protocol: LabProtocol, port: number, address = '*'): Promise<void> {
    await this.#ask('listen', { ns: at.netns, proto: protocol, addr: address, port });
  }

  /** Closes a listener opened with the same arguments. */
  async unlisten(at: Place, protocol: LabProtocol, port: number, address = '*'): Promise<void> {
    await this.#ask('unlisten', { ns: at.netns, proto: protocol, addr: address, port });
  }

  /** Sends one probe; any number may run at the same time. */
  async probe(probe: Probe): Promise<ProbeResult> {
    const { protocol } = probe;
    const verb = protocol === 'tcp' || protocol === 'udp' || protocol === 'icmp' ? protocol : 'raw';
    const answer = await this.#ask(verb, { ...target(probe), proto: protocol });
    const server = answer.get('server');
    const seen = answer.get('seen');
    return {
      outcome: answer.get('') as ProbeResult['outcome'],
      ...(server === undefined ? {} : { server }),
      ...(seen === undefined ? {} : { seen }),
    };
  }

  /**
   * Opens a connection (TCP) or session (UDP) that stays.
   *
   * @throws Error when the listener cannot be reached now.
   */
  async hold(probe: Probe & { readonly protocol: 'tcp' | 'udp' }): Promise<Held> {
    const answer = await this.#ask('hold', { ...target(probe), proto: probe.protocol });
    const conn = answer.get('conn');
    if (conn === undefined)
      throw new Error(`no connection to ${probe.to} port ${String(probe.port)}: ${answer.get('')}`);
    return {
      exchange: async (waitMs = 400) =>
        (await this.#ask('exchange', { conn, wait: waitMs })).get('') as 'answered' | 'timeout' | 'closed',
      release: async () => void (await this.#ask('release', { conn })),
    };
  }

  /**
   * Starts a process that sends UDP datagrams to a port without expecting answers.
   *
   * `rate` is datagrams per second (0: as many as possible); `sockets` source ports take turns.
   */
  async stream(
    probe: Omit<Probe, 'protocol' | 'waitMs'>,
    options: { readonly rate: number; readonly sockets?: number },
  ): Promise<Stream> {
    const { rate, sockets = 1 } = options;
    const answer = await this.#ask('stream', { ...target(probe), rate, sockets });
    const stream = answer.get('stream') ?? '';
    return { halt: async () => Number((await this.#ask('halt', { stream })).get('sent')) };
  }

  /** Datagrams of streams that a UDP listener has received so far, by source address. */
  async received(at: Place, port: number): Promise<ReadonlyMap<string, number>> {
    const answer = await this.#ask('received', { ns: at.netns, port });
    return new Map([...answer].filter(([key]) => key !== '').map(([address, count]) => [address, Number(count)]));
  }

  /** Writes a file of /proc/sys/net as seen in a namespace, for instance `ipv4/ip_forward`. */
  async sysctl(at: Place, path: string, value: string | number): Promise<void> {
    await this.#ask('write', { ns: at.netns, path: `/proc/sys/net/${path}`, value });
  }

  /** Closes everything that keeps a namespace alive; call it before the namespace is deleted. */
  async forget(at: Place): Promise<void> {
    await this.#ask('forget', { ns: at.netns });
  }

  #ask(verb: string, fields: Readonly<Record<string, string | number>>): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = String(this.#next);
    this.#next += 1;
    const pairs = Object.entries(fields).map(([key, value]) => `${key}=${String(value)}`);
    const line = [id, verb, ...pairs].join(' ');
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting.set(id, { resolve, reject, line });
    this.#child.stdin.write(`${line}\n`);
    return promise;
  }

  #answer(line: string): void {
    const [id = '', word = '', ...rest] = line.split(' ');
    const request = this.#waiting.get(id);
    if (request === undefined) return this.#fail(new Error(`traffic.pl said: ${line}`));
    this.#waiting.delete(id);
    if (word === 'error') return request.reject(new Error(`${rest.join(' ')} (request: ${request.line})`));
    const answer = new Map([['', word]]);
    for (const pair of rest) {
      const at = pair.indexOf('=');
      answer.set(pair.slice(0, at), pair.slice(at + 1));
    }
    request.resolve(answer);
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const request of this.#waiting.values()) request.reject(error);
    this.#waiting.clear();
  }
}

function target(probe: Omit<Probe, 'protocol'>): Record<string, string | number> {
  return {
    ns: probe.from.netns,
    to: probe.to,
    port: probe.port,
    wait: probe.waitMs ?? 400,
    ...(probe.source === undefined ? {} : { from: probe.source }),
  };
}
