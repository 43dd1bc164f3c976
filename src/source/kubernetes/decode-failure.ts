import type { Diagnostic } from '../../model/diagnostic.ts';
import type { WireObject } from './codec.ts';

/** An object that is no model object, in a watch. The stream ends before it, so that it is not skipped. */
export class DecodeFailure extends Error {
  override readonly name = 'DecodeFailure';
  readonly object: WireObject;
  readonly diagnostics: readonly Diagnostic[];

  constructor(object: WireObject, diagnostics: readonly Diagnostic[]) {
    super(`cannot decode ${object.namespace}/${object.name}: ${diagnostics[0]?.message ?? 'no reason given'}`);
    this.object = object;
    this.diagnostics = diagnostics;
  }
}
