/** Runs the steps of a plan and says what a failure means for the next attempt. */
import { NftError } from 'nftables-json';
import type { CallOptions, Executor } from 'nftables-json';

import { assertNever } from '../model/assert.ts';
import type { Step } from './plan.ts';

/**
 * What to do about a failure.
 * - `surprise`: the kernel holds something else than we think: read it back and plan again.
 * - `outcome-unknown`: it may or may not have happened: read it back.
 * - `unavailable`: the kernel cannot be reached now: wait.
 * - `refused`: this change is wrong in itself: find the objects at fault.
 */
export type Failure = 'surprise' | 'outcome-unknown' | 'unavailable' | 'refused';

/** Classifies an error of `run` or `check`. */
export function classifyFailure(error: NftError): Failure {
  switch (error.code) {
    case 'not-found':
    case 'exists':
    case 'busy':
      return 'surprise';
    case 'timeout':
    case 'crashed':
    case 'mixed-versions':
    case 'table-unreadable':
      return 'outcome-unknown';
    case 'permission':
    case 'nft-missing':
    case 'system':
      return 'unavailable';
    case 'invalid':
    case 'unsupported':
    case 'full':
    case 'unknown':
      return 'refused';
    default:
      return assertNever(error.code);
  }
}

/** Told before and after every write, so that a watcher can tell our changes from others'. */
export interface WriteListener {
  willWrite(): void;
  didWrite(applied: boolean): void;
}

/** How `applySteps` ended; `completed` steps are in the kernel. */
export type Application =
  | { readonly kind: 'applied'; readonly completed: number }
  | { readonly kind: 'failed'; readonly completed: number; readonly step: Step; readonly error: NftError };

/**
 * Runs the steps in order and stops at the first failure: a later step relies on the earlier ones.
 * @throws whatever is not an NftError: the reason of an aborted signal, or a defect of ours.
 */
export async function applySteps(
  executor: Executor,
  steps: readonly Step[],
  options: CallOptions & { readonly listener?: WriteListener } = {},
): Promise<Application> {
  const { listener, ...call } = options;
  let completed = 0;
  for (const step of steps) {
    listener?.willWrite();
    let applied = false;
    try {
      await executor.run(step.transaction, call);
      applied = true;
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      return { kind: 'failed', completed, step, error };
    } finally {
      listener?.didWrite(applied);
    }
    completed++;
  }
  return { kind: 'applied', completed };
}

/** Delay before attempt `attempt + 1`, from 1: 50 ms doubling up to 5 s, with up to half of it taken off by `random`. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(5_000, 50 * 2 ** (attempt - 1));
  return full * (1 - random / 2);
}
