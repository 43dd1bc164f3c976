import type { FlowProtocol } from '../model/flow.ts';
import { parseCidr } from '../model/cidr.ts';
import { parseIp } from '../model/ip.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';

/** The TO argument: an end, and the port and protocol asked about. */
export interface Target {
  /** The end as written, without port. */
  readonly end: string;
  readonly port?: number | string;
  readonly protocol: FlowProtocol;
  /** The protocol is written, not assumed. */
  readonly protocolGiven: boolean;
}

const protocolNames: ReadonlyMap<string, FlowProtocol> = new Map([
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
  ['sctp', 'SCTP'],
  ['icmp', 'ICMP'],
]);

/** Parses `END[:PORT[/PROTOCOL]]`; an IPv6 address with a port is written `[v6]:port`. */
export function parseTarget(text: string): Result<Target, string> {
  if (parseIp(text) !== undefined || parseCidr(text) !== undefined)
    return ok({ end: text, protocol: 'TCP', protocolGiven: false });
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<end>[^:[\]]+))(?::(?<port>[^:/]+)(?:\/(?<protocol>[^/]+))?)?$/.exec(text);
  if (match?.groups === undefined) {
    return err(
      `cannot read ${JSON.stringify(text)}: write NAMESPACE/POD:PORT, ADDRESS:PORT or [IPV6]:PORT, then /tcp, /udp or /sctp`,
    );
  }
  const { v6, end, port, protocol = 'tcp' } = match.groups;
  const name = protocolNames.get(protocol.toLowerCase());
  if (name === undefined) return err(`unknown protocol ${JSON.stringify(protocol)}: use tcp, udp or sctp`);
  const number = port === undefined ? undefined : parsePort(port);
  if (number === null) return err(`port ${port ?? ''} is out of range: ports are 1 to 65535`);
  return ok({
    end: v6 ?? end ?? '',
    ...(number === undefined ? {} : { port: number }),
    protocol: name,
    protocolGiven: match.groups['protocol'] !== undefined,
  });
}

/** A number, a name, or null for a number that is no port. */
function parsePort(text: string): number | string | null {
  if (!/^\d+$/.test(text)) return text;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : null;
}
