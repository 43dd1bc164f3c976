/** One port of a Service. */
export interface LabServicePort {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  readonly targetPort: number;
  readonly nodePort?: number;
}

/** A Service with the addresses of its ready backends. */
export interface LabService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIps: readonly string[];
  readonly ports: readonly LabServicePort[];
  /** Addresses of both families; each is used for its own family. */
  readonly backends: readonly string[];
  /** `Local` keeps the client's address and uses only `localBackends`; `Cluster` (the default) masquerades. */
  readonly externalTrafficPolicy?: 'Cluster' | 'Local';
  readonly localBackends?: readonly string[];
}

/** The tables a node's Services live in; this is the lab's, not kube-proxy's own name. */
export const serviceTable = 'lab-services';

/**
 * Renders the nat rules of all Services of a node in the shape of kube-proxy: translation before policy (-100, in
 * prerouting and output), masquerade after it (100), for NodePorts and for a pod that reaches itself.
 */
export function renderServices(services: readonly LabService[]): string {
  return (['ip', 'ip6'] as const).map((family) => renderFamily(family, services)).join('\n');
}

function renderFamily(family: 'ip' | 'ip6', services: readonly LabService[]): string {
  const fits = (address: string): boolean => address.includes(':') === (family === 'ip6');
  const dispatch: string[] = [];
  const chains: string[] = [];
  services.forEach((service, at) => {
    service.ports.forEach((port, portAt) => {
      const protocol = port.protocol.toLowerCase();
      const chain = (name: string, backends: readonly string[]): string => {
        const full = `${name}-${String(at)}-${String(portAt)}`;
        chains.push(renderBackends(family, full, backends.filter(fits), protocol, port.targetPort));
        return full;
      };
      const cluster = chain('svc', service.backends);
      for (const ip of service.clusterIps.filter(fits)) {
        dispatch.push(`${family} daddr ${ip} ${protocol} dport ${String(port.port)} goto ${cluster}`);
      }
      if (port.nodePort === undefined) return;
      const local = service.externalTrafficPolicy === 'Local';
      const external = local ? chain('ext', service.localBackends ?? []) : cluster;
      const mark = local ? '' : 'meta mark set meta mark or 0x4000 ';
      dispatch.push(`fib daddr type local ${protocol} dport ${String(port.nodePort)} ${mark}goto ${external}`);
    });
  });
  return [
    `add table ${family} ${serviceTable}`,
    `delete table ${family} ${serviceTable}`,
    `table ${family} ${serviceTable} {`,
    ...chains,
    ' chain services {',
    ...dispatch.map((rule) => `  ${rule}`),
    ' }',
    ' chain prerouting { type nat hook prerouting priority -100; jump services; }',
    ' chain output { type nat hook output priority -100; jump services; }',
    ' chain postrouting { type nat hook postrouting priority 100; meta mark and 0x4000 != 0 masquerade; }',
    '}',
    '',
  ].join('\n');
}

function renderBackends(
  family: 'ip' | 'ip6',
  name: string,
  backends: readonly string[],
  protocol: string,
  targetPort: number,
): string {
  const chains = backends.map((address, at) => {
    const to = family === 'ip6' ? `[${address}]:${String(targetPort)}` : `${address}:${String(targetPort)}`;
    return [
      ` chain ${name}-${String(at)} {`,
      `  ${family} saddr ${address} meta mark set meta mark or 0x4000`,
      `  meta l4proto ${protocol} dnat to ${to}`,
      ' }',
    ].join('\n');
  });
  const count = String(backends.length);
  const choice = backends.map((_, at) => `${String(at)} : goto ${name}-${String(at)}`).join(', ');
  const pick = backends.length === 0 ? '' : `numgen random mod ${count} vmap { ${choice} }`;
  return [...chains, ` chain ${name} {`, `  ${pick}`, ' }'].join('\n');
}
