import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { decodeObject } from '../../src/model/decode/object.ts';
import type { KubeAccess } from '../../src/source/kubernetes/access.ts';
import { httpsAccess } from '../../src/source/kubernetes/https-access.ts';
import type { Codec } from '../../src/source/kubernetes/codec.ts';
import type { Deadlines } from '../../src/source/kubernetes/deadlines.ts';
import { jsonCodec } from '../../src/source/kubernetes/json-codec.ts';
import { KubernetesSource } from '../../src/source/kubernetes/kubernetes-source.ts';
import { podProtobufCodec } from '../../src/source/kubernetes/protobuf-codec.ts';
import { policedPods, resourceOf } from '../../src/source/kubernetes/resource.ts';
import type { Resource } from '../../src/source/kubernetes/resource.ts';
import { sameContent } from '../../src/source/same-content.ts';
import { CheckedSink } from '../api-server/checked-sink.ts';
import { denyAllObject, podObject } from '../api-server/objects-for-tests.ts';
import { between, pick, seededRandom } from '../api-server/random.ts';
import { RealApiServer, whyNoRealServer } from '../api-server/real-server.ts';
import { RestClient, RestError } from '../api-server/rest-client.ts';
import { TestApiServer } from '../api-server/server.ts';
import type { Plural } from '../api-server/truth.ts';

interface Served {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  restart(): Promise<void>;
  /** Runs `lost`, which afterwards never happened: the server comes back from a backup made before. */
  forget?(lost: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

const assets = process.env['KUBEBUILDER_ASSETS'];
const noRealServer = whyNoRealServer(assets);

describeServer('the test API server', undefined, async () => {
  const server = new TestApiServer();
  await server.start();
  return {
    url: server.url,
    ca: server.authority.cert,
    token: 'test-token',
    restart: () => server.restart(),
    stop: () => server.stop(),
  };
});

describeServer('a real kube-apiserver', noRealServer, async () => {
  const server = await RealApiServer.start({ assets: assets ?? '' });
  return {
    url: server.url,
    ca: server.ca,
    token: server.token,
    restart: () => server.restart(),
    forget: async (lost) => {
      await server.backUp();
      await lost();
      await server.restore();
    },
    stop: () => server.stop(),
  };
});

function describeServer(name: string, skip: string | undefined, serve: () => Promise<Served>): void {
  describe.skipIf(skip !== undefined)(`the source on ${name}${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
    let server: Served;
    let access: KubeAccess;
    let client: RestClient;
    let sink: CheckedSink;
    let source: KubernetesSource;
    let abort: AbortController;
    let running: Promise<void>;
    let namespace: string;
    let tests = 0;

    beforeAll(async () => {
      server = await serve();
      access = httpsAccess(server.url, {
        read: () => Promise.resolve({ tls: { ca: server.ca }, headers: { authorization: `Bearer ${server.token}` } }),
        invalidate: () => undefined,
      });
      client = new RestClient(access);
    });

    afterAll(async () => {
      access.close();
      await server.stop();
    });

    beforeEach(async () => {
      namespace = `test-${(tests += 1)}`;
      await client.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      sink = new CheckedSink();
      abort = new AbortController();
      running = Promise.resolve();
    });

    afterEach(async () => {
      abort.abort();
      await running;
      expect(sink.violations).toEqual([]);
    });

    const follow = async (
      through: KubeAccess = access,
      deadlines: Partial<Deadlines> = {},
      codec: (resource: Resource) => Codec = jsonCodec,
    ): Promise<void> => {
      source = new KubernetesSource({
        access: through,
        resources: [resourceOf('Pod', policedPods), resourceOf('Namespace'), resourceOf('NetworkPolicy')],
        deadlines: { spreadMs: 100, backoffFirstMs: 50, backoffMaxMs: 1000, ...deadlines },
        pageSize: 3,
        codec,
      });
      running = source.run(sink, abort.signal);
      await vi.waitFor(() => expect(sink.store.inSync(['Pod', 'Namespace', 'NetworkPolicy'])).toBe(true), 60_000);
    };

    const createPod = (name: string, labels = {}): Promise<unknown> =>
      client.create('pods', podObject({ name, namespace, labels })).then(() => setStatus(name, 'Running'));

    const setStatus = (name: string, phase: string): Promise<unknown> =>
      client.patch(
        'pods',
        name,
        namespace,
        { status: { phase, podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] } },
        'status',
      );

    const names = (): string[] =>
      [...sink.store.snapshot().pods.values()]
        .filter((pod) => pod.namespace === namespace)
        .map(({ name }) => name)
        .sort();

    const eventually = (check: () => void | Promise<void>): Promise<void> =>
      vi.waitFor(check, { timeout: 60_000, interval: 50 });

    const agrees = async (): Promise<void> => {
      const wrong: string[] = [];
      for (const plural of ['pods', 'namespaces', 'networkpolicies'] as const)
        wrong.push(...(await differences(plural, client, sink)));
      expect(wrong).toEqual([]);
    };

    test('lists what there is, then follows it', async () => {
      for (const name of ['a', 'b', 'c', 'd']) await createPod(name);
      await client.create('networkpolicies', denyAllObject('deny', namespace));
      await follow();
      expect(names()).toEqual(['a', 'b', 'c', 'd']);
      await agrees();
      await createPod('e', { app: 'web' });
      await client.patch('pods', 'a', namespace, { metadata: { labels: { app: 'changed' } } });
      await client.delete('pods', 'b', namespace);
      await eventually(agrees);
      expect(names()).toEqual(['a', 'c', 'd', 'e']);
      expect(sink.lists('Pod')).toBe(1);
    });

    test('pods as protobuf are the same as in JSON', async () => {
      for (const name of ['a', 'b', 'c']) await createPod(name, { app: name });
      await follow(access, {}, (resource) => (resource.kind === 'Pod' ? podProtobufCodec() : jsonCodec(resource)));
      await createPod('d');
      await client.patch('pods', 'a', namespace, { metadata: { labels: { app: 'changed', more: '' } } });
      await client.delete('pods', 'b', namespace);
      await eventually(agrees);
      expect(names()).toEqual(['a', 'c', 'd']);
    });

    test('lists in pages when streamed lists are refused on the way', async () => {
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await createPod(name);
      await follow(withoutStreamedLists(access));
      await agrees();
      await createPod('h');
      await eventually(agrees);
    });

    test('a pod that ends leaves, and a name that is reused is another pod', async () => {
      await createPod('a');
      await createPod('b');
      await follow();
      const before = sink.store.snapshot().pods.size;
      await setStatus('a', 'Succeeded');
      await eventually(() => expect(sink.store.snapshot().pods.size).toBe(before - 1));
      await client.delete('pods', 'b', namespace);
      await createPod('b', { app: 'second' });
      await eventually(agrees);
    });

    test('a restart of the server loses and invents nothing', async () => {
      for (const name of ['a', 'b', 'c']) await createPod(name);
      await follow();
      const random = seededRandom(7);
      let restarted: Promise<void> | undefined;
      for (let step = 0; step < 120; step++) {
        if (step === 60) restarted = server.restart();
        await whileAway(() => change(pick(random, ['a', 'b', 'c', 'd', 'e']), between(random, 0, 9)));
      }
      await restarted;
      await eventually(agrees);
      expect(source.health().map(({ synced }) => synced)).toEqual([true, true, true]);
    });

    test('a server restored from a backup is believed, though its versions are older than ours', async ({ skip }) => {
      skip(server.forget === undefined, 'the server made for tests is restored in reflector-chaos.test.ts');
      for (const name of ['a', 'b', 'c']) await createPod(name);
      // A watch from a version of the future is silent: only the deadline ends it.
      await follow(access, { stallMs: 15_000 });
      await server.forget?.(async () => {
        await client.patch('pods', 'a', namespace, { metadata: { labels: { app: 'lost' } } });
        await client.delete('pods', 'b', namespace);
        for (let i = 0; i < 50; i++) await createPod(`lost-${i}`);
        await eventually(agrees);
      });
      await eventually(agrees);
      expect(names()).toEqual(['a', 'b', 'c']);
    });

    /** One write that depends on what is there; refusals for being too early or too late are part of it. */
    async function change(name: string, value: number): Promise<void> {
      try {
        if (value === 0) await client.delete('pods', name, namespace);
        else if (value < 4) await createPod(name, { value: `v${value}` });
        else await client.patch('pods', name, namespace, { metadata: { labels: { value: `v${value}` } } });
      } catch (error) {
        if (!(error instanceof RestError) || ![404, 409].includes(error.status)) throw error;
      }
    }
  });
}

/** Repeats what fails because nobody answers. */
async function whileAway(write: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await write();
      return;
    } catch (error) {
      if (attempt > 200 || (error instanceof RestError && error.status < 500)) throw error;
      await sleep(200);
    }
  }
}

/** What a proxy in front of an older server would do. */
function withoutStreamedLists(access: KubeAccess): KubeAccess {
  return {
    ...access,
    request: (request) => {
      if (request.query?.get('sendInitialEvents') !== 'true') return access.request(request);
      const status = { kind: 'Status', code: 422, reason: 'Invalid', message: 'sendInitialEvents: Forbidden' };
      const bytes = Buffer.from(JSON.stringify(status));
      return Promise.resolve({
        status: 422,
        headers: {},
        body: (async function* () {
          yield bytes;
        })(),
      });
    },
  };
}

async function differences(plural: Plural, client: RestClient, sink: CheckedSink): Promise<string[]> {
  const snapshot = sink.store.snapshot();
  const maps = { pods: snapshot.pods, namespaces: snapshot.namespaces, networkpolicies: snapshot.policies };
  const stored = new Map(
    [...maps[plural as keyof typeof maps].values()].map((object) => [object.uid, object] as const),
  );
  const wrong: string[] = [];
  for (const raw of await client.list(plural)) {
    const { object } = decodeObject(raw, { kind: 'cluster', resourceVersion: '' });
    if (object === undefined || (object.kind === 'Pod' && ['Succeeded', 'Failed'].includes(object.phase))) continue;
    if (!sameContent(object, stored.get(object.uid))) wrong.push(`${plural} ${object.uid} differs`);
    stored.delete(object.uid);
  }
  return [...wrong, ...[...stored.keys()].map((uid) => `${plural} ${uid} is not there`)];
}
