import type { Plural } from './truth.ts';
import type { Random } from './random.ts';
import { between, pick } from './random.ts';

/** What a fault may depend on. */
export interface RequestFacts {
  readonly verb: 'list' | 'watch' | 'get' | 'create' | 'update' | 'patch' | 'delete';
  readonly plural: Plural;
  /** A watch that begins with `sendInitialEvents`. */
  readonly streamedList: boolean;
  /** A list page after the first. */
  readonly continued: boolean;
}

/** Something that goes wrong with one request. `after` counts events sent before it happens; 0 is at once. */
export type Fault =
  | { readonly kind: 'reset-before-headers' }
  | { readonly kind: 'hang-before-headers' }
  /** Any refusal. */
  | { readonly kind: 'status'; readonly code: number; readonly reason: string; readonly retryAfterSeconds?: number }
  /** 422 naming `sendInitialEvents`. */
  | { readonly kind: 'refuse-watch-list' }
  /** The end bookmark of the initial events never comes; later events do. */
  | { readonly kind: 'withhold-end' }
  /** 200, then nothing: what a version from the future gets. */
  | { readonly kind: 'silence' }
  /** Bytes trickle: `bytes` at a time with `delayMs` between. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly delayMs: number }
  | { readonly kind: 'reset'; readonly after: number }
  /** Half an event, then an orderly end. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** A line that is no JSON in the place of an event. */
  | { readonly kind: 'garbage'; readonly after: number }
  /** An event whose object has the right identity and a wrong shape in the place of a good one. */
  | { readonly kind: 'corrupt'; readonly after: number }
  /** Nothing more, but the connection stays. */
  | { readonly kind: 'stall'; readonly after: number }
  | { readonly kind: 'close'; readonly after: number }
  /** An ERROR event, then the end. */
  | { readonly kind: 'error-event'; readonly after: number; readonly code: number; readonly reason: string }
  /** A past state of some object, sent again. */
  | { readonly kind: 'stale'; readonly after: number };

/** Decides what goes wrong. Asked once per request. */
export interface FaultPlan {
  next(request: RequestFacts): Fault | undefined;
}

/** Faults given one by one, each for the first request that fits. */
export class ScriptedFaults implements FaultPlan {
  #waiting: { readonly fits: (request: RequestFacts) => boolean; readonly fault: Fault; left: number }[] = [];

  /** Adds a fault for the next `times` requests that have all these facts. */
  add(facts: Partial<RequestFacts>, fault: Fault, times = 1): void {
    const entries = Object.entries(facts) as [keyof RequestFacts, unknown][];
    this.#waiting.push({
      fits: (request) => entries.every(([key, value]) => request[key] === value),
      fault,
      left: times,
    });
  }

  /** Faults that no request has met yet. */
  get pending(): number {
    return this.#waiting.length;
  }

  clear(): void {
    this.#waiting = [];
  }

  next(request: RequestFacts): Fault | undefined {
    const found = this.#waiting.find((entry) => entry.fits(request));
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left === 0) this.#waiting = this.#waiting.filter((entry) => entry !== found);
    return found.fault;
  }
}

/** Faults that a watch survives without a new list. */
export const harmlessFaults: ReadonlySet<Fault['kind']> = new Set([
  'reset-before-headers',
  'hang-before-headers',
  'reset',
  'close',
  'slow',
  'stale',
]);

/** Faults drawn from a seed for `share` of the requests: of every kind, or of some. */
export class SeededFaults implements FaultPlan {
  /** How often each kind was injected. */
  readonly injected: Map<string, number> = new Map();
  readonly #random: Random;
  readonly #share: number;
  readonly #kinds: ReadonlySet<Fault['kind']> | undefined;

  constructor(random: Random, share: number, kinds?: ReadonlySet<Fault['kind']>) {
    this.#kinds = kinds;
    this.#random = random;
    this.#share = share;
  }

  next(request: RequestFacts): Fault | undefined {
    if (this.#random() >= this.#share) return undefined;
    const fault = this.#draw(request);
    this.injected.set(fault.kind, (this.injected.get(fault.kind) ?? 0) + 1);
    return fault;
  }

  #draw(request: RequestFacts): Fault {
    const random = this.#random;
    const after = between(random, 0, 12);
    const any: Fault[] = [
      { kind: 'reset-before-headers' },
      { kind: 'hang-before-headers' },
      { kind: 'status', code: 500, reason: 'InternalError' },
      { kind: 'status', code: 503, reason: 'ServiceUnavailable' },
      { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 0.05 },
      { kind: 'status', code: 401, reason: 'Unauthorized' },
      { kind: 'status', code: 403, reason: 'Forbidden' },
      { kind: 'slow', bytes: 700, delayMs: 2 },
    ];
    const transfers: Fault[] = [
      { kind: 'reset', after },
      { kind: 'truncate', after },
      { kind: 'garbage', after },
      { kind: 'stall', after },
      { kind: 'status', code: 410, reason: 'Expired' },
    ];
    const watches: Fault[] = [
      { kind: 'close', after },
      { kind: 'corrupt', after },
      { kind: 'stale', after },
      { kind: 'silence' },
      { kind: 'error-event', after, code: 500, reason: 'InternalError' },
      { kind: 'error-event', after, code: 410, reason: 'Expired' },
    ];
    const streamed: Fault[] = [{ kind: 'withhold-end' }, { kind: 'refuse-watch-list' }];
    const stream = request.verb === 'watch' || request.verb === 'list';
    const kinds = this.#kinds;
    const fitting = [
      ...any,
      ...(stream ? transfers : []),
      ...(request.verb === 'watch' ? watches : []),
      ...(request.streamedList ? streamed : []),
    ];
    return pick(
      random,
      fitting.filter(({ kind }) => kinds === undefined || kinds.has(kind)),
    );
  }
}
