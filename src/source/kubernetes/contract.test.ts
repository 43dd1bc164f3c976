import { TestApiServer } from '../../../test/api-server/server.ts';
import type { Plural } from '../../../test/api-server/truth.ts';
import { describeSource } from '../source.contract.ts';
import type { RawManifest, SourceHarness } from '../source.contract.ts';
import { httpsAccess } from './https-access.ts';
import { jsonCodec } from './json-codec.ts';
import { KubernetesSource } from './kubernetes-source.ts';
import { podProtobufCodec } from './protobuf-codec.ts';
import { resourceOf } from './resource.ts';

const plurals: ReadonlyMap<string, Plural> = new Map<string, Plural>([
  ['Pod', 'pods'],
  ['Namespace', 'namespaces'],
  ['NetworkPolicy', 'networkpolicies'],
]);

for (const [watchList, protobuf] of [
  [true, false],
  [false, false],
  [true, true],
  [false, true],
] as const) {
  const lists = watchList ? 'streamed' : 'in pages';
  describeSource(`the API server source, lists ${lists}, pods as ${protobuf ? 'protobuf' : 'JSON'},`, (initial) =>
    create(initial, watchList, protobuf),
  );
}

async function create(initial: readonly RawManifest[], watchList: boolean, protobuf: boolean): Promise<SourceHarness> {
  const server = new TestApiServer({ bookmarkMs: 50 });
  server.watchList = watchList;
  await server.start();
  const { truth } = server;
  const apply = (objects: readonly RawManifest[]): Promise<void> => {
    for (const object of objects) {
      const { name, namespace, uid } = object.metadata;
      const plural = plurals.get(object.kind)!;
      const existing = truth.get(plural, name, namespace);
      if (existing?.metadata.uid === uid) truth.update(plural, object);
      else {
        if (existing !== undefined) truth.delete(plural, name, namespace);
        truth.create(plural, object);
      }
    }
    return Promise.resolve();
  };
  await apply(initial);
  const access = httpsAccess(server.url, {
    read: () =>
      Promise.resolve({ tls: { ca: server.authority.cert }, headers: { authorization: 'Bearer test-token' } }),
    invalidate: () => undefined,
  });
  return {
    source: new KubernetesSource({
      access,
      resources: [resourceOf('Pod'), resourceOf('Namespace'), resourceOf('NetworkPolicy')],
      deadlines: { spreadMs: 0, backoffFirstMs: 10, backoffMaxMs: 40 },
      pageSize: 2,
      codec: (resource) => (protobuf && resource.kind === 'Pod' ? podProtobufCodec() : jsonCodec(resource)),
    }),
    apply,
    delete: (objects) => {
      for (const { kind, metadata } of objects) truth.delete(plurals.get(kind)!, metadata.name, metadata.namespace);
      return Promise.resolve();
    },
    corrupt: (object) => {
      const { name, namespace } = object.metadata;
      truth.update(plurals.get(object.kind)!, { ...object, metadata: { name, namespace }, spec: 17 });
      return Promise.resolve();
    },
    fail: () => server.stop(),
    recover: () => server.start(),
    close: async () => {
      access.close();
      await server.stop();
    },
  };
}
