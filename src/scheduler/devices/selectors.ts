/** Whether devices are what a request asks for: selectors of its class and its own. */
import type { DeviceClass, DeviceSelector } from '#types';
import { compileSelector, deviceInput } from '../../api/cel/index.js';
import type { PoolDevice } from './pools.js';

/** Compiled expressions, the last used ones. */
const MAX_PROGRAMS = 500;
const programs = new Map<string, ReturnType<typeof compileSelector>>();

function programOf(expression: string) {
  const known = programs.get(expression) ?? compileSelector(expression);
  programs.delete(expression);
  programs.set(expression, known);
  const [oldest] = programs.keys();
  if (programs.size > MAX_PROGRAMS) programs.delete(oldest!);
  return known;
}

/** What makes a claim impossible to allocate anywhere, until it or a class is another. */
export class SelectorError extends Error {}

/** @throws SelectorError where an expression fails. */
export function matchesSelectors(
  found: PoolDevice,
  deviceClass: DeviceClass,
  own: DeviceSelector[] | undefined,
  claim: string,
): boolean {
  const input = deviceInput(found.driver, found.device);
  const all: [of: string, selectors: DeviceSelector[]][] = [
    [`class ${deviceClass.metadata.name}`, deviceClass.spec.selectors ?? []],
    [`claim ${claim}`, own ?? []],
  ];
  return all.every(([of, selectors]) =>
    selectors.every(({ cel }, i) => {
      const program = programOf(cel?.expression ?? '');
      if (typeof program === 'string')
        throw new SelectorError(`${of}: selector #${i}: CEL compile error: ${program}`);
      const outcome = program.evaluate(input);
      if ('error' in outcome)
        throw new SelectorError(`${of}: selector #${i}: CEL runtime error: ${outcome.error.message}`);
      return outcome.value === true;
    }),
  );
}
