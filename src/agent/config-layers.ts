import type { z } from 'zod';

import type { Diagnostic, Span } from '../model/diagnostic.ts';
import { suggest } from '../model/decode/suggest.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import type { ManifestDocument } from '../source/manifests/document.ts';
import { readTextFile } from '../source/manifests/read-file.ts';
import { parseManifests } from '../source/manifests/yaml.ts';
import { completeConfig, configFileSchema } from './config.ts';
import type { AgentConfig, PartialConfig } from './config.ts';
import { agentOptionNames, agentOptions, flagOf, variableOf } from './option-table.ts';
import type { AgentOptionName } from './option-table.ts';

/** Every code about the configuration, with its short name. */
export const configCodes = {
  C001: 'unreadable-config',
  C002: 'unknown-option',
  C003: 'invalid-option',
  C004: 'missing-option',
  C005: 'contradicting-options',
} as const;

/** What the outside said, before anybody checked it. */
export interface ConfigInput {
  /** Values of flags by option name; a flag that was not given is absent. */
  readonly flags: Readonly<Partial<Record<AgentOptionName, string | boolean>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the configuration file. */
  readonly file?: string;
}

/** A configuration, and what was odd about where it came from. */
export interface ReadConfig {
  readonly config: AgentConfig;
  readonly warnings: readonly Diagnostic[];
}

/**
 * Puts the configuration together: flags win over the environment, the environment over the file. Answers all problems
 * of all layers at once, also of values that another layer overrides.
 */
export function readConfig(input: ConfigInput): Result<ReadConfig, readonly Diagnostic[]> {
  const problems: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  const file = input.file === undefined ? {} : readFileLayer(input.file, problems, warnings);
  problems.sort((a, b) => lineOf(a) - lineOf(b));
  const env = readEnvironment(input.env, problems);
  const flags = readFlags(input.flags, problems);
  const given: PartialConfig = { ...file, ...env.layer, ...flags };
  if (given.manifests !== undefined && (given.kubeconfig !== undefined || given.context !== undefined)) {
    problems.push(
      problem('C005', 'manifests cannot be used together with kubeconfig or context', 'Choose one source of objects.'),
    );
  }
  const config = completeConfig(given);
  if (config === undefined && problems.length === 0) {
    problems.push(
      problem(
        'C004',
        'the name of this node is not known',
        'Set --node, NODE_NAME (in a DaemonSet from spec.nodeName) or node in the configuration file.',
      ),
    );
  }
  return config === undefined || problems.length > 0
    ? err(problems)
    : ok({ config, warnings: [...warnings, ...env.warnings] });
}

function lineOf({ span }: Diagnostic): number {
  return span?.start.line ?? 0;
}

function readFileLayer(file: string, problems: Diagnostic[], warnings: Diagnostic[]): PartialConfig {
  const text = readTextFile(file);
  if (!text.ok) {
    problems.push(
      problem('C001', `cannot read ${file}: ${text.error}`, 'Name a readable file, or leave --config out.'),
    );
    return {};
  }
  const { documents, diagnostics } = parseManifests(text.value, file);
  problems.push(...diagnostics.filter(({ severity }) => severity === 'error'));
  // A key that stands twice, or a value that YAML reads otherwise than it looks.
  warnings.push(...diagnostics.filter(({ severity }) => severity === 'warning'));
  const [document] = documents;
  if (document === undefined) return {};
  if (documents.length > 1) {
    problems.push(problem('C001', `${file} holds ${documents.length} documents`, 'One is needed.'));
  }
  const { raw } = document;
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const help = `Options are ${agentOptionNames.join(', ')}.`;
    problems.push({ ...problem('C001', 'a map of options is needed', help), ...spanOf(document, []) });
    return {};
  }
  return checkLayer(raw as Record<string, unknown>, (key) => ({ ...spanOf(document, [key]) }), problems);
}

function readEnvironment(
  env: ConfigInput['env'],
  problems: Diagnostic[],
): { readonly layer: PartialConfig; readonly warnings: readonly Diagnostic[] } {
  const values = new Map<AgentOptionName, unknown>();
  const givenBy = new Map<string, string>();
  const take = (name: AgentOptionName, variable: string): void => {
    const text = env[variable];
    if (text === undefined || text === '') return;
    values.set(name, fromText(name, text));
    givenBy.set(name, variable);
  };
  take('node', 'NODE_NAME');
  for (const name of agentOptionNames) take(name, variableOf(name));
  const known = new Set([...agentOptionNames.map(variableOf), 'NFTPOLICY_CONFIG', 'NFTPOLICY_DEBUG']);
  // Kubernetes sets such variables in every pod where a Service has our name.
  const ofService = /^NFTPOLICY_(?:SERVICE_|PORT$|PORT_|[A-Z0-9_]*_SERVICE_(?:HOST|PORT)|[A-Z0-9_]*_PORT(?:_|$))/;
  const strange = Object.keys(env).filter(
    (key) => key.startsWith('NFTPOLICY_') && !known.has(key) && !ofService.test(key),
  );
  const warnings = strange.map((key): Diagnostic => {
    const meant = suggest(key, [...known]);
    const help = meant === undefined ? 'It is ignored.' : `Did you mean ${meant}? It is ignored.`;
    return { code: 'C002', severity: 'warning', message: `unknown environment variable ${key}`, help };
  });
  const place = (key: string): PlaceOf => ({ where: givenBy.get(key) ?? key });
  return { layer: checkLayer(Object.fromEntries(values), place, problems), warnings };
}

function readFlags(flags: ConfigInput['flags'], problems: Diagnostic[]): PartialConfig {
  const values = agentOptionNames.flatMap((name) => {
    const value = flags[name];
    return value === undefined ? [] : [[name, typeof value === 'string' ? fromText(name, value) : value] as const];
  });
  return checkLayer(Object.fromEntries(values), (key) => ({ where: flagOf(key as AgentOptionName) }), problems);
}

/** Where a value stands: a span of the file, or the name of a flag or variable. */
interface PlaceOf {
  readonly span?: Span;
  readonly where?: string;
}

/** The valid values of one layer; the others become problems. */
function checkLayer(
  values: Record<string, unknown>,
  place: (key: string) => PlaceOf,
  problems: Diagnostic[],
): PartialConfig {
  const result = configFileSchema.safeParse(values);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const meant = suggest(key, agentOptionNames);
        const help = meant === undefined ? `Options are ${agentOptionNames.join(', ')}.` : `Did you mean ${meant}?`;
        problems.push({ ...problem('C002', `unknown option ${JSON.stringify(key)}`, help), ...spanPart(place(key)) });
      }
      continue;
    }
    const key = String(issue.path[0]);
    const { where } = place(key);
    const shown = JSON.stringify(values[key]) ?? String(values[key]);
    const message = `${where ?? key}: ${shown} cannot be used`;
    problems.push({ ...problem('C003', message, explain(issue)), ...spanPart(place(key)) });
  }
  const bad = new Set(result.error.issues.map(({ path }) => path[0]));
  const rest = Object.entries(values).filter(([key]) => !bad.has(key) && (agentOptionNames as string[]).includes(key));
  const retry = configFileSchema.safeParse(Object.fromEntries(rest));
  return retry.success ? retry.data : {};
}

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `Choose ${issue.values.map(String).join(' or ')}.`;
  // YAML reads `n`, `on` and `5` as something else than text.
  if (issue.code === 'invalid_type' && issue.expected === 'string') return 'A text is needed: quote it.';
  if (issue.code === 'invalid_type') return `A ${issue.expected} is needed.`;
  return `${issue.message.charAt(0).toUpperCase()}${issue.message.slice(1)}.`;
}

/** Flags and variables are texts; a text that is no boolean is left for the schema to refuse. */
function fromText(name: AgentOptionName, text: string): unknown {
  if (agentOptions[name].type !== 'boolean') return text;
  return text === 'true' ? true : text === 'false' ? false : text;
}

function spanOf(document: ManifestDocument, path: readonly string[]): { readonly span?: Span } {
  const spans = document.locate(path);
  return spans === undefined ? {} : { span: spans.key ?? spans.value };
}

function spanPart({ span }: PlaceOf): { readonly span?: Span } {
  return span === undefined ? {} : { span };
}

function problem(code: keyof typeof configCodes, message: string, help: string): Diagnostic {
  return { code, severity: 'error', message, help };
}
