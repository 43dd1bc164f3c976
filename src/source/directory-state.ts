import type { Diagnostic, Span } from '../model/diagnostic.ts';
import { err } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import { field, isRawObject } from '../model/decode/raw-value.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { sameStamp } from './directory-listing.ts';
import type { DirectoryListing } from './directory-listing.ts';
import { decodeDocuments } from './manifests/decode-documents.ts';
import { duplicateObject } from './manifests/duplicate-object.ts';
import { inputDiagnostic } from './manifests/input-diagnostic.ts';
import { cannotRead } from './manifests/list-files.ts';
import { parseManifests } from './manifests/yaml.ts';
import { objectTitle, resourceKinds } from './object-name.ts';

/** What is in force of one file, and what is wrong with its present text. */
interface FileState {
  readonly stamp: Result<string, string>;
  /** By title; with whether nothing in the object was refused. */
  readonly objects: ReadonlyMap<string, { readonly object: ModelObject; readonly clean: boolean }>;
  readonly diagnostics: readonly Diagnostic[];
  /** Some of the text could not be read and may hold policies. */
  readonly mayHidePolicies: boolean;
}

/** What a directory stands for as a whole. */
export interface DesiredObjects {
  /** By title: the one object of each name that counts. */
  readonly objects: ReadonlyMap<string, ModelObject>;
  /** By file, for every file that is there; without entries if nothing is wrong. */
  readonly reports: ReadonlyMap<string, readonly Diagnostic[]>;
}

/**
 * The files of a directory and what each stands for. A text that cannot be used, or that spoils an object which was
 * fine before, leaves in force what was read from that file last; so a mistake in a file changes nothing but the report.
 */
export class DirectoryState {
  #files: ReadonlyMap<string, FileState> = new Map();
  #first = true;
  #desired: DesiredObjects | undefined;

  /** Files of a listing whose text is needed. */
  changedFiles(listing: DirectoryListing): readonly string[] {
    return [...listing.files]
      .filter(([path, stamp]) => stamp.ok && !sameStamp(stamp, this.#files.get(path)?.stamp))
      .map(([path]) => path);
  }

  /** Files of which something could not be read that may be a policy: without it pods may be open. */
  hiding(): readonly string[] {
    return [...this.#files].filter(([, file]) => file.mayHidePolicies).map(([path]) => path);
  }

  /** Takes a listing and the texts of {@link DirectoryState.changedFiles}; forgets files that are gone. */
  update(listing: DirectoryListing, texts: ReadonlyMap<string, Result<string, string>>): void {
    const files = new Map<string, FileState>();
    for (const [path, stamp] of listing.files) {
      const before = this.#files.get(path);
      if (before !== undefined && sameStamp(stamp, before.stamp)) files.set(path, before);
      else {
        const text = stamp.ok ? (texts.get(path) ?? err('its text was not read')) : err(stamp.error);
        files.set(path, this.#read(path, stamp, text, before));
      }
    }
    this.#files = files;
    this.#first = false;
    this.#desired = undefined;
  }

  /** The objects of all files. Of two files with one object the first by path counts. */
  desired(): DesiredObjects {
    return (this.#desired ??= this.#combine());
  }

  #combine(): DesiredObjects {
    const objects = new Map<string, ModelObject>();
    const reports = new Map<string, readonly Diagnostic[]>();
    const uids = new Set<string>();
    for (const [path, file] of this.#files) {
      const diagnostics = [...file.diagnostics];
      for (const [title, { object }] of file.objects) {
        const winner = objects.get(title);
        if (winner !== undefined) diagnostics.push(duplicateObject(winner, object, startOf(object, path)));
        else objects.set(title, withOwnUid(object, title, uids));
      }
      reports.set(path, diagnostics);
    }
    return { objects, reports };
  }

  #read(path: string, stamp: Result<string, string>, text: Result<string, string>, before?: FileState): FileState {
    const kept = before?.objects ?? new Map<string, never>();
    if (!text.ok) {
      const diagnostics = [cannotRead(path, text.error), ...keptNote(path, kept.size)];
      return { stamp, objects: kept, diagnostics, mayHidePolicies: true };
    }
    const parsed = parseManifests(text.value, path);
    const decoded = decodeDocuments(parsed.documents);
    const diagnostics = [...parsed.diagnostics, ...decoded.diagnostics];
    const objects = new Map<string, { object: ModelObject; clean: boolean }>();
    for (const { object, clean } of decoded.objects) {
      const title = objectTitle(object);
      const earlier = objects.get(title);
      if (earlier !== undefined) diagnostics.push(duplicateObject(object, earlier.object, startOf(object, path)));
      objects.set(title, { object, clean });
    }
    const torn = parsed.diagnostics.some(({ severity }) => severity === 'error');
    const broken = decoded.refused.length > 0 || torn;
    const mayHidePolicies = torn || decoded.refused.some(({ raw }) => mayBePolicy(raw));
    const spoilt = [...objects].some(([title, { clean }]) => !clean && kept.get(title)?.clean === true);
    // In the first look there is nothing to keep: what can be read of a broken file then closes more than nothing would.
    if ((broken && !(this.#first && before === undefined)) || spoilt) {
      return { stamp, objects: kept, diagnostics: [...diagnostics, ...keptNote(path, kept.size)], mayHidePolicies };
    }
    return { stamp, objects, diagnostics, mayHidePolicies };
  }
}

/** Without an object of another kind pods are unknown or match less: closed. */
function mayBePolicy(raw: unknown): boolean {
  const kind = isRawObject(raw) ? field(raw, 'kind') : undefined;
  return !resourceKinds.some((known) => known === kind && known !== 'NetworkPolicy');
}

function keptNote(path: string, count: number): readonly Diagnostic[] {
  const what = count === 1 ? 'the object' : `the ${count} objects`;
  return [
    inputDiagnostic(
      'I006',
      'warning',
      count === 0
        ? `nothing of ${path} is in force`
        : `${what} last read from ${path} stay${count === 1 ? 's' : ''} in force`,
      'changes in this file take effect when all of it can be used',
    ),
  ];
}

function startOf(object: ModelObject, path: string): Span {
  const { source } = object;
  const start = source.kind === 'file' ? { line: source.line, column: source.column } : { line: 1, column: 1 };
  return { file: path, start, end: { line: start.line, column: start.column + 1 } };
}

/** Copied manifests may carry the uid of what they were copied from; two objects must not share one. */
function withOwnUid(object: ModelObject, title: string, uids: Set<string>): ModelObject {
  const taken = uids.has(`${object.kind} ${object.uid}`);
  const own = taken ? { ...object, uid: `${title} (uid ${object.uid} is taken)` } : object;
  uids.add(`${own.kind} ${own.uid}`);
  return own;
}
