/** Frames that no honest stack sends, and whether they arrive. */
import { join } from 'node:path';

import { ipToBigInt } from '../../../src/model/ip.ts';
import type { IpAddress } from '../../../src/model/ip.ts';
import type { LabPod } from '../../lab/pod.ts';
import { run } from '../../lab/run.ts';

const script = join(import.meta.dirname, '../frames.pl');

/** A MAC address in hexadecimal digits. */
export const hexOfMac = (mac: string): string => mac.replaceAll(':', '');
/** An IPv4 address in hexadecimal digits. */
export const hexOfIp = (ip: string): string => Buffer.from(ip.split('.').map(Number)).toString('hex');

const hexOfIp6 = (ip: string): string =>
  ipToBigInt(ip as IpAddress)
    .toString(16)
    .padStart(32, '0');
const checksum = (hex: string): string => {
  let sum = (hex.match(/.{4}/g) ?? []).reduce((total, word) => total + Number.parseInt(word, 16), 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return (~sum & 0xffff).toString(16).padStart(4, '0');
};

/** An unasked advertisement that `target` has the sender's MAC address now. */
export function advertisement(fromMac: string, toMac: string, from: string, to: string, target: string): string {
  const icmp = (sum: string): string => `8800${sum}20000000${hexOfIp6(target)}0201${hexOfMac(fromMac)}`;
  const ends = `${hexOfIp6(from)}${hexOfIp6(to)}`;
  const body = icmp(checksum(`${ends}000000200000003a${icmp('0000')}`));
  return `${hexOfMac(toMac)}${hexOfMac(fromMac)}86dd6000000000203aff${ends}${body}`;
}

/** A UDP datagram; its checksum is left out, which IPv4 allows. */
export function udp(fromMac: string, toMac: string, from: string, to: string, text: string): string {
  const data = Buffer.from(text).toString('hex');
  const length = (bytes: number): string => bytes.toString(16).padStart(4, '0');
  const udp = `9c400009${length(8 + text.length)}0000${data}`;
  const header = `4500${length(28 + text.length)}000100004011XXXX${hexOfIp(from)}${hexOfIp(to)}`;
  const summed = header.replace('XXXX', checksum(header.replace('XXXX', '0000')));
  return `${hexOfMac(toMac)}${hexOfMac(fromMac)}0800${summed}${udp}`;
}

/** An echo request; `from` and `to` are of one family. */
export function echo(fromMac: string, toMac: string, from: string, to: string, text: string): string {
  const macs = `${hexOfMac(toMac)}${hexOfMac(fromMac)}`;
  const data = Buffer.from(text.length % 2 === 0 ? text : `${text} `).toString('hex');
  const length = (8 + data.length / 2).toString(16).padStart(4, '0');
  if (from.includes(':')) {
    const ends = `${hexOfIp6(from)}${hexOfIp6(to)}`;
    const icmp = (sum: string): string => `8000${sum}00010001${data}`;
    return `${macs}86dd60000000${length}3a40${ends}${icmp(checksum(`${ends}0000${length}0000003a${icmp('0000')}`))}`;
  }
  const icmp = (sum: string): string => `0800${sum}00010001${data}`;
  const total = (28 + data.length / 2).toString(16).padStart(4, '0');
  const header = (sum: string): string => `4500${total}000100004001${sum}${hexOfIp(from)}${hexOfIp(to)}`;
  return `${macs}0800${header(checksum(header('0000')))}${icmp(checksum(icmp('0000')))}`;
}

/** Sends one frame as it is. */
export function send(netns: string, device: string, hex: string): Promise<string> {
  return run(['ip', 'netns', 'exec', netns, 'perl', script, 'send', device, hex]);
}

/** How many frames with the text arrive at a pod while `action` runs. */
export async function arrivals(pod: LabPod, text: string, action: () => Promise<unknown>): Promise<number> {
  const counting = run(['ip', 'netns', 'exec', pod.netns, 'perl', script, 'count', 'eth0', text, '3']);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await action();
  return Number((await counting).split('\n')[1]);
}
