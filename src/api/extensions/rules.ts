/** Validation rules (`x-kubernetes-validations`) of schemas and values. */
import type { FieldError } from '../machinery/field.js';
import type { KubeObject } from '../machinery/types.js';
import type { Schema } from './schema.js';

/** What is wrong with the rules of a schema. */
export function ruleErrors(_schema: Schema, _path: string, _old?: Schema): FieldError[] {
  return [];
}

/** Checks objects by all rules of their schema. */
export function compileRules(_schema: Schema): (object: KubeObject, old?: KubeObject) => FieldError[] {
  return () => [];
}
