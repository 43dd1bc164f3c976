/** Members of an object by name. */
export type Properties = Readonly<Record<string, object>>;

/** An object that holds exactly these members; those under `optional` may be absent. */
export const closed = (properties: Properties, optional: Properties = {}): object => ({
  type: 'object',
  properties: { ...properties, ...optional },
  required: Object.keys(properties),
  additionalProperties: false,
});

export const list = (items: object): object => ({ type: 'array', items });
export const ref = (name: string): object => ({ $ref: `#/$defs/${name}` });
export const text = (description: string): object => ({ description, type: 'string' });
export const count = (description: string): object => ({ description, type: 'integer', minimum: 0 });
/** `NAMESPACE/NAME`. */
export const key = (description: string): object => ({ description, type: 'string', pattern: '^[^/]+/[^/]+$' });
