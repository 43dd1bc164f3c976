/** The loop between what is wanted and the kernel: newest ruleset wins, one write in flight, verified for good. */
import { NftError } from 'nftables-json';
import type { Executor } from 'nftables-json';

import type { Ruleset, TableFamily } from '../compiler/ruleset.ts';
import { invariant } from '../model/assert.ts';
import { applySteps, backoffMs, classifyFailure } from './apply.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { findCulprits } from './culprits.ts';
import { plan, planReplacement } from './plan.ts';
import type { Dataplane } from './dataplane.ts';
import { Quarantine } from './quarantine.ts';
import type { Problem } from './quarantine.ts';
import { resync } from './resync.ts';
import type { Watcher } from './watcher.ts';

/** What the enforcer did last and what the kernel holds. */
export interface EnforcerStatus {
  /** Number of the newest ruleset given; 0 before the first. */
  readonly desiredGeneration: number;
  /** Number of the newest ruleset that is in the kernel (except for `problems`); 0 before the first. */
  readonly appliedGeneration: number;
  /** How the last attempt ended; undefined before the first. `at` is the injected clock's time. */
  readonly lastApply: { readonly ok: boolean; readonly at: number; readonly error?: string } | undefined;
  /** Parts of the ruleset that are not in the kernel and whose pods fail closed, or a general failure. */
  readonly problems: readonly Problem[];
  /** How often the tables were found changed by a stranger and put right. */
  readonly driftRepaired: number;
  /** Tables seen or written last. */
  readonly tables: readonly TableFamily[];
  /** When the kernel's tables were last listed and compared. */
  readonly verifiedAt: number | undefined;
}

/** What a look at the kernel found. */
export interface Verification {
  /** The kernel held what was applied. */
  readonly clean: boolean;
  /** It does now. */
  readonly repaired: boolean;
}

/** Options of {@link Enforcer}. */
export interface EnforcerOptions {
  readonly executor: Executor;
  readonly clock?: Clock;
  /** A number in [0, 1) that spreads retries. */
  readonly random?: () => number;
  /** Notices foreign changes; without one the tables are listed every `pollMs`. */
  readonly watcher?: Watcher;
  /** Called behind every attempt and every repair; must not throw. */
  readonly onReport?: (status: EnforcerStatus) => void;
  /** Between looks at the tables while the watcher works. Default 60,000; at least fifty times as long as a look takes. */
  readonly auditMs?: number;
  /** Between looks at the tables while nothing watches. Default 1,000; at least ten times as long as a look takes. */
  readonly pollMs?: number;
  /** Before refused objects and failed rulesets are tried again. Default 30,000. */
  readonly retryMs?: number;
}

const maxAttempts = 5;
const minVerifyGapMs = 200;
/** An audit takes at most one part in this many of the time: writes wait for it. */
const auditGap = 50;

const unrecognised: Problem = {
  kind: 'unrecognised',
  message:
    'nft lists the tables in a form that does not compare with what was written: they are written again and again',
  closed: [],
};

/**
 * Keeps the kernel at the newest desired ruleset. Only rulesets differ in cost: objects that are the same references
 * as in the ruleset before are not looked at again.
 */
export class Enforcer {
  readonly #executor: Executor;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #watcher: Watcher | undefined;
  readonly #onReport: (status: EnforcerStatus) => void;
  readonly #auditMs: number;
  readonly #pollMs: number;
  readonly #retryMs: number;

  readonly #stop = new AbortController();
  #wake = new AbortController();
  #loop: Promise<void> | undefined;
  #loopError: { readonly cause: unknown } | undefined;

  #desired: Ruleset | undefined;
  #desiredGeneration = 0;
  #handledGeneration = 0;
  #appliedGeneration = 0;
  #dataplane: Dataplane | undefined;
  #applied: Ruleset | undefined;
  #quarantine = new Quarantine();
  #failure: Problem | undefined;
  #lastApply: EnforcerStatus['lastApply'];
  #retryAt = Number.POSITIVE_INFINITY;
  #driftRepaired = 0;
  #verifiedAt: number | undefined;
  #verifyTookMs = 0;
  #dirty = false;
  #stubborn = '';
  #unrecognised = false;
  #verifications: { resolve(value: Verification): void; reject(cause: unknown): void }[] = [];
  #idlers: { resolve(): void; reject(cause: unknown): void }[] = [];

  constructor(options: EnforcerOptions) {
    this.#executor = options.executor;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#watcher = options.watcher;
    this.#onReport = options.onReport ?? ((): void => undefined);
    this.#auditMs = options.auditMs ?? 60_000;
    this.#pollMs = options.pollMs ?? 1_000;
    this.#retryMs = options.retryMs ?? 30_000;
  }

  /** Begins to work. Nothing is written before the first {@link setDesired}; existing tables are adopted then. */
  start(): void {
    if (this.#loop !== undefined) return;
    this.#watcher?.start(() => {
      this.#dirty = true;
      this.#wake.abort();
    });
    this.#loop = this.#keepWorking();
  }

  /** A defect of ours meets one ruleset: the kernel keeps the last good rules, whoever waits is told, the next ruleset is tried. */
  async #keepWorking(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#work();
      } catch (cause) {
        // An aborted call rejects with the reason of the signal.
        if (this.#stop.signal.aborted) return;
        this.#loopError = { cause };
        this.#failure = { kind: 'defect', message: String(cause), closed: [] };
        for (const waiter of [...this.#idlers.splice(0), ...this.#verifications.splice(0)]) waiter.reject(cause);
        this.#lastApply = { ok: false, at: this.#clock.now(), error: String(cause) };
        this.#report();
        await this.#clock.sleep(this.#retryMs, this.#wake.signal);
        this.#loopError = undefined;
        // The kernel may hold anything between the old and the new state.
        this.#dataplane = undefined;
        this.#quarantine = new Quarantine();
        this.#retryAt = this.#clock.now();
      }
    }
  }

  /**
   * Takes a new ruleset; the newest wins and whatever came between is never applied.
   * @throws BugError when it has no inet table: rules leave a node by `cleanup` only.
   */
  setDesired(ruleset: Ruleset): void {
    invariant(ruleset.has('inet'), 'a ruleset needs an inet table: without one every pod would be open');
    if (ruleset === this.#desired) return;
    this.#desired = ruleset;
    this.#desiredGeneration++;
    this.#loopError = undefined;
    this.#wake.abort();
  }

  /** Resolves when the newest ruleset is applied or has failed for now; rejects when the enforcer has a defect. */
  async idle(): Promise<void> {
    if (this.#loopError !== undefined) throw this.#loopError.cause;
    if (this.#handledGeneration === this.#desiredGeneration || this.#stop.signal.aborted) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#idlers.push({ resolve, reject });
    await promise;
  }

  /** Lists the tables now, compares and repairs. */
  async verify(): Promise<Verification> {
    invariant(this.#loop !== undefined && !this.#stop.signal.aborted, 'the enforcer is not running');
    if (this.#loopError !== undefined) throw this.#loopError.cause;
    const { promise, resolve, reject } = Promise.withResolvers<Verification>();
    this.#verifications.push({ resolve, reject });
    this.#wake.abort();
    return await promise;
  }

  /** The state as it is now. */
  status(): EnforcerStatus {
    const general = this.#failure === undefined ? [] : [this.#failure];
    if (this.#unrecognised) general.push(unrecognised);
    return {
      desiredGeneration: this.#desiredGeneration,
      appliedGeneration: this.#appliedGeneration,
      lastApply: this.#lastApply,
      problems: [...general, ...this.#quarantine.problems],
      driftRepaired: this.#driftRepaired,
      tables: [...(this.#dataplane ?? this.#applied ?? new Map<TableFamily, never>()).keys()],
      verifiedAt: this.#verifiedAt,
    };
  }

  /** Stops working. The rules stay in the kernel. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#loop;
    await this.#watcher?.close();
    for (const waiter of this.#idlers.splice(0)) waiter.resolve();
    for (const waiter of this.#verifications.splice(0)) waiter.reject(new Error('the enforcer was closed'));
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const now = this.#clock.now();
      if (this.#handledGeneration !== this.#desiredGeneration || now >= this.#retryAt) await this.#reconcile();
      else if (this.#verifications.length > 0 || now >= this.#verifyDueAt()) await this.#verifyOnce();
      else await this.#clock.sleep(Math.min(this.#retryAt, this.#verifyDueAt()) - now, this.#wake.signal);
    }
  }

  #verifyDueAt(): number {
    if (this.#applied === undefined) return Number.POSITIVE_INFINITY;
    const last = this.#verifiedAt ?? 0;
    if (this.#dirty) return last + Math.max(minVerifyGapMs, 2 * this.#verifyTookMs);
    if (this.#watcher?.healthy === true) return last + Math.max(this.#auditMs, auditGap * this.#verifyTookMs);
    return last + Math.max(this.#pollMs, 10 * this.#verifyTookMs);
  }

  /** Brings the newest ruleset into the kernel, or gives up for now. */
  async #reconcile(): Promise<void> {
    if (this.#clock.now() >= this.#retryAt) this.#quarantine = new Quarantine();
    this.#retryAt = Number.POSITIVE_INFINITY;
    let surprises = 0;
    for (let attempt = 1; ; attempt++) {
      const generation = this.#desiredGeneration;
      const desired = this.#desired;
      if (desired === undefined || this.#stop.signal.aborted) return;
      const error = await this.#attempt(desired, surprises > 1);
      if (error === undefined) {
        this.#appliedGeneration = generation;
        this.#failure = undefined;
        this.#finish(generation, undefined);
        return;
      }
      // The kernel may hold anything between the old and the new state.
      this.#dataplane = undefined;
      if (classifyFailure(error) === 'surprise') surprises++;
      if (attempt >= maxAttempts || classifyFailure(error) === 'refused') {
        this.#failure = { kind: 'not-applied', code: error.code, message: error.message, closed: [] };
        this.#retryAt = this.#clock.now() + this.#retryMs;
        this.#finish(generation, error);
        return;
      }
      if (surprises !== 1) await this.#clock.sleep(backoffMs(attempt, this.#random()), this.#stop.signal);
    }
  }

  #finish(generation: number, error: NftError | undefined): void {
    const at = this.#clock.now();
    this.#lastApply = error === undefined ? { ok: true, at } : { ok: false, at, error: error.message };
    this.#handledGeneration = generation;
    if (this.#quarantine.problems.length > 0) this.#retryAt = at + this.#retryMs;
    if (generation === this.#desiredGeneration) for (const waiter of this.#idlers.splice(0)) waiter.resolve();
    this.#report();
  }

  #report(): void {
    this.#onReport(this.status());
  }

  /** One attempt; the error when it failed. `insist`: a refusal that reading back did not explain. */
  async #attempt(desired: Ruleset, insist: boolean): Promise<NftError | undefined> {
    const signal = this.#stop.signal;
    try {
      let target = this.#quarantine.enforceable(desired);
      if (target === undefined) {
        this.#quarantine = new Quarantine();
        target = desired;
      }
      const dataplane = this.#dataplane ?? (await this.#readBack(target));
      let error = dataplane === undefined ? await this.#replace(target) : await this.#write(dataplane, target);
      if (error === undefined || dataplane === undefined) return error;
      if (classifyFailure(error) !== 'refused' && !(insist && classifyFailure(error) === 'surprise')) return error;
      const present = await this.#readBack(target);
      if (present === undefined) return await this.#replace(target);
      const search = await findCulprits(this.#executor, present, target, { signal });
      if (search.kind === 'blocked') return search.error;
      this.#quarantine.add(desired, search.culprits);
      target = this.#quarantine.enforceable(desired);
      if (target === undefined) return error;
      error = await this.#write(present, target);
      return error;
    } catch (error) {
      if (error instanceof NftError) return error;
      throw error;
    }
  }

  async #write(dataplane: Dataplane, target: Ruleset): Promise<NftError | undefined> {
    const steps = plan(dataplane, target);
    const result = await applySteps(this.#executor, steps, this.#callOptions());
    if (result.kind === 'failed') return result.error;
    this.#dataplane = target;
    this.#applied = target;
    return undefined;
  }

  async #replace(target: Ruleset): Promise<NftError | undefined> {
    const result = await applySteps(this.#executor, [planReplacement(target)], this.#callOptions());
    if (result.kind === 'failed') return result.error;
    this.#dataplane = target;
    this.#applied = target;
    return undefined;
  }

  #callOptions(): { signal: AbortSignal; listener?: Watcher } {
    const signal = this.#stop.signal;
    return this.#watcher === undefined ? { signal } : { signal, listener: this.#watcher };
  }

  /** Reads our tables; undefined when they are there and cannot be read. */
  async #readBack(target: Ruleset): Promise<Dataplane | undefined> {
    const startedAt = this.#clock.now();
    const result = await resync(this.#executor, target, { signal: this.#stop.signal });
    this.#verifiedAt = this.#clock.now();
    this.#verifyTookMs = this.#verifiedAt - startedAt;
    return result.kind === 'read' ? result.dataplane : undefined;
  }

  /** Compares the kernel with what was applied, and repairs it. */
  async #verifyOnce(): Promise<void> {
    const waiting = this.#verifications.splice(0);
    const target = this.#applied;
    this.#dirty = false;
    if (target === undefined) {
      for (const waiter of waiting) waiter.resolve({ clean: true, repaired: false });
      return;
    }
    const result = await this.#repair(target);
    for (const waiter of waiting) waiter.resolve(result);
  }

  async #repair(target: Ruleset): Promise<Verification> {
    try {
      const present = await this.#readBack(target);
      const steps = present === undefined ? [planReplacement(target)] : plan(present, target);
      if (steps.length === 0) {
        this.#stubborn = '';
        this.#unrecognised = false;
        return { clean: true, repaired: false };
      }
      // The same repair as last time without a clean look in between: nft prints what we wrote in a way we do not
      // recognise. Rewriting it is harmless; calling it drift would be wrong.
      const work = steps.map((step) => step.transaction.encode()).join('\n');
      const stubborn = work === this.#stubborn;
      const error = present === undefined ? await this.#replace(target) : await this.#write(present, target);
      if (error !== undefined) throw error;
      this.#stubborn = work;
      // A new repair is looked at once more, soon. Never cleared here: the watcher may have called meanwhile.
      if (!stubborn) this.#dirty = true;
      this.#unrecognised = stubborn;
      // Left-overs of our own failed attempt are not drift.
      if (!stubborn && this.#failure === undefined) this.#driftRepaired++;
      this.#report();
      return { clean: false, repaired: true };
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      // Read back, plan and retry as for a new ruleset.
      this.#dataplane = undefined;
      this.#retryAt = this.#clock.now();
      this.#verifiedAt = this.#clock.now();
      return { clean: false, repaired: false };
    }
  }
}
