import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import type { Encoding } from './encoding.ts';
import type { Fault } from './faults.ts';
import { reset, sendStatus, trickle } from './reply.ts';
import { fieldFilter, labelFilter } from './selectors.ts';
import type { Plural, StoredObject, Truth } from './truth.ts';
import { collections } from './truth.ts';

interface Snapshot {
  readonly revision: number;
  readonly objects: readonly StoredObject[];
}

/** Consistent reads in pages: later pages show the state of the first. */
export class Pages {
  readonly #truth: Truth;
  readonly #snapshots = new Map<string, Snapshot>();

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** Makes every continue token Expired. */
  expire(): void {
    this.#snapshots.clear();
  }

  /** Answers a LIST. */
  async answer(
    response: ServerResponse,
    plural: Plural,
    namespace: string | undefined,
    query: URLSearchParams,
    fault: Fault | undefined,
    encoding: Encoding,
  ): Promise<void> {
    const wanted = Number(query.get('resourceVersion') ?? '0');
    if (wanted > this.#truth.revision) {
      const message = `Too large resource version: ${wanted}, current: ${this.#truth.revision}`;
      const details = {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      };
      sendStatus(response, 504, 'Timeout', message, { details });
      return;
    }
    const [id = '', position = '0'] = (query.get('continue') ?? '').split('.');
    const snapshot = id === '' ? this.#read(plural, namespace, query) : this.#snapshots.get(id);
    if (snapshot === undefined || snapshot.revision < this.#truth.compacted) {
      sendStatus(
        response,
        410,
        'Expired',
        'The provided continue parameter is too old to display a consistent list result.',
      );
      return;
    }
    const from = Number(position);
    const limit = Number(query.get('limit') ?? '0') || snapshot.objects.length;
    const rest = snapshot.objects.length - from - limit;
    const token = rest > 0 ? `${id === '' ? this.#keep(snapshot) : id}.${from + limit}` : undefined;
    await send(response, encoding.object(body(plural, snapshot, from, limit, token)), fault, encoding);
  }

  #read(plural: Plural, namespace: string | undefined, query: URLSearchParams): Snapshot {
    const passes = [fieldFilter(query.get('fieldSelector')), labelFilter(query.get('labelSelector'))];
    const objects = this.#truth
      .list(plural)
      .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
      .filter((object) => passes.every((pass) => pass(object)));
    return { revision: this.#truth.revision, objects };
  }

  #keep(snapshot: Snapshot): string {
    const id = randomUUID();
    this.#snapshots.set(id, snapshot);
    return id;
  }
}

function body(plural: Plural, snapshot: Snapshot, from: number, limit: number, token: string | undefined): object {
  const type = collections.get(plural);
  const left = snapshot.objects.length - from - limit;
  // Items of a list carry neither kind nor apiVersion.
  const items = snapshot.objects
    .slice(from, from + limit)
    .map(({ kind: _kind, apiVersion: _version, ...rest }) => rest);
  const metadata = {
    resourceVersion: String(snapshot.revision),
    ...(token !== undefined && { continue: token, remainingItemCount: left }),
  };
  return { kind: `${type?.kind}List`, apiVersion: type?.apiVersion, metadata, items };
}

async function send(
  response: ServerResponse,
  bytes: Buffer,
  fault: Fault | undefined,
  encoding: Encoding,
): Promise<void> {
  response.writeHead(200, { 'content-type': encoding.listType });
  const half = bytes.subarray(0, bytes.length >> 1);
  switch (fault?.kind) {
    case 'reset':
      response.write(half, () => reset(response));
      return;
    case 'stall':
      response.write(half);
      return;
    case 'truncate':
      response.end(half);
      return;
    case 'garbage':
      response.end('<html>Bad Gateway</html>');
      return;
    default:
      await trickle(response, bytes, fault);
      response.end();
  }
}
