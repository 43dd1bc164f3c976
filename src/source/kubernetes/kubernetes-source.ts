import { decodeObject } from '../../model/decode/object.ts';
import type { ResourceKind, Source, SourceHealth, SourceSink } from '../source.ts';
import type { KubeAccess } from './access.ts';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import type { Codec } from './codec.ts';
import type { ReflectorCounters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import { defaultDeadlines } from './deadlines.ts';
import type { Decode } from './intake.ts';
import { jsonCodec } from './json-codec.ts';
import { Reflector } from './reflector.ts';
import type { Resource } from './resource.ts';

/** What a {@link KubernetesSource} follows, and how. */
export interface KubernetesSourceOptions {
  readonly access: KubeAccess;
  /** One reflector each; no kind twice. */
  readonly resources: readonly Resource[];
  readonly deadlines?: Partial<Deadlines>;
  readonly clock?: Clock;
  /** A number in [0, 1). */
  readonly random?: () => number;
  readonly decode?: Decode;
  readonly codec?: (resource: Resource) => Codec;
  /** Objects per page; 500. */
  readonly pageSize?: number;
}

/** Objects from an API server: one reflector per kind over one access. */
export class KubernetesSource implements Source {
  readonly #options: KubernetesSourceOptions;
  #reflectors: readonly Reflector[] = [];

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
  }

  async run(sink: SourceSink, signal: AbortSignal): Promise<void> {
    const { access, resources, codec, decode, clock, random, deadlines, pageSize } = this.#options;
    this.#reflectors = resources.map(
      (resource) =>
        new Reflector({
          resource,
          access,
          sink,
          codec: codec?.(resource) ?? jsonCodec(resource),
          decode: decode ?? decodeObject,
          clock: clock ?? systemClock,
          random: random ?? Math.random,
          deadlines: { ...defaultDeadlines, ...deadlines },
          pageSize: pageSize ?? 500,
        }),
    );
    await Promise.all(this.#reflectors.map((reflector) => reflector.run(signal)));
  }

  health(): readonly SourceHealth[] {
    const running = this.#reflectors.map((reflector) => reflector.health());
    if (running.length > 0) return running;
    return this.#options.resources.map(({ kind }) => ({ kind, state: 'init', synced: false }));
  }

  /** What each reflector did so far. Live: read again for newer figures. */
  counters(): ReadonlyMap<ResourceKind, ReflectorCounters> {
    return new Map(
      this.#options.resources.flatMap(({ kind }, i) => {
        const counters = this.#reflectors[i]?.counters;
        return counters === undefined ? [] : [[kind, counters] as const];
      }),
    );
  }
}
