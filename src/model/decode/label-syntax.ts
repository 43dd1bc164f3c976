const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const label = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const word = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Whether the text is a DNS-1123 subdomain of at most 253 characters: the name of most objects. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

/** Whether the text is a DNS-1123 label of at most 63 characters: the name of a namespace. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** Whether the text is a label key: an optional DNS prefix and a slash, then a name of at most 63 characters (semantics 81). */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash >= 0 && !isSubdomain(text.slice(0, slash))) return false;
  const name = text.slice(slash + 1);
  return name.length <= 63 && word.test(name);
}

/** Whether the text is a label value: empty, or at most 63 characters (semantics 81). */
export function isLabelValue(text: string): boolean {
  return text === '' || (text.length <= 63 && word.test(text));
}

/** Whether the text is a port name: lower case, at most 15 characters, at least one letter, single inner hyphens (semantics 77). */
export function isPortName(text: string): boolean {
  return text.length <= 15 && /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(text) && /[a-z]/.test(text);
}
