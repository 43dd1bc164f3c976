/** Where an object was read from. */
export type SourceRef =
  /** A manifest: `document` counts YAML documents from 0; `item` is the index in a List. Line and column are 1-based and point at the object. */
  | {
      readonly kind: 'file';
      readonly file: string;
      readonly document: number;
      readonly item?: number;
      readonly line: number;
      readonly column: number;
    }
  | { readonly kind: 'cluster'; readonly resourceVersion: string };

/** A step into an object: a key or a list index. */
export type FieldPath = readonly (string | number)[];

/** `spec.ingress[0].from[1]`. Keys with other characters than letters, digits and inner hyphens are quoted. */
export function formatFieldPath(path: FieldPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z][A-Za-z0-9-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
