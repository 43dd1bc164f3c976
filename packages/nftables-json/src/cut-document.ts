/** Cuts what nft prints into its objects, so that a long listing need not become one value. */
import { NftError } from './errors.ts';

const [quote, backslash, openList, closeList, open, close, comma] = Buffer.from('"\\[]{},');

/**
 * The items of `{"nftables": [ITEM, ...]}`, each as its bytes. Brackets are counted and texts skipped; whether an item
 * is JSON is for its parser to say.
 * @throws NftError `table-unreadable` when the document has another form.
 */
export function* cutDocument(bytes: Buffer): Generator<Buffer, void> {
  const list = bytes.indexOf('[');
  if (!/^\s*\{\s*"nftables"\s*:\s*$/.test(bytes.toString('utf8', 0, Math.max(0, list)))) throw unreadable();
  let depth = 0;
  let begin = 0;
  for (let at = list + 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) {
      at = endOfText(bytes, at);
      if (depth === 0) throw unreadable();
    } else if (byte === open || byte === openList) {
      if (depth === 0) begin = at;
      depth += 1;
    } else if (byte === close || byte === closeList) {
      if (depth === 0) {
        if (byte !== closeList || !/^\s*\}\s*$/.test(bytes.toString('utf8', at + 1))) throw unreadable();
        return;
      }
      depth -= 1;
      if (depth === 0) yield bytes.subarray(begin, at + 1);
    } else if (depth === 0 && byte !== comma && !isSpace(byte)) throw unreadable();
  }
  throw unreadable();
}

/** Where the text that begins at `start` ends. */
function endOfText(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) return at;
    if (byte === backslash) at += 1;
  }
  throw unreadable();
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function unreadable(): NftError {
  return new NftError('nft printed something that is not a listing', { code: 'table-unreadable' });
}
