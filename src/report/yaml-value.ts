import type { Json } from './explanation-json.ts';

const plainText = /^[A-Za-z][\w./ -]*$/;
const keyword = /^(?:true|false|yes|no|on|off|null|y|n)$/i;

/** A JSON value as block YAML; texts that could be read as something else are quoted. Ends with a line break. */
export function renderYaml(value: Json): string {
  return `${lines(value).join('\n')}\n`;
}

function lines(value: Json): readonly string[] {
  if (isList(value)) {
    if (value.length === 0) return ['[]'];
    return value.flatMap((item) => {
      const [first = '', ...rest] = lines(item);
      return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
    });
  }
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value);
    return entries.length === 0 ? ['{}'] : entries.flatMap(([key, inner]) => entry(key, inner));
  }
  return [scalar(value)];
}

function entry(key: string, value: Json): readonly string[] {
  const inner = lines(value);
  const nested =
    value !== null && typeof value === 'object' && (isList(value) ? value.length > 0 : Object.keys(value).length > 0);
  return nested ? [`${scalar(key)}:`, ...inner.map((line) => `  ${line}`)] : [`${scalar(key)}: ${inner[0] ?? ''}`];
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function scalar(value: null | boolean | number | string): string {
  if (typeof value !== 'string') return String(value);
  return plainText.test(value) && !value.endsWith(' ') && !keyword.test(value) ? value : JSON.stringify(value);
}
