import { familyOf } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { HostFacts } from './facts.ts';

/** The interface on which NodeLocal DNSCache has its addresses. */
const dnsInterface = 'nodelocaldns';

/**
 * Addresses of the DNS cache that runs on the node itself, sorted: its own, and usually the ClusterIP of the DNS Service,
 * which it takes over. Pods are told to ask there, whatever their policies call it.
 */
export function nodeDnsAddresses({ links }: Pick<HostFacts, 'links'>): readonly IpAddress[] {
  return (links.find(({ name }) => name === dnsInterface)?.addresses ?? [])
    .filter(({ address, scope }) => familyOf(address) === 'IPv4' || scope === 'global')
    .map(({ address }) => address)
    .sort(compareText);
}
