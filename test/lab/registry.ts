import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const recordDirectory = '/run/nftpolicy-lab';
const namespaceDirectory = '/run/netns';

interface ProcessId {
  readonly pid: number;
  /** Clock ticks after boot: tells a process from a later one with the same id. */
  readonly started: string;
}

interface LabRecord {
  readonly owner: ProcessId;
  readonly namespaces: string[];
  readonly processes: ProcessId[];
  readonly directories: string[];
}

let labsOfThisProcess = 0;

/**
 * Everything one lab has made outside of this process, so that all of it can be removed: at once and synchronously
 * when the process ends, and by the next lab when the process could not (kill -9).
 */
export class Registry {
  /** Begins the name of every network namespace of this lab; unique on this machine. */
  readonly prefix: string;
  readonly #record: LabRecord;
  readonly #recordPath: string;
  readonly #onExit = (): void => this.releaseNow();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.releaseNow();
    process.exit(128 + (signal === 'SIGINT' ? 2 : signal === 'SIGHUP' ? 1 : 15));
  };

  constructor() {
    this.prefix = `nfl${String(process.pid)}${labsOfThisProcess === 0 ? '' : `x${String(labsOfThisProcess)}`}`;
    labsOfThisProcess += 1;
    const owner = identify(process.pid);
    if (owner === undefined) throw new Error('/proc does not describe this process');
    this.#record = { owner, namespaces: [], processes: [], directories: [] };
    this.#recordPath = join(recordDirectory, `${this.prefix}.json`);
    process.once('exit', this.#onExit);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, this.#onSignal);
  }

  /** Reserves the name of a network namespace that is about to be made. */
  namespace(name: string): string {
    const full = `${this.prefix}-${name}`;
    if (this.#record.namespaces.includes(full)) throw new Error(`the lab already has a namespace ${full}`);
    this.#record.namespaces.push(full);
    this.#save();
    return full;
  }

  /** Forgets a namespace that was deleted. */
  dropNamespace(full: string): void {
    remove(this.#record.namespaces, full);
    this.#save();
  }

  /** Notes a process group led by `pid`; it ends with the lab. */
  addProcess(pid: number): void {
    const id = identify(pid);
    if (id === undefined) return;
    this.#record.processes.push(id);
    this.#save();
  }

  /** Forgets a process that has ended. */
  dropProcess(pid: number): void {
    const at = this.#record.processes.findIndex((process) => process.pid === pid);
    if (at !== -1) this.#record.processes.splice(at, 1);
    this.#save();
  }

  /** Makes a directory that ends with the lab. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
    this.#record.directories.push(path);
    this.#save();
    return path;
  }

  /** Removes everything, without waiting for anything; may be called again. */
  releaseNow(): void {
    process.off('exit', this.#onExit);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#onSignal);
    release(this.#record);
    rmSync(this.#recordPath, { force: true });
    for (const list of [this.#record.namespaces, this.#record.processes, this.#record.directories]) list.length = 0;
  }

  /** Removes everything and waits until the killed processes are gone. */
  async release(): Promise<void> {
    const processes = [...this.#record.processes];
    this.releaseNow();
    for (let tries = 0; tries < 200 && processes.some(isAlive); tries += 1) await sleep(10);
  }

  #save(): void {
    mkdirSync(recordDirectory, { recursive: true });
    writeFileSync(this.#recordPath, JSON.stringify(this.#record));
  }
}

/** Removes what labs of dead processes left behind; labs of living processes are not touched. */
export function sweep(): void {
  mkdirSync(recordDirectory, { recursive: true });
  for (const name of readdirSync(recordDirectory)) {
    const path = join(recordDirectory, name);
    const record = readRecord(path);
    if (record === undefined || isAlive(record.owner)) continue;
    release(record);
    rmSync(path, { force: true });
  }
}

function readRecord(path: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LabRecord;
  } catch (error) {
    // Half written or just removed by its owner, who is then alive: the next sweep decides.
    if (error instanceof SyntaxError || isMissing(error)) return undefined;
    throw error;
  }
}

function release(record: LabRecord): void {
  for (const process of record.processes) if (isAlive(process)) kill(-process.pid);
  const present = new Set(listNamespaces());
  const namespaces = record.namespaces.filter((name) => present.has(name));
  for (const pid of processesIn(namespaces)) kill(pid);
  if (namespaces.length > 0) {
    const input = namespaces.map((name) => `netns del ${name}\n`).join('');
    const result = spawnSync('ip', ['-force', '-batch', '-'], { input, encoding: 'utf8' });
    if (result.status !== 0) process.stderr.write(`lab: ${result.stderr}`);
  }
  for (const path of record.directories) rmSync(path, { recursive: true, force: true });
}

/** The names of all network namespaces of this machine. */
export function listNamespaces(): string[] {
  try {
    return readdirSync(namespaceDirectory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Processes that live in one of these namespaces, ours excepted: whatever a killed child had started there. */
function processesIn(namespaces: readonly string[]): number[] {
  const inodes = new Set(namespaces.map((name) => `net:[${String(statSync(join(namespaceDirectory, name)).ino)}]`));
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      if (inodes.has(readlinkSync(`/proc/${entry}/ns/net`))) found.push(Number(entry));
    } catch (error) {
      // Processes may end meanwhile; one that even root may not look at (pid 1 of a sandbox) is not from a lab.
      if (!isMissing(error) && !isGone(error) && !isForbidden(error)) throw error;
    }
  }
  return found;
}

function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : { pid, started: fields[18] ?? '' };
  } catch (error) {
    if (isMissing(error) || isGone(error)) return undefined;
    throw error;
  }
}

function isAlive(process: ProcessId): boolean {
  return identify(process.pid)?.started === process.started;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ESRCH';
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at !== -1) list.splice(at, 1);
}
