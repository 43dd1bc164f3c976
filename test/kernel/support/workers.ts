import { runCase } from './run-case.ts';
import type { Job, JobResult } from './run-case.ts';
import { Rig } from './rig.ts';
import { modes } from './selection.ts';

/** Most of a job is waiting for silence, so two rigs of each kind keep two processors busy. */
const rigsPerMode = 2;

/** Rigs of both kinds that work through jobs, and answer each when it is done. */
export class Workers implements AsyncDisposable {
  readonly #rigs: readonly Rig[];
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  private constructor(rigs: readonly Rig[]) {
    this.#rigs = rigs;
  }

  /** Makes the rigs. Throws where labs cannot be made. */
  static async create(): Promise<Workers> {
    const made = await Promise.allSettled(
      modes.flatMap((mode) => Array.from({ length: rigsPerMode }, () => Rig.create(mode))),
    );
    const rigs = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = made.find((one) => one.status === 'rejected');
    if (failed === undefined) return new Workers(rigs);
    for (const rig of rigs) await rig.lab.close();
    throw failed.reason;
  }

  /** Starts the jobs in order. A promise for each; one that fails does not hold up the others. */
  start(jobs: readonly Job[]): ReadonlyMap<Job, Promise<JobResult>> {
    const waiting = [...jobs];
    const done = new Map(jobs.map((job) => [job, Promise.withResolvers<JobResult>()]));
    const work = async (rig: Rig): Promise<void> => {
      for (;;) {
        const at = waiting.findIndex((job) => job.mode === rig.mode);
        const [job] = at < 0 || this.#stopped ? [] : waiting.splice(at, 1);
        if (job === undefined) return;
        const { conformanceCase, node, mode } = job;
        const promise = runCase(rig, job).catch((cause: unknown) => {
          throw new Error(`${conformanceCase.case} on ${mode} ${node}: ${String(cause)}`, { cause });
        });
        done.get(job)?.resolve(promise);
        await Promise.allSettled([promise]);
      }
    };
    this.#running = Promise.all(this.#rigs.map(work));
    return new Map([...done].map(([job, { promise }]) => [job, promise]));
  }

  /** Lets the jobs in hand end, and removes the rigs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
    for (const rig of this.#rigs) await rig.lab.close();
  }
}
