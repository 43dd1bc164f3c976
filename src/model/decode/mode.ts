import type { Findings } from './findings.ts';
import { field, isRawObject, showValue } from './raw-value.ts';

/** The annotation on a NetworkPolicy or Namespace that turns denying into recording what would be denied. */
const modeAnnotation = 'nftpolicy.dev/mode';

/** Reads the mode annotation. Anything but `audit` enforces; `effect` says what that means for the object. */
export function decodeMode(annotations: unknown, effect: string, findings: Findings): 'enforce' | 'audit' {
  const value = isRawObject(annotations) ? field(annotations, modeAnnotation) : undefined;
  if (value === undefined || value === 'enforce') return 'enforce';
  if (value === 'audit') return 'audit';
  findings.warning(
    'D115',
    ['metadata', 'annotations', modeAnnotation],
    `unknown mode ${showValue(value)}`,
    `Modes are "enforce" and "audit". ${effect}`,
  );
  return 'enforce';
}
