/** libnftables-json(5) in TypeScript: the public surface. */
export type * from './grammar.ts';
export {
  isList,
  isMapEntry,
  maxCommentBytes,
  maxConcatFields,
  maxInterfaceNameBytes,
  maxNameBytes,
} from './grammar.ts';
export * from './expr.ts';
export * from './stmt.ts';
export { Transaction } from './transaction.ts';
export type { InvalidCommand } from './transaction.ts';
export { commandProblem, commentProblem, nameProblem } from './validate.ts';
export { encodeCommands, loadOrder } from './encode.ts';
export type { TableObjects } from './encode.ts';
export { decodeListing, decodeMap, decodeSet } from './decode.ts';
export type { Listing, Metainfo } from './decode.ts';
export type { CallOptions, Executor, ListOptions, TableReader } from './executor.ts';
export { NftProcess } from './nft-process.ts';
export type { NftProcessOptions } from './nft-process.ts';
export { Launcher } from './launcher.ts';
export type { Finished, LaunchOptions, Unfinished } from './launcher.ts';
export {
  NftError,
  classifyStderr,
  isBusy,
  isExists,
  isFull,
  isInvalid,
  isNotFound,
  isOutcomeUnknown,
} from './errors.ts';
export type { NftErrorCode, NftErrorFacts } from './errors.ts';
export { elementKey, splitMember } from './element-key.ts';
export { entryTarget, ruleReferences } from './references.ts';
export type { References } from './references.ts';
export { FakeExecutor } from './fake.ts';
export type { FakeExecutorOptions } from './fake.ts';
export { printReplacing, printRule, printTable } from './print.ts';
export { printExpression, printSeconds, printStatement } from './print-rule.ts';
export { compareVersion, formatVersion, parseVersion, probeCapabilities } from './capability.ts';
export type { Capabilities, Feature, FeatureName, NftVersion, ProbeTarget } from './capability.ts';
