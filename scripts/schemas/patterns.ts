/** Regular expressions of the texts in a NetworkPolicy, as JSON Schema takes them (ECMAScript, Unicode mode). */

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const group = '[0-9A-Fa-f]{1,4}';

/** The last two groups may be an IPv4 address, so a tail counts in groups and each form has its own text. */
function groups(count: number): string {
  if (count === 0) return '';
  if (count === 1) return group;
  const head = count === 2 ? '' : `(?:${group}:){${count - 2}}`;
  return `${head}(?:${group}:${group}|${ipv4})`;
}

function upTo(count: number): string {
  const forms = Array.from({ length: count + 1 }, (_, n) => groups(n)).filter((form) => form !== '');
  return forms.length === 0 ? '' : `(?:${forms.reverse().join('|')})?`;
}

/** All eight groups, or `::` in place of at least one. */
const ipv6 = [
  groups(8),
  ...Array.from({ length: 8 }, (_, before) => {
    const head = before === 0 ? ':' : `(?:${group}:){${before}}`;
    return `${head}:${upTo(7 - before)}`;
  }),
].join('|');

/** Any spelling of `::ffff:0:0/96`: such blocks are written as IPv4. */
const mapped = `(?:0{1,4}:){5}[Ff]{4}:|(?:(?:0{1,4}:)+|:):(?:0{1,4}:)*[Ff]{4}:(?:${group}:${group}|${ipv4})/`;

/** `ADDRESS/PREFIX` of IPv4. */
export const ipv4Block: string = `^${ipv4}/(?:3[0-2]|[12]?\\d)$`;

/** `ADDRESS/PREFIX` of IPv6, no IPv4-mapped address. */
export const ipv6Block: string = `^(?!${mapped})(?:${ipv6})/(?:12[0-8]|1[01]\\d|[1-9]?\\d)$`;

const labelPart = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const subdomainText = `${labelPart}(?:\\.${labelPart})*`;
const word = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?';

/** The name of an object; at most 253 characters. */
export const subdomain: string = `^${subdomainText}$`;

/** The name of a namespace; at most 63 characters. */
export const dnsLabel: string = `^${labelPart}$`;

/** A label key: an optional DNS prefix and a slash, then a name of at most 63 characters. */
export const labelKey: string = `^(?:(?=[^/]{1,253}/)${subdomainText}/)?(?=[^/]{1,63}$)${word}$`;

/** A label value: empty, or a word; at most 63 characters. */
export const labelValue: string = `^(?:${word})?$`;

/** A port name; at most 15 characters, at least one letter. */
export const portName: string = '^(?=[^a-z]*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$';
