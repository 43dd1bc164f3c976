import type { ControllerStatus } from '../controller/controller.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import type { PodBinding } from '../model/binding.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import { formatFieldPath } from '../model/source-ref.ts';
import type { Store } from '../source/store.ts';
import { LineLimit } from './line-limit.ts';
import type { Logger } from './logger.ts';
import { podsBehind } from './status.ts';

/** Lines about applies and about repairs each: then one every ten seconds. */
const burst = 100;
const pauseMs = 10_000;

/**
 * Tells the log what changed, once per change: states are compared, so a problem that stays is said once. What may
 * change many times a second is said now and then.
 */
export class Reporter {
  readonly #logger: Logger;
  readonly #applied = new LineLimit({ burst, pauseMs });
  readonly #drift = new LineLimit({ burst, pauseMs });
  readonly #said = new Map<string, string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Refusals of the node, pods that stay closed, and the node's own failures. */
  controller(status: ControllerStatus): void {
    this.#replace(
      'refusal',
      status.refusals,
      ({ code }) => code,
      (refusal) => {
        this.#logger[refusal.severity === 'refuse' ? 'error' : 'warn'](refusal, `${refusal.seen}: ${refusal.why}`);
      },
    );
    this.#replace(
      'interface',
      status.interfaceProblems,
      ({ pod, uid, code }) => `${pod} ${uid} ${code}`,
      (problem) => {
        const level = problem.code === 'pod-without-address' ? 'info' : 'warn';
        this.#logger[level](problem, problem.message);
      },
    );
    this.#once('settings', status.settingsRepaired === 0 ? undefined : String(status.settingsRepaired), () =>
      this.#logger.warn(
        { settingsRepaired: status.settingsRepaired },
        'bridge-nf-call was off: packets between pods of one bridge would have bypassed every rule; switched on',
      ),
    );
    this.#once('host', status.hostProblem, (message) => this.#logger.error({ message }, 'cannot observe the node'));
  }

  /** Attempts, problems and repairs. */
  enforcer(status: EnforcerStatus, bindings: readonly PodBinding[] = []): void {
    this.#replace(
      'apply',
      status.problems,
      (problem) => JSON.stringify(problem),
      (problem) => {
        const pods = podsBehind(problem.closed, bindings).map(({ pod }) => pod);
        this.#logger.error({ ...problem, pods }, `not in the kernel: ${problem.message}`);
      },
    );
    const { driftRepaired, appliedGeneration: generation, tables } = status;
    this.#once('drift', driftRepaired === 0 ? undefined : String(driftRepaired), () =>
      this.#drift.take(() =>
        this.#logger.warn({ driftRepaired }, 'the tables were changed by somebody else; repaired'),
      ),
    );
    this.#once('applied', generation === 0 ? undefined : String(generation), () =>
      this.#applied.take((skipped) =>
        this.#logger.info({ generation, tables, ...(skipped > 0 && { unsaid: skipped }) }, 'applied'),
      ),
    );
  }

  /** What is wrong with the objects of one scope. */
  objects(store: Store, scope: string): void {
    for (const diagnostic of store.diagnostics().get(scope) ?? []) {
      const { severity, message, ...fields } = diagnostic;
      const where = whereOf(diagnostic);
      this.#logger[severity === 'error' ? 'error' : 'warn'](
        { scope, ...fields },
        where === '' ? message : `${where}: ${message}`,
      );
    }
  }

  #replace<T extends object>(
    topic: string,
    items: readonly T[],
    key: (item: T) => string,
    say: (item: T) => void,
  ): void {
    const keys = new Set(items.map(key));
    for (const item of items) this.#once(`${topic} ${key(item)}`, 'there', () => say(item));
    for (const said of this.#said.keys()) {
      if (said.startsWith(`${topic} `) && !keys.has(said.slice(topic.length + 1))) this.#said.delete(said);
    }
  }

  #once(topic: string, value: string | undefined, say: (value: string) => void): void {
    if (this.#said.get(topic) === value) return;
    if (value === undefined) this.#said.delete(topic);
    else {
      this.#said.set(topic, value);
      say(value);
    }
  }
}

/** The place in a file, or object and field. */
function whereOf({ span, object, path = [] }: Diagnostic): string {
  if (span !== undefined) return `${span.file}:${span.start.line}:${span.start.column}`;
  return [object ?? '', formatFieldPath(path)].filter((part) => part !== '').join(' ');
}
