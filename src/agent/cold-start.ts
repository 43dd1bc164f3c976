import { NftError } from 'nftables-json';
import type { Executor } from 'nftables-json';

import { requiredKinds } from '../controller/controller.ts';
import type { Clock } from '../enforcer/clock.ts';
import { readDataplane } from '../enforcer/readback.ts';
import type { ModelObject } from '../model/snapshot.ts';
import type { Source } from '../source/source.ts';
import type { Store } from '../source/store.ts';
import type { Logger } from './logger.ts';
import { readState, stateFile, writeState } from './state-file.ts';

/** Parts of {@link keepState} and {@link findState}. */
export interface StateOptions {
  readonly directory: string;
  readonly node: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

const lookMs = 1_000;
const minGapMs = 30_000;
/** A write takes at most one part in this many of the time. */
const gapPerWrite = 100;
/** A write that took longer is not begun while stopping. */
const longestLastWriteMs = 500;

/**
 * Writes the objects down while they change, at most every 30 seconds, and once more at the end; only what is in the
 * kernel (`settled`), so that a cold start never begins with something that could not be applied. A disk that fails is
 * reported and stops nothing.
 */
export async function keepState(options: StateOptions, settled: () => boolean, signal: AbortSignal): Promise<void> {
  const { store, clock } = options;
  let written = -1;
  let dueAt = 0;
  let tookMs = 0;
  let failing = false;
  const writeIfChanged = async (): Promise<void> => {
    const { generation } = store.snapshot();
    if (!settled() || generation === written) return;
    const begin = clock.now();
    failing = !(await tryToWrite(options, failing));
    tookMs = clock.now() - begin;
    if (!failing) written = generation;
    dueAt = clock.now() + Math.max(minGapMs, gapPerWrite * tookMs);
  };
  while (!signal.aborted) {
    await clock.sleep(lookMs, signal);
    if (!signal.aborted && clock.now() >= dueAt) await writeIfChanged();
  }
  if (tookMs <= longestLastWriteMs) await writeIfChanged();
}

/** False if the file system failed; that is said once. */
async function tryToWrite({ directory, node, store, logger }: StateOptions, said: boolean): Promise<boolean> {
  const { namespaces, nodes, pods, policies } = store.snapshot();
  const objects: ModelObject[] = [...namespaces.values(), ...nodes.values(), ...policies.values(), ...pods.values()];
  try {
    const result = await writeState(stateFile(directory), node, objects);
    if (result.kind === 'too-large') {
      logger.warn(result, 'the objects are too large to be kept for a cold start; the older ones stay on disk');
    } else logger.debug({ objects: objects.length, bytes: result.bytes }, 'objects kept for a cold start');
    return true;
  } catch (error) {
    if (!said) logger.warn({ err: error, directory }, 'the objects cannot be kept for a cold start');
    return false;
  }
}

/** How long after the start a source may take before it counts as gone, in milliseconds. */
const patienceMs = 15_000;
/** The same for a source that says what is wrong. */
const troubledPatienceMs = 3_000;

/**
 * Waits until the source is in sync, and answers nothing; or, if it stays away while the kernel holds no rules of
 * ours, or loses them, answers the objects kept on disk. Rules that are in the kernel are never replaced by older
 * objects: they stay.
 */
export async function findState(
  options: StateOptions,
  source: Pick<Source, 'health'>,
  executor: Executor,
  signal: AbortSignal,
): Promise<readonly ModelObject[] | undefined> {
  const { store, clock, logger, node, directory } = options;
  const begin = clock.now();
  let waiting: string;
  for (;;) {
    if (signal.aborted || store.inSync(requiredKinds)) return undefined;
    const waitedMs = clock.now() - begin;
    const troubled = source.health().some(({ synced, problem }) => !synced && problem !== undefined);
    waiting = troubled ? 'no API server answers' : 'the API server has not sent all objects yet';
    if (waitedMs >= (troubled ? troubledPatienceMs : patienceMs)) break;
    await clock.sleep(250, signal);
  }
  if (!(await untilRulesAreGone(options, waiting, executor, signal))) return undefined;
  const state = await readState(stateFile(directory), node);
  if (state.kind !== 'read') {
    const why = state.kind === 'absent' ? 'no objects were kept' : `the objects kept cannot be used: ${state.why}`;
    logger.error({ directory }, `${waiting}, the kernel holds no rules, and ${why}: this node is OPEN`);
    return undefined;
  }
  logger.warn(
    { savedAt: state.savedAt, objects: state.objects.length },
    `${waiting} and the kernel holds no rules: enforcing the objects kept on disk; unknown pods are closed`,
  );
  return state.objects;
}

/** Between looks whether a stranger has taken the rules away, in milliseconds. */
const rulesLookMs = 10_000;
/** A look takes at most one part in this many of the time. */
const gapPerLook = 50;

/** Waits until the kernel holds no rules of ours, and answers true; false if the source comes into sync before. */
async function untilRulesAreGone(
  { store, clock, logger }: StateOptions,
  waiting: string,
  executor: Executor,
  signal: AbortSignal,
): Promise<boolean> {
  let said = '';
  const say = (fields: object, message: string): void => {
    if (message !== said) logger.warn(fields, message);
    said = message;
  };
  while (!signal.aborted && !store.inSync(requiredKinds)) {
    const begin = clock.now();
    try {
      if (!(await readDataplane(executor, { signal })).has('inet')) return !store.inSync(requiredKinds);
      say({}, `${waiting}; the rules in the kernel stay as they are`);
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof NftError)) throw error;
      say({ err: error }, `${waiting}, and the kernel cannot be read; nothing is written`);
    }
    await clock.sleep(Math.max(rulesLookMs, gapPerLook * (clock.now() - begin)), signal);
  }
  return false;
}

/** Puts objects into a store as complete lists. Whoever shall hear of them must listen before. */
export function fillStore(store: Store, objects: readonly ModelObject[]): void {
  for (const kind of ['Node', ...requiredKinds] as const) {
    store.beginList(kind);
    for (const object of objects) if (object.kind === kind) store.upsert(object);
    store.endList(kind);
  }
}
