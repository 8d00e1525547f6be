/** Which field of a type has which protobuf number, from the table of facts; built on first use. */
import { typeSchema } from '../build.js';
import { typeFact } from '../facts.js';
import type { FieldSchema, ValueSchema } from '../types.js';

/** One numbered field of a message. */
export interface MessageField {
  number: number;
  /** The JSON name; absent for an inlined type, whose fields stand in the parent's JSON object. */
  field?: FieldSchema;
  /** The type of a message that is inlined in JSON only. */
  inlined?: string;
}

export interface Message {
  /** In the order of their numbers, as they are written. */
  fields: readonly MessageField[];
  byNumber: ReadonlyMap<number, MessageField>;
}

const messages = new Map<string, Message>();

/** The message of a type such as `core/v1.Pod`. */
export function messageOf(name: string): Message {
  const known = messages.get(name);
  if (known) return known;
  const fact = typeFact(name);
  const schema = typeSchema(name)?.fields;
  const fields: MessageField[] = [];
  for (const { type, pb } of fact?.inline ?? [])
    if (pb !== undefined) fields.push({ number: pb, inlined: type });
  for (const [json, { pb }] of Object.entries(fact?.fields ?? {}))
    if (pb !== undefined) fields.push({ number: pb, field: schema?.get(json) as FieldSchema });
  fields.sort((a, b) => a.number - b.number);
  const message = { fields, byNumber: new Map(fields.map((field) => [field.number, field])) };
  messages.set(name, message);
  return message;
}

/** The numbers of JSON schema's unions: which is the schema, and which the other. */
export const UNIONS = {
  schemaOrArray: { schema: 1, other: 2 },
  schemaOrBool: { schema: 2, other: 1 },
  schemaOrStringArray: { schema: 1, other: 2 },
} as const;

/** Whether a list is a message of its own, with its elements in field 1. */
export function isListMessage(value: ValueSchema): boolean {
  return value.alias !== undefined && /\.(ExtraValue|Verbs)$/.test(value.alias);
}

/** The bytes that protobuf bodies of the API begin with. */
export const MAGIC = Buffer.from('k8s\0');
