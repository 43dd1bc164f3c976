import { namespaceName, serviceKey } from '../names.ts';
import { isProtocol } from '../port.ts';
import type { Service, ServicePort } from '../service.ts';
import type { FieldPath, SourceRef } from '../source-ref.ts';
import { decodeAddresses } from './addresses.ts';
import type { RawAddress } from './addresses.ts';
import { wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { isPortName } from './label-syntax.ts';
import type { Metadata } from './metadata.ts';
import { isPortNumber } from './ports.ts';
import { field, isRawList, isRawObject, showType, showValue } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';

const ignored = 'The Service is ignored.';
const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;
const trafficPolicies = ['Cluster', 'Local'] as const;

/**
 * Reads a Service. `undefined`: its selector or type cannot be read, so nobody can tell which pods it means.
 * Unreadable ports and addresses only drop themselves.
 */
export function decodeService(
  raw: RawObject,
  metadata: Metadata,
  source: SourceRef,
  findings: Findings,
): Service | undefined {
  const spec = field(raw, 'spec') ?? {};
  if (!isRawObject(spec)) {
    wrongType(['spec'], 'a map', spec, ignored, findings);
    return undefined;
  }
  const selector = decodeSelector(field(spec, 'selector'), findings);
  const type = decodeChoice(spec, 'type', types, findings);
  if (selector === undefined || type === undefined) return undefined;
  const clusterIps = clusterIpsOf(spec, findings);
  const externalName = field(spec, 'externalName');
  return {
    kind: 'Service',
    key: serviceKey(metadata.namespace, metadata.name),
    namespace: namespaceName(metadata.namespace),
    name: metadata.name,
    uid: metadata.uid,
    type,
    ...(selector.size === 0 ? {} : { selector }),
    clusterIps: decodeAddresses(
      clusterIps.filter(({ raw: text }) => text !== 'None' && text !== ''),
      findings,
    ),
    headless: clusterIps.some(({ raw: text }) => text === 'None'),
    externalIps: decodeAddresses(addressList(spec, ['spec', 'externalIPs'], findings), findings),
    loadBalancerIps: decodeAddresses(loadBalancerAddresses(field(raw, 'status'), findings), findings),
    ...(typeof externalName === 'string' && externalName !== '' ? { externalName } : {}),
    externalTrafficPolicy: decodeChoice(spec, 'externalTrafficPolicy', trafficPolicies, findings) ?? 'Cluster',
    internalTrafficPolicy: decodeChoice(spec, 'internalTrafficPolicy', trafficPolicies, findings) ?? 'Cluster',
    ports: decodePorts(field(spec, 'ports'), findings),
    source,
  };
}

/** An empty selector is none: such endpoints are written by someone else. */
function decodeSelector(raw: unknown, findings: Findings): ReadonlyMap<string, string> | undefined {
  const selector = new Map<string, string>();
  if (raw === undefined) return selector;
  const path: FieldPath = ['spec', 'selector'];
  if (!isRawObject(raw)) {
    wrongType(path, 'a map of label keys to texts', raw, ignored, findings);
    return undefined;
  }
  let valid = true;
  for (const [key, rawValue] of Object.entries(raw)) {
    const value = rawValue ?? '';
    if (typeof value === 'string') selector.set(key, value);
    else {
      valid = false;
      wrongType([...path, key], 'a text', value, ignored, findings);
    }
  }
  return valid ? selector : undefined;
}

/** The first of `choices` is the default. `undefined`: given, but none of them. */
function decodeChoice<T extends string>(
  spec: RawObject,
  name: string,
  choices: readonly [T, ...T[]],
  findings: Findings,
): T | undefined {
  const value = field(spec, name) ?? '';
  if (value === '') return choices[0];
  const choice = choices.find((known) => known === value);
  if (choice === undefined) {
    findings.error(
      'D302',
      ['spec', name],
      `unknown ${name} ${showValue(value)}`,
      `Known: ${choices.join(', ')}. ${name === 'type' ? ignored : `It is read as ${choices[0]}.`}`,
    );
  }
  return choice;
}

function clusterIpsOf(spec: RawObject, findings: Findings): RawAddress[] {
  const list = addressList(spec, ['spec', 'clusterIPs'], findings);
  if (list.length > 0) return list;
  const single = field(spec, 'clusterIP');
  return single === undefined ? [] : [{ raw: single, path: ['spec', 'clusterIP'] }];
}

function addressList(parent: RawObject, path: readonly [string, string], findings: Findings): RawAddress[] {
  const list = field(parent, path[1]) ?? [];
  if (isRawList(list)) return Array.from(list, (raw, index) => ({ raw, path: [...path, index] }));
  wrongType(path, 'a list of addresses', list, 'The addresses are ignored.', findings);
  return [];
}

function loadBalancerAddresses(status: unknown, findings: Findings): RawAddress[] {
  const balancer = isRawObject(status) ? field(status, 'loadBalancer') : undefined;
  const list = isRawObject(balancer) ? (field(balancer, 'ingress') ?? []) : [];
  const path: FieldPath = ['status', 'loadBalancer', 'ingress'];
  if (!isRawList(list)) {
    wrongType(path, 'a list of maps', list, 'The addresses are ignored.', findings);
    return [];
  }
  const found: RawAddress[] = [];
  for (const [index, entry] of list.entries()) {
    const raw = isRawObject(entry) ? field(entry, 'ip') : undefined;
    if (raw !== undefined && raw !== '') found.push({ raw, path: [...path, index, 'ip'] });
  }
  return found;
}

function decodePorts(raw: unknown, findings: Findings): ServicePort[] {
  const list = raw ?? [];
  if (!isRawList(list)) {
    wrongType(['spec', 'ports'], 'a list of ports', list, 'The Service has no ports.', findings);
    return [];
  }
  const ports: ServicePort[] = [];
  for (const [index, entry] of list.entries()) {
    const port = decodeServicePort(entry, index, findings);
    if (port !== undefined) ports.push(port);
  }
  return ports;
}

function decodeServicePort(raw: unknown, index: number, findings: Findings): ServicePort | undefined {
  const path: FieldPath = ['spec', 'ports', index];
  if (!isRawObject(raw)) {
    wrongType(path, 'a map with port', raw, 'The port is ignored.', findings);
    return undefined;
  }
  const refuse = (name: string, message: string): undefined => {
    const help = 'The API server refuses the Service. The port is ignored.';
    findings.error('D301', [...path, name], message, help);
  };
  const port = field(raw, 'port');
  if (!isPortNumber(port)) return refuse('port', `port must be 1 to 65535, not ${showType(port)}`);
  const rawProtocol = field(raw, 'protocol') ?? '';
  const protocol = rawProtocol === '' ? 'TCP' : rawProtocol;
  if (!isProtocol(protocol)) return refuse('protocol', `unknown protocol ${showValue(rawProtocol)}`);
  const given = field(raw, 'targetPort');
  // The API server's default: missing, 0 and "" all mean the Service's own port.
  const targetPort = given === undefined || given === 0 || given === '' ? port : given;
  if (!isPortNumber(targetPort) && !(typeof targetPort === 'string' && isPortName(targetPort))) {
    return refuse('targetPort', `${showType(targetPort)} is no port number or port name`);
  }
  const name = field(raw, 'name');
  const nodePort = field(raw, 'nodePort');
  return {
    index,
    ...(typeof name === 'string' && name !== '' ? { name } : {}),
    protocol,
    port,
    targetPort,
    ...(isPortNumber(nodePort) ? { nodePort } : {}),
  };
}
