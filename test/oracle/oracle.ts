import { admits, isolates } from './policy.ts';
import type { Direction, Packet } from './policy.ts';
import type { Answer, Family, Judge, Judgement, Question, RawObject } from './question.ts';
import { addressOf, locate, readWorld } from './world.ts';
import type { End, World } from './world.ts';

/** The cluster as the oracle reads it; answers questions one by one, without any index or cache. */
export interface Oracle {
  /**
   * The answer to one question.
   *
   * Throws if an end is not in the cluster, or the ends share no family.
   */
  readonly ask: (question: Question) => Answer;
  /** Whether both ends exist and share the family of the question, so that a packet of this flow could be sent. */
  readonly canAsk: (question: Question) => boolean;
  /** What kind of end a text means, if any. */
  readonly kindOf: (end: string) => End['kind'] | undefined;
}

/** Reads raw Kubernetes objects, invalid pieces included. Written from the API's documents alone; shares nothing with `src`. */
export function createOracle(objects: readonly RawObject[]): Oracle {
  const world = readWorld(objects);
  return {
    ask: (question) => ask(world, question),
    canAsk: (question) => familyOf(locate(world, question.from), locate(world, question.to), question) !== undefined,
    kindOf: (end) => locate(world, end)?.kind,
  };
}

/** The oracle as one judge among others. */
export const oracleJudge: Judge = (objects, questions) => {
  const oracle = createOracle(objects);
  return questions.map((question) => oracle.ask(question));
};

function ask(world: World, question: Question): Answer {
  const from = locate(world, question.from);
  const to = locate(world, question.to);
  const family = familyOf(from, to, question);
  if (from === undefined || to === undefined || family === undefined) {
    throw new Error(`no such flow in this cluster: ${JSON.stringify(question)}`);
  }
  const egress = judgeSide(world, 'egress', from, to, family, question);
  const ingress = judgeSide(world, 'ingress', to, from, family, question);
  return { verdict: egress === 'allow' && ingress === 'allow' ? 'allow' : 'deny', egress, ingress };
}

function judgeSide(
  world: World,
  direction: Direction,
  subject: End,
  other: End,
  family: Family,
  question: Question,
): Judgement {
  if (subject.kind !== 'pod') return 'allow'; // 7
  if (other.kind === 'pod' && other.pod === subject.pod) return 'allow'; // 56
  if (other.kind === 'node' && other.name !== undefined && other.name === subject.pod.node) return 'allow'; // 52, 53
  const isolating = world.policies.filter((policy) => isolates(policy, subject.pod, direction));
  if (isolating.length === 0) return 'allow'; // 3
  const otherAddress = addressOf(other, family);
  if (otherAddress === undefined) throw new Error('the family is one that both ends have');
  const otherPod = other.kind === 'pod' ? other.pod : undefined;
  const packet: Packet = {
    protocol: question.protocol,
    port: question.port,
    otherPod,
    otherAddress,
    destinationPod: direction === 'ingress' ? subject.pod : otherPod,
  };
  return isolating.some((policy) => admits(world, policy, direction, packet)) ? 'allow' : 'deny'; // 4, 5
}

/** The family of the flow: as asked, else one that both ends have (semantics 63). */
function familyOf(from: End | undefined, to: End | undefined, question: Question): Family | undefined {
  if (from === undefined || to === undefined) return undefined;
  const candidates: readonly Family[] = question.family === undefined ? ['IPv4', 'IPv6'] : [question.family];
  return candidates.find((family) => addressOf(from, family) !== undefined && addressOf(to, family) !== undefined);
}
