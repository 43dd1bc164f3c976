import type { Diagnostic } from '../../model/diagnostic.ts';
import type { Resource } from './resource.ts';
import type { End } from './stream.ts';

/** Diagnostic of a collection the API server does not let us follow. */
export const forbiddenCode = 'K002';

/** A short stable word for metrics: the HTTP status, or what broke. */
export function errorCode(end: Exclude<End, { kind: 'closed' | 'aborted' }>): string {
  switch (end.kind) {
    case 'refused':
      return String(end.status.code);
    case 'broken':
      return end.error.code;
    case 'undecodable':
      return end.error.name === 'FrameError' ? 'frame' : 'object';
    case 'overdue':
      return end.deadline;
  }
}

/** Why the collection is not being followed, for people. */
export function describeEnd(end: Exclude<End, { kind: 'closed' | 'aborted' }>): string {
  switch (end.kind) {
    case 'refused':
      return `the API server answered ${end.status.code} ${end.status.reason}: ${end.status.message}`.trimEnd();
    case 'broken':
    case 'undecodable':
      return end.error.message;
    case 'overdue':
      return `the API server was silent beyond the ${end.deadline} deadline`;
  }
}

/** Exactly which permission a 403 says we lack, and what is not enforced without it. */
export function missingPermission(resource: Resource, verb: 'list' | 'watch', serverMessage: string): Diagnostic {
  const { plural, group } = resource;
  return {
    code: forbiddenCode,
    severity: 'error',
    message: `not allowed to ${verb} ${group === '' ? plural : `${plural}.${group}`}`,
    help: `Grant verbs ["list", "watch"] on resources ["${plural}"] in apiGroups ["${group}"], cluster-wide. The API server says: ${serverMessage}`,
    object: resource.kind,
  };
}
