import type { EndRef } from '../explain/explanation.ts';
import { parseKind } from '../explain/kinds.ts';
import type { EndKind } from '../explain/kinds.ts';
import { parseCidr } from '../model/cidr.ts';
import { parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';

/** What of a cluster the text of an end leads to. */
export type EndScope =
  | {
      readonly kind: 'object';
      readonly object: Exclude<EndKind, 'Node'>;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'block'; readonly cidr: string }
  | { readonly kind: 'node'; readonly name: string };

/** As `locate` reads it: in `a/b` a kind wins over a namespace. */
export function scopeOf(text: string, namespace: string): EndScope {
  const address = parseIp(text);
  if (address !== undefined) return { kind: 'address', address };
  if (parseCidr(text) !== undefined) return { kind: 'block', cidr: text };
  const [first = '', second, third] = text.split('/');
  const kind = parseKind(third === undefined ? first : (second ?? ''));
  if (third !== undefined) return object(kind ?? 'Pod', first, third);
  if (second === undefined) return object('Pod', namespace, first);
  return kind === undefined ? object('Pod', first, second) : object(kind, namespace, second);
}

function object(kind: EndKind, namespace: string, name: string): EndScope {
  return kind === 'Node' ? { kind: 'node', name } : { kind: 'object', object: kind, namespace, name };
}

/** What answers call it. */
export function refOf(end: EndScope): EndRef {
  switch (end.kind) {
    case 'object':
      return { kind: end.object, namespace: end.namespace, name: end.name };
    case 'address':
      return { kind: 'Address', address: end.address };
    case 'block':
      return { kind: 'Block', cidr: end.cidr };
    case 'node':
      return { kind: 'Node', name: end.name };
  }
}
