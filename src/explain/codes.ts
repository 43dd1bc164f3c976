/** Every reason an explanation gives, with its short name. Codes are stable: they are never reused for another meaning. */
export const reasonNames = {
  E001: 'not-isolated',
  E002: 'allowed-by-rule',
  E003: 'same-endpoint',
  E004: 'node-traffic',
  E005: 'host-network',
  E006: 'not-a-pod',
  E010: 'namespace-labels-differ',
  E011: 'other-namespace',
  E012: 'pod-labels-differ',
  E013: 'peer-is-host-network',
  E014: 'peer-is-not-a-pod',
  E015: 'peer-has-finished',
  E020: 'no-rule-comes-close',
  E021: 'no-rules',
  E022: 'invalid-policy',
  E030: 'port-differs',
  E031: 'port-name-unknown',
  E032: 'protocol-differs',
  E033: 'service-port-used',
  E034: 'port-name-needs-a-pod',
  E040: 'address-outside',
  E041: 'address-excepted',
  E042: 'family-differs',
  E050: 'nearly-selected',
  E060: 'dns-blocked',
  E061: 'no-endpoints',
  E070: 'installed-differs',
  E071: 'not-enforced-here',
  E090: 'missing-facts',
} as const;

/** A code of {@link reasonNames}. */
export type ReasonCode = keyof typeof reasonNames;

/** All codes, in order. */
export const reasonCodes: readonly ReasonCode[] = Object.keys(reasonNames) as ReasonCode[];

/** Lint rules that find the same mistake without a question. */
export const relatedLint = {
  NP105: 'removed-api-version',
  NP201: 'or-peers',
  NP207: 'rules-ignored',
  NP211: 'peer-pods-elsewhere',
  NP213: 'namespace-name-label',
  NP301: 'subject-matches-nothing',
  NP401: 'unknown-port-name',
  NP402: 'service-port-used',
  NP405: 'protocol-defaulted',
  NP504: 'v4-any-without-v6-any',
  NP505: 'metadata-reachable',
} as const;

/** A code of {@link relatedLint}. */
export type LintCode = keyof typeof relatedLint;
