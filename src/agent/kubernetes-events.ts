import { createHash } from 'node:crypto';

import type { Clock } from '../enforcer/clock.ts';
import { AccessError, readBody } from '../source/kubernetes/access.ts';
import type { KubeAccess } from '../source/kubernetes/access.ts';
import type { Logger } from './logger.ts';

/** Something an operator should see at the object it concerns. */
export interface Trouble {
  readonly about:
    | { readonly kind: 'Pod'; readonly namespace: string; readonly name: string; readonly uid: string }
    | { readonly kind: 'Node'; readonly name: string };
  /** Tells troubles of one object apart. */
  readonly code: string;
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** Parts and limits of {@link KubernetesEvents}; times in milliseconds. */
export interface KubernetesEventsOptions {
  readonly access: KubeAccess;
  readonly node: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onResult?: (result: 'posted' | 'failed' | 'suppressed') => void;
  /** A trouble younger than this is a pod that starts. Default 5,000. */
  readonly settleMs?: number;
  /** Before the same trouble is said again; the API server forgets Events after an hour. Default one hour. */
  readonly repeatMs?: number;
  /** Most Events per minute. Default 12. */
  readonly perMinute?: number;
}

interface Entry {
  trouble: Trouble;
  readonly sinceMs: number;
  dueMs: number;
}

const lookMs = 1_000;
const failureMs = 30_000;
const requestMs = 10_000;

/**
 * Says troubles that last as Kubernetes Events: once each, and again every hour while they last; never more than a
 * few per minute. The name of an Event tells trouble and hour, so that an agent that starts again, or a trouble that
 * comes and goes, adds none. What cannot be posted is tried again later; nothing depends on it.
 */
export class KubernetesEvents {
  readonly #options: Required<Omit<KubernetesEventsOptions, 'onResult'>> & Pick<KubernetesEventsOptions, 'onResult'>;
  readonly #entries = new Map<string, Entry>();
  #posted: number[] = [];
  /** A refusal was logged, and nothing has been posted since. */
  #refused = false;

  constructor(options: KubernetesEventsOptions) {
    this.#options = { settleMs: 5_000, repeatMs: 3_600_000, perMinute: 12, ...options };
  }

  /** Replaces the troubles there are. */
  update(troubles: readonly Trouble[]): void {
    const { clock, settleMs } = this.#options;
    const keys = new Set<string>();
    for (const trouble of troubles) {
      const key = keyOf(trouble);
      keys.add(key);
      const known = this.#entries.get(key);
      if (known === undefined) {
        this.#entries.set(key, { trouble, sinceMs: clock.now(), dueMs: clock.now() + settleMs });
      } else known.trouble = trouble;
    }
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
  }

  /** Posts what is due, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      for (const entry of this.#entries.values()) {
        if (entry.dueMs <= clock.now() && !signal.aborted) await this.#say(entry, signal);
      }
      await clock.sleep(lookMs, signal);
    }
  }

  async #say(entry: Entry, signal: AbortSignal): Promise<void> {
    const { clock, perMinute, repeatMs, onResult, logger } = this.#options;
    const now = clock.now();
    this.#posted = this.#posted.filter((at) => now - at < 60_000);
    if (this.#posted.length >= perMinute) {
      onResult?.('suppressed');
      entry.dueMs = now + 60_000;
      return;
    }
    this.#posted.push(now);
    try {
      const status = await this.#post(entry, AbortSignal.any([signal, AbortSignal.timeout(requestMs)]));
      if (status >= 200 && status < 300) {
        entry.dueMs = now + repeatMs;
        this.#refused = false;
        onResult?.('posted');
        return;
      }
      if (status === 409) {
        entry.dueMs = now + repeatMs;
        onResult?.('suppressed');
        return;
      }
      // 403 may mean this one namespace, which is going away, as well as a missing permission.
      const lasts = status === 403 || status === 404;
      if (!this.#refused) {
        const message = status === 403 ? 'not allowed to create this event' : 'the API server refused an event';
        logger.warn({ status, about: entry.trouble.about, reason: entry.trouble.reason }, message);
      }
      this.#refused = true;
      onResult?.('failed');
      entry.dueMs = now + (lasts ? repeatMs : failureMs);
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AccessError)) throw error;
      logger.debug({ err: error }, 'an event cannot be posted now');
    }
    onResult?.('failed');
    entry.dueMs = now + failureMs;
  }

  async #post({ trouble, sinceMs }: Entry, signal: AbortSignal): Promise<number> {
    const { access, node, clock, repeatMs } = this.#options;
    const { about, reason, message } = trouble;
    const namespace = about.kind === 'Pod' ? about.namespace : 'default';
    const nowMs = Date.now();
    const response = await access.request({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/events`,
      headers: { 'content-type': 'application/json' },
      signal,
      body: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace, name: eventName(about.name, keyOf(trouble), Math.floor(nowMs / repeatMs)) },
        // The kubelet names a Node by its name in place of the uid.
        involvedObject: { apiVersion: 'v1', ...about, ...(about.kind === 'Node' && { uid: about.name }) },
        reason,
        message: message.slice(0, 1024),
        type: 'Warning',
        action: 'Enforce',
        count: 1,
        firstTimestamp: time(nowMs - (clock.now() - sinceMs)),
        lastTimestamp: time(nowMs),
        source: { component: 'nftpolicy', host: node },
        reportingComponent: 'nftpolicy.dev/agent',
        reportingInstance: node,
      }),
    });
    await readBody(response, 1_000_000);
    return response.status;
  }
}

function keyOf({ about, reason, code }: Trouble): string {
  return `${about.kind === 'Pod' ? about.uid : `node ${about.name}`} ${reason} ${code}`;
}

/** At most 253 characters, each part ending in a letter or digit, which is what the API takes. */
function eventName(name: string, key: string, hour: number): string {
  const start = name.slice(0, 236).replace(/[^a-z0-9]+$/, '');
  return `${start}.${createHash('sha256').update(`${key} ${hour}`).digest('hex').slice(0, 16)}`;
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
