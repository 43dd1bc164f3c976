import { z } from 'zod';

import { AccessError, readBody } from './access.ts';
import type { KubeAccess } from './access.ts';
import { readRefusal, readStatus } from './api-status.ts';
import type { ApiStatus } from './api-status.ts';

/** A program to run in a container. */
export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Longest output that is taken, of both streams together. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** How it ended: by itself, or the server refused to start it. */
export type PodCommandResult =
  | { readonly kind: 'ended'; readonly exitCode: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'refused'; readonly status: ApiStatus };

/** v5 only adds a way to end the input, which is never given here. */
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const channels = { stdout: 1, stderr: 2, error: 3 } as const;

/** Runs a program in a container without input, as `kubectl exec` does. Throws {@link AccessError} if the connection fails. */
export async function execInPod(access: KubeAccess, wanted: PodCommand): Promise<PodCommandResult> {
  const { namespace, pod, container, command, maxBytes, signal } = wanted;
  const query = new URLSearchParams([
    ...command.map((word): [string, string] => ['command', word]),
    ['container', container],
    ['stdout', 'true'],
    ['stderr', 'true'],
  ]);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  const answer = await access.openSocket({ path, query, protocols, maxMessageBytes: maxBytes, signal });
  if (answer.kind === 'answered') {
    const { response } = answer;
    const body = await readBody(response, 1 << 20);
    return { kind: 'refused', status: readRefusal(response.status, response.headers, body, Date.now()) };
  }
  const output: { readonly channel: number; readonly bytes: Buffer }[] = [];
  let size = 0;
  let ended: number | ApiStatus | undefined;
  for await (const message of answer.messages) {
    const bytes = message.subarray(1);
    size += bytes.length;
    if (size > maxBytes) throw broken(access, `the output is longer than ${maxBytes} bytes`);
    const channel = message[0] ?? 0;
    if (channel === channels.error) ended = exitCodeOf(bytes);
    else output.push({ channel, bytes });
  }
  if (ended === undefined) throw broken(access, 'the program ended and nobody said how');
  if (typeof ended !== 'number') return { kind: 'refused', status: ended };
  const textOf = (wantedChannel: number): string =>
    Buffer.concat(output.filter(({ channel }) => channel === wantedChannel).map(({ bytes }) => bytes)).toString();
  return { kind: 'ended', exitCode: ended, stdout: textOf(channels.stdout), stderr: textOf(channels.stderr) };
}

function broken({ server }: KubeAccess, what: string): AccessError {
  return new AccessError('reset', `${server}: ${what}`);
}

const endSchema = z.object({
  status: z.string(),
  reason: z.string().optional(),
  details: z
    .object({ causes: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).optional() })
    .optional(),
});

/** The exit code, or why the program never ran. */
function exitCodeOf(bytes: Buffer): number | ApiStatus {
  const text = bytes.toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return readStatus({ message: text });
  }
  const { data } = endSchema.safeParse(value);
  if (data?.status === 'Success') return 0;
  const code = Number(data?.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message);
  return data?.reason === 'NonZeroExitCode' && code > 0 ? code : readStatus(value);
}
