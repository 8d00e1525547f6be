/** What expressions of MutatingAdmissionPolicies can make besides: `Object{…}` configurations and `JSONPatch{…}`. */
import { type AdmissionScope, admissionEnvironment } from './admission.js';
import { func } from './declare.js';
import type { Environment } from './env.js';
import { DYN, type Field, objectOf, STRING, type Type } from './types.js';

/** An apply configuration; its fields are any, and objects in it are `Object.<path>{…}`. */
export const APPLY_CONFIGURATION = objectOf('Object', anyFields());

export const JSON_PATCH = objectOf('JSONPatch', { op: STRING, path: STRING, from: STRING, value: DYN });

/** Every name is a field: the schema has its say when the configuration is applied. */
function anyFields(): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  fields.get = (name) => ({ type: DYN, property: name });
  return fields;
}

function struct(name: string): Type | undefined {
  if (name === APPLY_CONFIGURATION.name) return APPLY_CONFIGURATION;
  if (name === JSON_PATCH.name) return JSON_PATCH;
  return name.startsWith('Object.') ? objectOf(name, anyFields()) : undefined;
}

/** In a JSON pointer `~` and `/` of a key are written otherwise. */
const escapeKey = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

export const mutationEnvironment = (scope: AdmissionScope): Environment =>
  admissionEnvironment(scope).extend({
    struct,
    functions: [func('jsonpatch.escapeKey(string): string', escapeKey)],
  });
