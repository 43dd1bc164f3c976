import { readFileSync } from 'node:fs';

/** One request as a real server's audit log has it. */
export interface AuditedRequest {
  readonly user: string;
  /** `list pods`, `create networkpolicies.networking.k8s.io`; `get /version` of what is no resource. */
  readonly what: string;
  readonly namespace: string;
  readonly query: URLSearchParams;
  /** HTTP status of the answer. */
  readonly code: number;
}

interface AuditEvent {
  readonly auditID: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly impersonatedUser?: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly apiGroup?: string; readonly namespace?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** Reads an audit log at level Metadata; a watch counts from its beginning, and once. */
export function readAudit(path: string): readonly AuditedRequest[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // The last line may be half written.
  const events = lines.slice(0, -1).map((line) => JSON.parse(line) as AuditEvent);
  return [...new Map(events.map((event) => [event.auditID, event])).values()].map((event) => {
    const { verb, objectRef, requestURI, user, impersonatedUser, responseStatus } = event;
    const group = objectRef?.apiGroup === undefined ? '' : `.${objectRef.apiGroup}`;
    return {
      user: (impersonatedUser ?? user).username,
      what: `${verb} ${objectRef === undefined ? requestURI : objectRef.resource + group}`,
      namespace: objectRef?.namespace ?? '',
      query: new URL(requestURI, 'https://server').searchParams,
      code: responseStatus?.code ?? 0,
    };
  });
}
