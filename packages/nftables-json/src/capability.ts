/** What the nft program and this kernel can do, found out by asking and changing nothing. */
import { NftError } from './errors.ts';
import type { CallOptions, Executor } from './executor.ts';
import { concat, ct, elem, meta, payload, prefix, range, setRef } from './expr.ts';
import type { Family, NamedSet, Statement } from './grammar.ts';
import { accept, counter, drop, goto, match, reject, updateSet, vmap } from './stmt.ts';
import { Transaction } from './transaction.ts';

/** A version of nft; `patch` and `build` are 0 when absent. */
export interface NftVersion {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** The fourth number, as in 1.0.6.1. */
  readonly build: number;
}

/** The answer to one question; `error` is what nft or the kernel said. */
export type Feature = { readonly available: true } | { readonly available: false; readonly error: NftError };

/** What can be asked for. */
export type FeatureName =
  | 'inet-table'
  | 'conntrack'
  | 'concatenated-sets'
  | 'concatenated-intervals'
  | 'verdict-maps'
  | 'recording-sets'
  | 'bridge-table'
  | 'bridge-meta'
  | 'bridge-conntrack'
  | 'bridge-reject';

/** What {@link probeCapabilities} found. */
export interface Capabilities {
  readonly version: NftVersion;
  readonly features: ReadonlyMap<FeatureName, Feature>;
}

/** An executor that also knows its program, as `NftProcess` does. */
export interface ProbeTarget extends Pick<Executor, 'check'> {
  version(options?: CallOptions): Promise<string>;
}

const table = 'nftables-json-probe';

function ruleset(family: Family, expr: readonly Statement[], sets: readonly Omit<NamedSet, 'family' | 'table'>[] = []) {
  return (): Transaction => {
    const transaction = new Transaction().addTable({ family, name: table });
    transaction.addChain({ family, table, name: 'target' }).addChain({ family, table, name: 'probe' });
    for (const set of sets) transaction.addSet({ ...set, family, table });
    return transaction.addRule({ family, table, chain: 'probe', expr });
  };
}

const fields = concat(payload('ip', 'saddr'), meta('l4proto'), payload('th', 'dport'));
const fieldTypes = ['ipv4_addr', 'inet_proto', 'inet_service'] as const;
const record = updateSet('s', elem(payload('ip', 'saddr'), { timeout: 60 }), [counter()]);

const probes: ReadonlyMap<FeatureName, () => Transaction> = new Map([
  ['inet-table', ruleset('inet', [drop()])],
  ['conntrack', ruleset('inet', [match(ct('state'), 'related', 'in'), match(ct('direction'), 'reply'), accept()])],
  [
    'concatenated-sets',
    ruleset(
      'inet',
      [match(fields, setRef('s')), accept()],
      [{ name: 's', type: fieldTypes, elem: [concat('192.0.2.1', 'tcp', 80)] }],
    ),
  ],
  [
    'concatenated-intervals',
    ruleset(
      'inet',
      [match(fields, setRef('s')), accept()],
      [
        {
          name: 's',
          type: fieldTypes,
          flags: ['interval'],
          elem: [concat(prefix('192.0.2.0', 24), 'tcp', range(80, 90))],
        },
      ],
    ),
  ],
  ['verdict-maps', ruleset('inet', [vmap(payload('ip', 'saddr'), { set: [['192.0.2.1', goto('target')]] })])],
  [
    'recording-sets',
    ruleset('inet', [record], [{ name: 's', type: 'ipv4_addr', flags: ['timeout'], timeout: 60, size: 16 }]),
  ],
  ['bridge-table', ruleset('bridge', [match(payload('ether', 'type'), '8021q'), drop()])],
  ['bridge-meta', ruleset('bridge', [match(meta('ibrname'), 'br0'), drop()])],
  ['bridge-conntrack', ruleset('bridge', [match(ct('state'), 'related', 'in'), drop()])],
  ['bridge-reject', ruleset('bridge', [reject()])],
]);

/** Codes that answer the question; any other code means that it could not be asked. */
const negative: ReadonlySet<string> = new Set(['unsupported', 'not-found', 'invalid']);

/**
 * Asks for the version and every feature, with `nft -c` on a table of its own; nothing is applied. The kernel may load
 * the modules it is asked about.
 * @throws NftError when nft cannot be asked: `nft-missing`, `permission`, `system`, `crashed`, `timeout`, `unknown`.
 */
export async function probeCapabilities(target: ProbeTarget, options: CallOptions = {}): Promise<Capabilities> {
  const text = await target.version(options);
  const version = parseVersion(text);
  if (version === undefined) throw new NftError(`not a version of nft: ${text}`, { code: 'unknown' });
  const features = new Map<FeatureName, Feature>();
  for (const [name, transaction] of probes) features.set(name, await ask(target, transaction(), options));
  return { version, features };
}

async function ask(target: ProbeTarget, transaction: Transaction, options: CallOptions): Promise<Feature> {
  try {
    await target.check(transaction, options);
    return { available: true };
  } catch (error) {
    if (error instanceof NftError && negative.has(error.code)) return { available: false, error };
    throw error;
  }
}

/** Parses the output of `nft --version`; undefined when it holds no version. */
export function parseVersion(text: string): NftVersion | undefined {
  const numbers = /v(\d+)\.(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text);
  if (numbers === null) return undefined;
  const [, major, minor, patch = '0', build = '0'] = numbers;
  return { text, major: Number(major), minor: Number(minor), patch: Number(patch), build: Number(build) };
}

/** The numbers of a version: `1.1.3`, `1.0.6.1`. */
export function formatVersion({ major, minor, patch, build }: NftVersion): string {
  return [major, minor, patch, ...(build === 0 ? [] : [build])].join('.');
}

/** Negative, zero or positive as `version` is older than, equal to or newer than the four numbers. */
export function compareVersion(version: NftVersion, [major, minor, patch = 0, build = 0]: readonly number[]): number {
  return version.major - (major ?? 0) || version.minor - (minor ?? 0) || version.patch - patch || version.build - build;
}
