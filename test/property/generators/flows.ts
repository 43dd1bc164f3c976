import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { createOracle } from '../../oracle/oracle.ts';
import type { Oracle } from '../../oracle/oracle.ts';
import type { Family, Question, RawObject } from '../../oracle/question.ts';
import {
  anyOf,
  arbPort,
  hostSlots,
  nodeAddresses,
  nodeNames,
  outsideAddresses,
  podAddresses,
  podSlots,
  weighted,
} from './roster.ts';
import { arbWorld } from './world.ts';
import type { GeneratedWorld } from './world.ts';
import type { PolicyOptions } from './rules.ts';

/** A world and questions that can be asked there. */
export interface Scenario extends GeneratedWorld {
  readonly questions: readonly Question[];
}

const nodeAddressList = nodeNames.flatMap((name) => Object.values(nodeAddresses[name]));

const arbEnd: Arbitrary<string> = weighted<string>(
  [12, anyOf(...podSlots)],
  [3, anyOf(...podAddresses.flatMap(({ IPv4, IPv6 }) => [IPv4, IPv6]))],
  [3, anyOf(...outsideAddresses)],
  [1, anyOf(...hostSlots)],
  [1, anyOf(...nodeNames.map((name) => `node/${name}`))],
  [1, anyOf(...nodeAddressList)],
);

/** A question about members of the roster, whether or not a world has them. */
const arbQuestion: Arbitrary<Question> = fc
  .record({
    from: arbEnd,
    to: arbEnd,
    protocol: weighted<Question['protocol']>(
      [8, fc.constant('TCP')],
      [4, fc.constant('UDP')],
      [2, fc.constant('SCTP')],
      [1, fc.constant('ICMP')],
    ),
    port: arbPort,
    family: anyOf<Family>('IPv4', 'IPv6'),
  })
  .map(({ port, ...rest }): Question => (rest.protocol === 'ICMP' ? { ...rest } : { ...rest, port }));

/** A question that can be asked in this world: packets could be sent, and at least one end is a pod of the pod network. */
export function arbFlow(world: { readonly objects: readonly RawObject[] }): Arbitrary<Question> {
  const oracle = createOracle(world.objects);
  return arbQuestion.map((question) => askable(oracle, question)).filter((question) => question !== undefined);
}

/** Questions that can be asked in this world. Always `family` is given. */
export function arbFlows(
  world: { readonly objects: readonly RawObject[] },
  count: number,
): Arbitrary<readonly Question[]> {
  return fc.array(arbFlow(world), { minLength: count, maxLength: count });
}

/**
 * A world and about `count` questions (`count` are drawn; those that no packet can ask there are dropped).
 * Only the world shrinks, so that it gets as small as any of the questions allows.
 */
export function arbScenario(count: number, options: PolicyOptions = { invalid: true }): Arbitrary<Scenario> {
  return fc
    .record({ world: arbWorld(options), drawn: arbDrawnQuestions(count) })
    .map(({ world, drawn }) => ({ ...world, questions: askableOf(world.objects, drawn) }));
}

/** Questions about the roster; they do not shrink. */
export function arbDrawnQuestions(count: number): Arbitrary<readonly Question[]> {
  return fc.noShrink(fc.array(arbQuestion, { minLength: count, maxLength: count, size: 'max' }));
}

/** The questions among these that can be asked of these objects, each in a family that both ends have. */
export function askableOf(objects: readonly RawObject[], questions: readonly Question[]): readonly Question[] {
  const oracle = createOracle(objects);
  return questions.flatMap((question) => askable(oracle, question) ?? []);
}

function askable(oracle: Oracle, question: Question): Question | undefined {
  if (oracle.kindOf(question.from) !== 'pod' && oracle.kindOf(question.to) !== 'pod') return undefined;
  if (oracle.canAsk(question)) return question;
  const other: Question = { ...question, family: question.family === 'IPv4' ? 'IPv6' : 'IPv4' };
  return oracle.canAsk(other) ? other : undefined;
}
