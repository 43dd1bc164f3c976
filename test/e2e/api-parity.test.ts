/** The table by which the decoder is judged, asked of a real server again. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { KubeAccess } from '../../src/source/kubernetes/access.ts';
import parity from '../../src/model/decode/api-parity.json' with { type: 'json' };
import { decodeObject } from '../../src/model/decode/object.ts';
import { RealApiServer, whyNoRealServer } from '../api-server/real-server.ts';
import { RestClient, RestError } from '../api-server/rest-client.ts';
import { arbPolicy, policyObject } from '../property/generators/policies.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const why = whyNoRealServer(assets);

const source = { kind: 'cluster', resourceVersion: '1' } as const;

/** What is strict about them is in the text of the request, which the table does not keep. */
const textual: readonly string[] = ['duplicate key'];

describe.skipIf(why !== undefined)(
  `what a real server says to policies${why === undefined ? '' : ` (skipped: ${why})`}`,
  () => {
    let server: RealApiServer;
    let access: KubeAccess;
    let client: RestClient;

    beforeAll(async () => {
      server = await RealApiServer.start({ assets: assets ?? '' });
      access = server.access();
      client = new RestClient(access);
    });
    afterAll(async () => {
      access?.close();
      await server?.stop();
    });

    /** The stored spec, or `undefined` if the object was refused. */
    const post = async (object: object, fieldValidation: string): Promise<unknown> => {
      const path = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
      const query = `dryRun=All&fieldValidation=${fieldValidation}`;
      try {
        return (
          (await client.send('POST', `${path}?${query}`, object as Record<string, unknown>)) as {
            readonly spec: unknown;
          }
        ).spec;
      } catch (error) {
        if (error instanceof RestError && [400, 422].includes(error.status)) return undefined;
        throw error;
      }
    };

    test.each(parity)('$case', async ({ case: name, object, accepted, strict, storedSpec }) => {
      const stored = await post(object, 'Ignore');
      expect(stored !== undefined).toBe(accepted);
      if (storedSpec !== undefined) expect(stored).toEqual(storedSpec);
      if (!textual.includes(name)) expect((await post(object, 'Strict')) !== undefined).toBe(strict);
    });

    test('generated policies are refused where the decoder complains, and stored as it reads them', async () => {
      await fc.assert(
        fc.asyncProperty(arbPolicy({ invalid: true }), async (draft) => {
          const object = policyObject(0, { ...draft, namespace: 'default' });
          const stored = await post(object, 'Strict');
          const read = decodeObject(object, source);
          expect(stored !== undefined, JSON.stringify(object)).toBe(read.diagnostics.length === 0);
          if (stored !== undefined) expect(decodeObject({ ...object, spec: stored }, source)).toEqual(read);
        }),
        { numRuns: 500 },
      );
    });
  },
);
