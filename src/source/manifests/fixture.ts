import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { compareText } from '../../model/names.ts';
import { formatFieldPath } from '../../model/source-ref.ts';
import type { FieldPath } from '../../model/source-ref.ts';
import type { ResourceKind } from '../source.ts';
import { decodeDocuments, withSpan } from './decode-documents.ts';
import type { LoadedObject } from './decode-documents.ts';
import type { ManifestDocument } from './document.ts';
import { loadManifests } from './files.ts';
import { isUnread } from './input-diagnostic.ts';
import { cannotRead } from './list-files.ts';
import { isMapping } from './marks.ts';
import { describeFileError, readTextFile } from './read-file.ts';
import { parseManifests } from './yaml.ts';

/** What a flow, or one side of it, is expected to be answered. */
export type ExpectedVerdict = 'allow' | 'deny';

/** A question with its expected answer, as `flows.yaml` holds it. Ends are `namespace/pod`, `node/NAME` or an address. */
export interface ExpectedFlow {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** Given when both ends share both families. */
  readonly family?: 'IPv4' | 'IPv6';
  readonly expect: ExpectedVerdict;
  readonly egress?: ExpectedVerdict;
  readonly ingress?: ExpectedVerdict;
  /** Names of documentation gaps whose other reading flips the answer: never failed. */
  readonly disputed?: readonly string[];
  readonly note?: string | number;
}

/** An object to delete, by name. */
export interface ObjectRef {
  readonly kind: ResourceKind;
  readonly namespace?: string;
  readonly name: string;
}

/** One step of a case: deletions first, then `apply` creates or wholly replaces; the flows hold afterwards. */
export interface CaseStep {
  readonly delete: readonly ObjectRef[];
  readonly apply: readonly LoadedObject[];
  readonly flows: readonly ExpectedFlow[];
}

/** One case folder. */
export interface CaseFixture {
  readonly folder: string;
  readonly objects: readonly LoadedObject[];
  readonly expectation:
    | { readonly kind: 'flows'; readonly flows: readonly ExpectedFlow[] }
    | { readonly kind: 'steps'; readonly steps: readonly CaseStep[] }
    /** The flows file cannot be used; the diagnostics say why. */
    | { readonly kind: 'unusable' };
  /** About objects (which are judged all the same) and about the files. */
  readonly diagnostics: readonly Diagnostic[];
}

interface RawStep {
  readonly delete?: readonly ObjectRef[];
  readonly apply?: readonly Readonly<Record<string, unknown>>[];
  readonly flows: readonly ExpectedFlow[];
}

const verdict: z.ZodType<ExpectedVerdict> = z.enum(['allow', 'deny']);

const flow: z.ZodType<ExpectedFlow> = z.strictObject({
  from: z.string().min(1),
  to: z.string().min(1),
  port: z.int().min(1).max(65535),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']),
  family: z.exactOptional(z.enum(['IPv4', 'IPv6'])),
  expect: verdict,
  egress: z.exactOptional(verdict),
  ingress: z.exactOptional(verdict),
  disputed: z.exactOptional(z.array(z.string().min(1))),
  note: z.exactOptional(z.union([z.string(), z.number()])),
});

const objectRef: z.ZodType<ObjectRef> = z.strictObject({
  kind: z.enum(['Namespace', 'Node', 'Pod', 'Service', 'NetworkPolicy']),
  namespace: z.exactOptional(z.string()),
  name: z.string().min(1),
});

const step: z.ZodType<RawStep> = z.strictObject({
  delete: z.exactOptional(z.array(objectRef)),
  apply: z.exactOptional(z.array(z.record(z.string(), z.unknown()))),
  flows: z.array(flow),
});

const flowsFile: z.ZodType<{ readonly flows: readonly ExpectedFlow[] }> = z.strictObject({ flows: z.array(flow) });
const stepsFile: z.ZodType<{ readonly steps: readonly RawStep[] }> = z.strictObject({ steps: z.array(step) });

const endings = ['json', 'yaml', 'yml'] as const;

/** Policies may stand in a file of their own. */
const policyNames = ['policies', 'policy'] as const;

/**
 * Reads a folder of `cluster.{json,yaml}` and `flows.{json,yaml}`, with `policies` or `policy` beside them if they are
 * there. Never throws on bad input.
 */
export function loadCase(folder: string): CaseFixture {
  const cluster = caseFile(folder, 'cluster');
  const flows = caseFile(folder, 'flows');
  const policies = policyNames.flatMap((name) => caseFile(folder, name) ?? []);
  const loaded = cluster === undefined ? undefined : loadManifests({ paths: [cluster, ...policies] });
  const diagnostics: Diagnostic[] = [...(loaded?.diagnostics ?? [missing(folder, 'cluster')])];
  // Without a text that cannot be read the answers might be others.
  const judgeable = !diagnostics.some(isUnread);
  const expectation = flows === undefined || !judgeable ? undefined : readExpectation(flows, diagnostics);
  if (flows === undefined) diagnostics.push(missing(folder, 'flows'));
  return { folder, objects: loaded?.objects ?? [], expectation: expectation ?? { kind: 'unusable' }, diagnostics };
}

/**
 * The case folders behind given directories: a directory that holds a case stands for itself, any other for the cases
 * below it, sorted by path. A directory without a case is reported.
 */
export function findCaseFolders(directories: readonly string[]): {
  readonly folders: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
} {
  const folders: string[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const directory of directories) {
    const before = folders.length;
    try {
      collectCases(directory, folders);
      if (folders.length === before) diagnostics.push(missing(directory, 'flows'));
    } catch (error) {
      diagnostics.push(cannotRead(directory, describeFileError(error)));
    }
  }
  return { folders, diagnostics };
}

function collectCases(directory: string, folders: string[]): void {
  if (caseFile(directory, 'flows') !== undefined) {
    folders.push(directory);
    return;
  }
  const entries = readdirSync(directory, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
    if (entry.isDirectory() && !entry.name.startsWith('.')) collectCases(join(directory, entry.name), folders);
  }
}

function caseFile(folder: string, name: 'cluster' | 'flows' | (typeof policyNames)[number]): string | undefined {
  return endings
    .map((ending) => join(folder, `${name}.${ending}`))
    .find((path) => existsSync(path) && statSync(path).isFile());
}

function missing(folder: string, name: 'cluster' | 'flows'): Diagnostic {
  return {
    code: 'I007',
    severity: 'error',
    message: `${folder} holds no ${name}.yaml or ${name}.json`,
    help: 'a case is a folder with cluster.yaml (objects) and flows.yaml (questions with expected answers)',
  };
}

function readExpectation(path: string, diagnostics: Diagnostic[]): CaseFixture['expectation'] | undefined {
  const text = readTextFile(path);
  if (!text.ok) {
    diagnostics.push(cannotRead(path, text.error));
    return undefined;
  }
  const parsed = parseManifests(text.value, path);
  diagnostics.push(...parsed.diagnostics);
  const [document, second] = parsed.documents;
  if (document === undefined || second !== undefined) {
    diagnostics.push(...wrongCount(path, second));
    return undefined;
  }
  const stepped = isMapping(document.raw) && Object.hasOwn(document.raw, 'steps');
  return stepped ? readSteps(document, diagnostics) : readFlows(document, diagnostics);
}

function readFlows(document: ManifestDocument, diagnostics: Diagnostic[]): CaseFixture['expectation'] | undefined {
  const checked = flowsFile.safeParse(document.raw);
  if (checked.success) return { kind: 'flows', flows: checked.data.flows };
  diagnostics.push(...diagnosticsOf(checked.error, document));
  return undefined;
}

function readSteps(document: ManifestDocument, diagnostics: Diagnostic[]): CaseFixture['expectation'] | undefined {
  const checked = stepsFile.safeParse(document.raw);
  if (!checked.success) {
    diagnostics.push(...diagnosticsOf(checked.error, document));
    return undefined;
  }
  const steps = checked.data.steps.map((raw, index): CaseStep => {
    const documents = (raw.apply ?? []).map((object, at) => part(document, object, ['steps', index, 'apply', at], at));
    const decoded = decodeDocuments(documents);
    diagnostics.push(...decoded.diagnostics);
    return { delete: raw.delete ?? [], apply: decoded.objects, flows: raw.flows };
  });
  return { kind: 'steps', steps };
}

function wrongCount(path: string, second: ManifestDocument | undefined): readonly Diagnostic[] {
  const span = second?.locateNearest([]).spans.value;
  return [
    {
      code: 'I007',
      severity: 'error',
      message: second === undefined ? `${path} holds no document` : `${path} holds more than one document`,
      help: 'it must hold one mapping with "flows" or "steps"',
      ...(span === undefined ? {} : { span }),
    },
  ];
}

function diagnosticsOf(error: z.ZodError, document: ManifestDocument): readonly Diagnostic[] {
  return error.issues.map((issue) => {
    const path: FieldPath = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    const diagnostic: Diagnostic = {
      code: 'I007',
      severity: 'error',
      message: `${formatFieldPath(path) || 'the file'}: ${issue.message}`,
      help: 'the case cannot be judged until its flows file is correct',
      path: [...path, ...unknown],
      source: document.source,
    };
    return withSpan(diagnostic, document);
  });
}

/** An object inside a flows file as a document of its own. */
function part(whole: ManifestDocument, raw: unknown, prefix: FieldPath, item: number): ManifestDocument {
  const { start } = whole.locateNearest(prefix).spans.value;
  return {
    raw,
    source: { ...whole.source, item, ...start },
    text: whole.text,
    locate: (path) => whole.locate([...prefix, ...path]),
    locateNearest: (path) => {
      const nearest = whole.locateNearest([...prefix, ...path]);
      return { path: nearest.path.slice(prefix.length), spans: nearest.spans };
    },
  };
}
