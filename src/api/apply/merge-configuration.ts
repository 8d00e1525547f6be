/** An apply configuration's fields in an object, without an owner: what admission policies make of it. */
import type { KubeObject } from '../machinery/types.js';
import { merge } from './merge.js';
import { deduce, isMap, memberShape, type Shape, shapeOfKind } from './shape.js';
import { validate } from './validate.js';

/** The object with the configuration merged in by the schema. Throws Error where it does not fit, or would replace something atomic. */
export function mergeConfiguration(object: KubeObject, configuration: KubeObject): KubeObject {
  const shape = shapeOfKind(object.apiVersion, object.kind);
  const problem = validate(shape, configuration);
  if (problem !== undefined) throw new Error(`failed to convert patch object to typed object: ${problem}`);
  const atomic = atomics(shape, configuration, '');
  if (atomic.length > 0)
    throw new Error(
      `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`,
    );
  return merge(shape, object, configuration) as KubeObject;
}

/** Whoever sets part of an atomic value would drop the rest of it unawares. */
function atomics(shape: Shape, value: unknown, path: string): string[] {
  const deduced = deduce(shape, value);
  const own =
    'atomic' in deduced && deduced.atomic && typeof value === 'object' && value !== null ? [path] : [];
  if (Array.isArray(value) && deduced.form === 'list' && 'item' in deduced)
    return [
      ...own,
      ...value.flatMap((item, i) => atomics((deduced as { item: Shape }).item, item, `${path}[${i}]`)),
    ];
  if (!isMap(value)) return own;
  return [
    ...own,
    ...Object.entries(value).flatMap(([name, member]) => {
      const inner = memberShape(deduced, name);
      return inner ? atomics(inner, member, `${path}.${name}`) : [];
    }),
  ];
}
