import { isProtocol, protocols } from '../port.ts';
import type { PortMatch, Protocol } from '../port.ts';
import type { FieldPath } from '../source-ref.ts';
import { onlyKnownFields, wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { isPortName } from './label-syntax.ts';
import { field, isRawObject, showText, showType, showValue } from './raw-value.ts';

const effect = 'This port entry matches nothing.';
const known = ['protocol', 'port', 'endPort'];

/** Whether the value is a port number, 1 to 65535. */
export function isPortNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Reads one entry of a rule's `ports`. A null entry is an empty one: all TCP (semantics 36, 72). */
export function decodePort(raw: unknown, index: number, path: FieldPath, findings: Findings): PortMatch {
  const entry = raw ?? {};
  if (!isRawObject(entry)) {
    wrongType(path, 'a map with protocol, port and endPort', raw, effect, findings);
    return { kind: 'invalid', index };
  }
  const clean = onlyKnownFields(entry, { place: 'a port entry', known, effect }, path, findings);
  const protocol = decodeProtocol(field(entry, 'protocol'), [...path, 'protocol'], findings);
  const port = field(entry, 'port');
  const portValid = port === undefined || checkPort(port, [...path, 'port'], findings);
  const endPort = field(entry, 'endPort');
  const endValid = endPort === undefined || checkEndPort(endPort, port, [...path, 'endPort'], findings);
  if (!clean || protocol === undefined || !portValid || !endValid) return { kind: 'invalid', index };
  if (port === undefined) return { kind: 'protocol', index, protocol };
  if (typeof port === 'string') return { kind: 'named', index, protocol, name: port };
  if (!isPortNumber(port)) return { kind: 'invalid', index };
  return { kind: 'range', index, protocol, from: port, to: isPortNumber(endPort) ? endPort : port };
}

function decodeProtocol(raw: unknown, path: FieldPath, findings: Findings): Protocol | undefined {
  if (raw === undefined) return 'TCP';
  if (isProtocol(raw)) return raw;
  const upper = typeof raw === 'string' ? raw.toUpperCase() : '';
  const hint = isProtocol(upper) ? `Write "${upper}".` : `A rule can name ${protocols.join(', ')} only.`;
  findings.error(
    'D104',
    path,
    `unknown protocol ${showValue(raw)}`,
    `${hint} The API server refuses the object. ${effect}`,
  );
  return undefined;
}

function checkPort(port: unknown, path: FieldPath, findings: Findings): boolean {
  if (isPortNumber(port) || (typeof port === 'string' && isPortName(port))) return true;
  let hint = 'A port is a number from 1 to 65535, or the name of a container port.';
  if (typeof port === 'string') {
    hint = /^\d+$/.test(port)
      ? `In quotes it is a name, and a name needs a letter${isPortNumber(Number(port)) ? `: write ${Number(port)} without quotes` : ''}.`
      : 'A port name has at most 15 lower-case letters, digits and single inner hyphens, and at least one letter.';
  }
  const message = typeof port === 'string' ? `${showText(port)} is no port name` : `${showType(port)} is no port`;
  findings.error('D105', path, message, `${hint} The API server refuses the object. ${effect}`);
  return false;
}

function checkEndPort(endPort: unknown, port: unknown, path: FieldPath, findings: Findings): boolean {
  let why: string | undefined;
  if (!isPortNumber(endPort)) why = `endPort must be a number from 1 to 65535, not ${showType(endPort)}`;
  else if (port === undefined) why = `endPort ${endPort} has no port to start from`;
  else if (typeof port === 'string') why = `endPort ${endPort} cannot follow the named port ${showText(port)}`;
  else if (isPortNumber(port) && endPort < port) why = `endPort ${endPort} is below port ${port}`;
  if (why === undefined) return true;
  findings.error(
    'D106',
    path,
    why,
    `A range needs a numeric port and an endPort that is not below it. The API server refuses the object. ${effect}`,
  );
  return false;
}
