import type { DeclaredPort } from '../endpoint.ts';
import { isProtocol } from '../port.ts';
import type { NamedPort } from '../port.ts';
import type { FieldPath } from '../source-ref.ts';
import { wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { isPortName } from './label-syntax.ts';
import { isPortNumber } from './ports.ts';
import { field, isRawList, isRawObject, showType, showValue } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';

const effect = 'The port is ignored: no rule resolves to it.';

/**
 * Every port that containers and restartable init containers declare, in order (semantics 42). Unreadable ones are
 * reported and left out: a named rule then matches less.
 */
export function decodeContainerPorts(spec: RawObject, findings: Findings): DeclaredPort[] {
  return [
    ...portsOfContainers(spec, 'containers', () => true, findings),
    ...portsOfContainers(spec, 'initContainers', (c) => field(c, 'restartPolicy') === 'Always', findings),
  ];
}

/** The named ones among them, each once. */
export function toNamedPorts(declared: readonly DeclaredPort[]): NamedPort[] {
  const named = new Map<string, NamedPort>();
  for (const { name, protocol, port } of declared) {
    if (name !== undefined) named.set(`${name}/${protocol}/${port}`, { name, protocol, port });
  }
  return [...named.values()];
}

function portsOfContainers(
  spec: RawObject,
  list: string,
  counts: (container: RawObject) => boolean,
  findings: Findings,
): DeclaredPort[] {
  const containers = field(spec, list) ?? [];
  const path: FieldPath = ['spec', list];
  if (!isRawList(containers)) {
    wrongType(path, 'a list of containers', containers, 'Its ports are ignored.', findings);
    return [];
  }
  const declared: DeclaredPort[] = [];
  for (const [index, container] of containers.entries()) {
    const at = [...path, index];
    if (!isRawObject(container)) wrongType(at, 'a map', container, 'Its ports are ignored.', findings);
    else if (counts(container)) declared.push(...portsOfContainer(container, at, findings));
  }
  return declared;
}

function portsOfContainer(container: RawObject, path: FieldPath, findings: Findings): DeclaredPort[] {
  const list = field(container, 'ports') ?? [];
  if (!isRawList(list)) {
    wrongType([...path, 'ports'], 'a list of ports', list, 'Its ports are ignored.', findings);
    return [];
  }
  const declared: DeclaredPort[] = [];
  for (const [index, entry] of list.entries()) {
    const port = decodeContainerPort(entry, [...path, 'ports', index], findings);
    if (port !== undefined) declared.push(port);
  }
  return declared;
}

function decodeContainerPort(raw: unknown, path: FieldPath, findings: Findings): DeclaredPort | undefined {
  if (!isRawObject(raw)) {
    wrongType(path, 'a map with containerPort', raw, effect, findings);
    return undefined;
  }
  const refuse = (name: string, message: string): undefined => {
    findings.error('D202', [...path, name], message, `The API server refuses the pod. ${effect}`);
  };
  const port = field(raw, 'containerPort');
  if (!isPortNumber(port)) return refuse('containerPort', `containerPort must be 1 to 65535, not ${showType(port)}`);
  const protocol = field(raw, 'protocol') ?? 'TCP';
  // The API server stores an empty protocol of a container port as TCP, unlike one of a NetworkPolicy.
  const known = protocol === '' ? 'TCP' : protocol;
  if (!isProtocol(known)) return refuse('protocol', `unknown protocol ${showValue(protocol)}`);
  const name = field(raw, 'name');
  if (name === undefined || name === '') return { protocol: known, port, path };
  if (typeof name !== 'string' || !isPortName(name)) return refuse('name', `${showType(name)} is no port name`);
  return { name, protocol: known, port, path };
}
