import { get } from 'node:http';

import { NftError } from 'nftables-json';

import { parseListen } from '../agent/config.ts';
import type { ListenAddress } from '../agent/config.ts';
import { nftAdvice } from '../agent/nft-advice.ts';

/** The local agent gave no usable answer. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  /**
   * `agent-unreachable`: nobody listens, or not in time. `agent-refused`: it answered with an error, or is no agent.
   * `agent-version`: an agent of another version.
   */
  readonly code: 'agent-unreachable' | 'agent-refused' | 'agent-version';

  constructor(code: AgentError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Where no agent runs the connection is refused at once; on a busy node an answer takes its time. */
const timeoutMs = 20_000;
const maxAnswerBytes = 64 * 1024 * 1024;

/** Where the agent of this node answers: as it is told to listen, from here. `undefined`: the text is no address. */
export function agentAddress(text: string): ListenAddress | undefined {
  const address = parseListen(text);
  if (address === undefined) return undefined;
  if (address.host === '::') return { ...address, host: '::1' };
  return address.host === '0.0.0.0' ? { ...address, host: '127.0.0.1' } : address;
}

/** Asks the agent; the answer is JSON of the kind the path promises. Throws {@link AgentError}. */
export async function askAgent<T>({ host, port }: ListenAddress, path: string, signal: AbortSignal): Promise<T> {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stop = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const unreachable = (cause: Error): void => {
    if (signal.aborted) return reject(signal.reason as Error);
    const why = cause.name === 'AbortError' ? `no answer within ${timeoutMs / 1000} s` : cause.message;
    reject(new AgentError('agent-unreachable', `no agent answers at ${place}: ${why}`, cause));
  };
  const request = get({ host, port, path, agent: false, signal: stop }, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxAnswerBytes) response.destroy(new Error('the answer is too long'));
      else chunks.push(chunk);
    });
    response.on('error', unreachable);
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (response.statusCode !== 200) {
        reject(new AgentError('agent-refused', `${place} answered ${response.statusCode ?? 0}: ${text.trim()}`));
        return;
      }
      try {
        const answer: unknown = JSON.parse(text);
        const strange = strangeness(answer, path);
        if (strange === undefined) resolve(answer as T);
        else reject(new AgentError(strange.code, `${place} ${strange.message}`));
      } catch (error) {
        reject(new AgentError('agent-refused', `${place} is no agent of nftpolicy: its answer is no JSON`, error));
      }
    });
  });
  request.on('error', unreachable);
  return await promise;
}

/** Why an answer is not what this program understands: another program's, or another version's. */
function strangeness(answer: unknown, path: string): Pick<AgentError, 'code' | 'message'> | undefined {
  const [, topic = ''] = path.split(/[/?]/);
  const wanted = `nftpolicy.dev/${topic}/v1`;
  const schema = typeof answer === 'object' && answer !== null && 'schema' in answer ? answer.schema : undefined;
  if (schema === wanted) return undefined;
  if (typeof schema !== 'string' || !schema.startsWith('nftpolicy.dev/')) {
    return { code: 'agent-refused', message: 'is no agent of nftpolicy: its answer names no schema of ours' };
  }
  const message = `speaks ${schema}, and this program ${wanted}: use the program of the agent's version`;
  return { code: 'agent-version', message };
}

/** Asks the kernel in place of an agent that does not answer; a failure tells about both. */
export async function askKernelInstead<T>(agent: AgentError, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    const why = `${agent.message}; and the kernel cannot be asked instead: ${nftAdvice(error)}`;
    throw new AgentError('agent-unreachable', why, error);
  }
}
