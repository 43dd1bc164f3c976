import type { LabNode } from '../lab/node.ts';

type Listed = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Our tables as sorted lines that do not depend on the order in which they were made; rules keep their order. */
export async function fingerprint(node: LabNode): Promise<readonly string[]> {
  const lines: string[] = [];
  const tables = await node.run('nft', 'list', 'tables');
  for (const family of ['inet', 'bridge']) {
    if (!tables.includes(`table ${family} nftpolicy`)) continue;
    const text = await node.run('nft', '-j', '-s', 'list', 'table', family, 'nftpolicy');
    const positions = new Map<string, number>();
    for (const item of (JSON.parse(text) as { readonly nftables: readonly Listed[] }).nftables) {
      const [[kind, value] = ['', {}]] = Object.entries(item);
      if (kind === 'metainfo' || kind === 'table') continue;
      const { handle: _, elem, ...rest } = value;
      const recorded = String(value['name']).startsWith('denied-');
      const elements = Array.isArray(elem) && !recorded ? elem.map((entry) => JSON.stringify(entry)).sort() : [];
      const chain = String(value['chain']);
      const position = kind === 'rule' ? (positions.get(chain) ?? 0) : 0;
      if (kind === 'rule') positions.set(chain, position + 1);
      lines.push(`${kind} ${JSON.stringify(rest)}${kind === 'rule' ? ` #${position}` : ''} ${elements.join(' ')}`);
    }
  }
  return lines.sort();
}
