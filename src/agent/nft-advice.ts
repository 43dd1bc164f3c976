import type { NftError } from 'nftables-json';

/** What is wrong between this process and nft, and what to do about it. */
export function nftAdvice(error: NftError): string {
  switch (error.code) {
    case 'permission':
      return 'not allowed to use nftables. Run as root, or with the capability NET_ADMIN.';
    case 'nft-missing':
      return 'nft cannot be started. Install nftables 1.0.6 or newer on the node, or in the image.';
    case 'not-found':
    case 'exists':
    case 'busy':
    case 'invalid':
    case 'full':
    case 'unsupported':
    case 'timeout':
    case 'system':
    case 'crashed':
    case 'mixed-versions':
    case 'table-unreadable':
    case 'unknown':
      return error.message;
  }
}
