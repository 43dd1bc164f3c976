import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { LabNode } from '../lab/node.ts';
import type { Place } from '../lab/traffic.ts';

/** A continuous sender of UDP datagrams or TCP SYNs. */
export interface FlowSpec {
  readonly from: Place;
  /** The sender's address; it is not bound, so that the sender may get it later. */
  readonly source: string;
  readonly to: string;
  /** Where packets to `to` are expected. */
  readonly at: Place;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** What became of the packets of one flow. Times in milliseconds of {@link monotonicMs}, of sending. */
export interface FlowCount {
  readonly sent: number;
  readonly arrived: number;
  readonly firstArrivedAt?: number;
  readonly lastArrivedAt?: number;
  readonly firstLostAt?: number;
}

/** A span of time; packets count whose sending began and ended in it. */
export interface Span {
  readonly from?: number;
  readonly to?: number;
}

/** The clock of packets, in milliseconds. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Packets on many flows without a pause, each one known by its time of sending and whether it arrived: a client of
 * `leak-traffic.pl`. It ends with the lab.
 */
export class LeakTraffic {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, PromiseWithResolvers<ReadonlyMap<string, string>>>();
  #next = 1;
  #ended: Error | undefined;

  constructor(node: LabNode) {
    const program = fileURLToPath(new URL('leak-traffic.pl', import.meta.url));
    this.#child = node.spawn(['/usr/bin/perl', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('the sender has no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line));
    this.#child.once('error', (error) => this.#fail(error));
    this.#child.once('exit', (code, signal) => this.#fail(new Error(`leak-traffic.pl: ${String(code ?? signal)}`)));
  }

  /** Packets per second on each flow. */
  async setRate(perSecond: number): Promise<void> {
    await this.#ask('rate', { rate: perSecond });
  }

  /** Starts a flow; it waits for its namespaces if they are not there yet. Answers its number. */
  async open(flow: FlowSpec): Promise<number> {
    const { from, source, to, at, protocol, port } = flow;
    const answer = await this.#ask('open', { ns: from.netns, from: source, to, at: at.netns, proto: protocol, port });
    return Number(answer.get('flow'));
  }

  /** Ends a flow and lets go of its sender's namespace; it can still be counted. */
  async close(flow: number): Promise<void> {
    await this.#ask('close', { flow });
  }

  /** Forgets a closed flow. */
  async drop(flow: number): Promise<void> {
    await this.#ask('drop', { flow });
  }

  /** Lets go of a receiving namespace. */
  async forget(at: Place): Promise<void> {
    await this.#ask('forget', { ns: at.netns });
  }

  /** What became of the packets of a flow, in all or in a span of time. */
  async count(flow: number, { from, to }: Span = {}): Promise<FlowCount> {
    const span = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    const answer = await this.#ask('count', { flow, ...span });
    const time = (key: string): number | undefined => (answer.has(key) ? Number(answer.get(key)) : undefined);
    const [first, last, lost] = [time('first'), time('last'), time('lost')];
    return {
      sent: Number(answer.get('sent')),
      arrived: Number(answer.get('arrived')),
      ...(first === undefined ? {} : { firstArrivedAt: first }),
      ...(last === undefined ? {} : { lastArrivedAt: last }),
      ...(lost === undefined ? {} : { firstLostAt: lost }),
    };
  }

  async #ask(verb: string, fields: Readonly<Record<string, string | number>>): Promise<ReadonlyMap<string, string>> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = String(this.#next++);
    const waiting = Promise.withResolvers<ReadonlyMap<string, string>>();
    this.#waiting.set(id, waiting);
    const pairs = Object.entries(fields).map(([key, value]) => `${key}=${value}`);
    this.#child.stdin?.write(`${[id, verb, ...pairs].join(' ')}\n`);
    return waiting.promise;
  }

  #answer(line: string): void {
    const [id = '', word = '', ...rest] = line.split(' ');
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return this.#fail(new Error(`leak-traffic.pl said: ${line}`));
    this.#waiting.delete(id);
    if (word === 'ok') waiting.resolve(new Map(rest.map((pair) => splitPair(pair))));
    else waiting.reject(new Error(rest.join(' ')));
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return [pair.slice(0, at), pair.slice(at + 1)];
}
