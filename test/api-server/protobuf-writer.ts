/**
 * Writes API objects as the server's protobuf: field numbers from the generated.proto files of k8s.io/apimachinery and
 * k8s.io/api, written down apart from those of the reader, so that the two can disagree.
 */

type Json = Readonly<Record<string, unknown>>;

/** `k8s\0` and an Unknown that holds the object. */
export function encodeObject(object: Json): Buffer {
  const type = Buffer.concat([string(1, object['apiVersion']), string(2, object['kind'])]);
  return Buffer.concat([
    Buffer.from('k8s\0'),
    bytes(1, type),
    bytes(2, encodeBody(object)),
    string(3, ''),
    string(4, ''),
  ]);
}

/** One event of a watch: its length, then a WatchEvent. */
export function encodeEvent(type: string, object: Json): Buffer {
  const event = Buffer.concat([string(1, type), bytes(2, bytes(1, encodeObject(object)))]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(event.length);
  return Buffer.concat([size, event]);
}

function encodeBody(object: Json): Buffer {
  switch (object['kind']) {
    case 'Status':
      return status(object);
    case 'PodList': {
      const meta = object['metadata'] as Json;
      const items = object['items'] as readonly Json[];
      const left = meta['remainingItemCount'];
      return Buffer.concat([
        bytes(1, Buffer.concat([string(2, meta['resourceVersion']), string(3, meta['continue']), varint(4, left)])),
        ...items.map((item) => bytes(2, pod(item))),
      ]);
    }
    case 'Pod':
      return pod(object);
    default:
      throw new Error(`no protobuf for ${String(object['kind'])}`);
  }
}

function status(object: Json): Buffer {
  const details = (object['details'] ?? {}) as Json;
  const causes = (details['causes'] ?? []) as readonly Json[];
  return Buffer.concat([
    bytes(1, Buffer.alloc(0)),
    string(2, object['status']),
    string(3, object['message']),
    string(4, object['reason']),
    bytes(
      5,
      Buffer.concat([
        ...causes.map((cause) => bytes(4, Buffer.concat([string(1, cause['reason']), string(2, cause['message'])]))),
        varint(5, details['retryAfterSeconds']),
      ]),
    ),
    varint(6, object['code']),
  ]);
}

function pod(object: Json): Buffer {
  const spec = (object['spec'] ?? {}) as Json;
  const state = (object['status'] ?? {}) as Json;
  return Buffer.concat([
    bytes(1, metadata((object['metadata'] ?? {}) as Json)),
    bytes(
      2,
      Buffer.concat([
        ...items(spec['containers']).map((entry) => bytes(2, container(entry))),
        string(3, 'Always'),
        string(10, spec['nodeName']),
        varint(11, spec['hostNetwork'] === true ? 1 : 0),
        string(19, 'default-scheduler'),
        ...items(spec['initContainers']).map((entry) => bytes(20, container(entry))),
      ]),
    ),
    bytes(
      3,
      Buffer.concat([
        string(1, state['phase']),
        bytes(2, Buffer.concat([string(1, 'Ready'), string(2, 'True')])),
        string(5, '192.0.2.1'),
        string(6, state['podIP']),
        string(9, 'BestEffort'),
        ...items(state['podIPs']).map((entry) => bytes(12, string(1, entry['ip']))),
      ]),
    ),
  ]);
}

function metadata(meta: Json): Buffer {
  return Buffer.concat([
    string(1, meta['name']),
    string(2, ''),
    string(3, meta['namespace']),
    string(4, ''),
    string(5, meta['uid']),
    string(6, meta['resourceVersion']),
    varint(7, 0),
    time(8, meta['creationTimestamp']),
    time(9, meta['deletionTimestamp']),
    ...map(11, meta['labels']),
    ...map(12, meta['annotations']),
    ...items(meta['ownerReferences']).map((owner) =>
      bytes(
        13,
        Buffer.concat([
          string(1, owner['kind']),
          string(3, owner['name']),
          string(4, owner['uid']),
          string(5, owner['apiVersion']),
          varint(6, owner['controller'] === true ? 1 : 0),
          varint(7, 1),
        ]),
      ),
    ),
    bytes(17, Buffer.concat([string(1, 'kubelet'), string(2, 'Update'), string(6, 'FieldsV1')])),
  ]);
}

function container(entry: Json): Buffer {
  return Buffer.concat([
    string(1, entry['name']),
    string(2, entry['image']),
    ...items(entry['ports']).map((port) =>
      bytes(
        6,
        Buffer.concat([
          string(1, port['name'] ?? ''),
          varint(2, 0),
          varint(3, port['containerPort']),
          string(4, port['protocol'] ?? 'TCP'),
          string(5, ''),
        ]),
      ),
    ),
    string(14, 'IfNotPresent'),
    string(24, entry['restartPolicy']),
  ]);
}

function items(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function map(number: number, value: unknown): Buffer[] {
  return Object.entries((value ?? {}) as Json).map(([key, entry]) =>
    bytes(number, Buffer.concat([string(1, key), string(2, entry)])),
  );
}

function time(number: number, value: unknown): Buffer {
  if (typeof value !== 'string') return Buffer.alloc(0);
  return bytes(number, Buffer.concat([varint(1, Date.parse(value) / 1000), varint(2, 0)]));
}

/** gogo/protobuf writes empty texts of fields that are not optional; absent ones are left out. */
function string(number: number, value: unknown): Buffer {
  return typeof value === 'string' ? bytes(number, Buffer.from(value)) : Buffer.alloc(0);
}

function bytes(number: number, content: Buffer): Buffer {
  return Buffer.concat([digits(number * 8 + 2), digits(content.length), content]);
}

function varint(number: number, value: unknown): Buffer {
  return typeof value === 'number' ? Buffer.concat([digits(number * 8), digits(value)]) : Buffer.alloc(0);
}

function digits(value: number): Buffer {
  const result: number[] = [];
  let left = value;
  while (left >= 128) {
    result.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  result.push(left);
  return Buffer.from(result);
}
