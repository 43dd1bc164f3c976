import type { Family, Question } from '../oracle/question.ts';

/** One entry of `flows` in a fixture: a question and what is expected of the answer. */
export interface ExpectedFlow extends Question {
  readonly expect: 'allow' | 'deny';
  readonly egress?: 'allow' | 'deny';
  readonly ingress?: 'allow' | 'deny';
  /** Documented gaps whose other reading flips the answer (semantics, section 18): never failed. */
  readonly disputed?: readonly string[];
  readonly note?: string;
}

const pattern =
  /^(?<from>\S+) (?<to>\S+) (?<port>\d+|-)\/(?<protocol>[A-Z]+)(?:\/(?<family>IPv[46]))? (?<expect>allow|deny) (?<egress>allow|deny|-) (?<ingress>allow|deny|-)(?: !(?<disputed>[\w,-]+))?(?: # (?<note>.*))?$/s;

/** A flow as one line: `from to port/protocol[/family] expect egress ingress [!disputed,...] [# note]`; `-` for what is absent. */
export function printFlow(flow: ExpectedFlow): string {
  const service = [flow.port ?? '-', flow.protocol, ...(flow.family === undefined ? [] : [flow.family])].join('/');
  const line = `${flow.from} ${flow.to} ${service} ${flow.expect} ${flow.egress ?? '-'} ${flow.ingress ?? '-'}`;
  const disputed = flow.disputed === undefined ? '' : ` !${flow.disputed.join(',')}`;
  return line + disputed + (flow.note === undefined ? '' : ` # ${flow.note}`);
}

/** The inverse of {@link printFlow}. Throws if the line is malformed. */
export function parseFlow(line: string): ExpectedFlow {
  const groups = pattern.exec(line)?.groups;
  if (groups === undefined) throw new Error(`no flow: ${line}`);
  const { from, to, port, protocol, family, expect, egress, ingress, disputed, note } = groups;
  return {
    from: from!,
    to: to!,
    ...(port === '-' ? {} : { port: Number(port) }),
    protocol: protocol as Question['protocol'],
    ...(family === undefined ? {} : { family: family as Family }),
    expect: expect as 'allow' | 'deny',
    ...(egress === '-' ? {} : { egress: egress as 'allow' | 'deny' }),
    ...(ingress === '-' ? {} : { ingress: ingress as 'allow' | 'deny' }),
    ...(disputed === undefined ? {} : { disputed: disputed.split(',') }),
    ...(note === undefined ? {} : { note }),
  };
}
