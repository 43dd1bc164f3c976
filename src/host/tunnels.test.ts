import { describe, expect, test } from 'vitest';

import { parseLinks } from './links.ts';
import type { Link } from './links.ts';
import { openTunnels } from './tunnels.ts';

let index = 0;
/** One link as `ip -j -d addr show` prints it. */
function link(kind: string, data: object = {}, flags = ['UP']): Link[] {
  index += 1;
  return parseLinks(
    JSON.stringify([
      {
        ifindex: index,
        ifname: `${kind}${index}`,
        flags,
        linkinfo: { info_kind: kind, info_data: data },
        addr_info: [],
      },
    ]),
  );
}

describe('tunnels that believe every sender', () => {
  test('are found by kind, with their ports', () => {
    const links = [...link('vxlan', { id: 1, port: 8472 }), ...link('geneve', { port: 6081 }), ...link('ipip', {})];
    expect(openTunnels([...links, ...link('vxlan', { port: 8472 }), ...link('gre')])).toEqual({
      ports: [6081, 8472],
      protocols: [4, 41, 47],
    });
  });

  test('are none where devices are down, authenticate, or are no tunnels', () => {
    const others = [...link('wireguard', { port: 51_820 }), ...link('veth'), ...link('bridge')];
    expect(openTunnels([...others, ...link('ipip', {}, [])])).toBeUndefined();
  });
});
