/**
 * Selectors of devices: expressions about `device` (upstream `dynamic-resource-allocation/cel`).
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#device-attributes
 */
import type { Device, DeviceAttribute } from '#types';
import { createEnvironment, type Environment, type Program, returns } from './env.js';
import { QUANTITY, quantityValueOf } from './library/quantity.js';
import { semverValue } from './library/semver.js';
import { BOOL, DYN, mapOf, objectOf, STRING } from './types.js';
import { Entries, MapValue, type Value } from './values.js';

const DEVICE = objectOf('kubernetes.DRADevice', {
  driver: STRING,
  attributes: mapOf(STRING, mapOf(STRING, DYN)),
  capacity: mapOf(STRING, mapOf(STRING, QUANTITY)),
  allowMultipleAllocations: BOOL,
});

const NONE = new Entries();

/** By domain; one that the device says nothing of is empty. */
class Domains extends MapValue {
  constructor(private readonly entries: Entries) {
    super();
  }
  get size(): number {
    return this.entries.size;
  }
  find(key: Value): Value {
    return this.entries.find(key) ?? NONE;
  }
  keys(): Iterable<Value> {
    return this.entries.keys();
  }
  override has(key: Value): boolean {
    return this.entries.has(key);
  }
}

function attributeValue({ bool, int, string, version }: DeviceAttribute): Value {
  if (version !== undefined) return semverValue(version);
  if (int !== undefined) return BigInt(int);
  return bool ?? string ?? null;
}

/** Names without a domain are the driver's own. */
function byDomain<T>(driver: string, all: Record<string, T>, value: (item: T) => Value): Domains {
  const domains = new Map<string, Entries>();
  for (const [name, item] of Object.entries(all)) {
    const [id = '', domain = driver] = name.split('/').reverse();
    const entries = domains.get(domain) ?? new Entries();
    entries.insert(id, value(item));
    domains.set(domain, entries);
  }
  return new Domains(new Entries(domains));
}

let environment: Environment | undefined;

/** The program, or what is wrong with the expression. */
export function compileSelector(expression: string): Program | string {
  environment ??= createEnvironment({ variables: { device: DEVICE } });
  const compiled = environment.compile(expression);
  if ('issues' in compiled) return `compilation failed: ${compiled.text}`;
  return returns(compiled.program, [BOOL, DYN]) ? compiled.program : 'must evaluate to bool';
}

/** What a selector sees of a device. @throws CelError for attributes that are none. */
export const deviceInput = (driver: string, device: Device): Record<string, unknown> => ({
  device: {
    driver,
    attributes: byDomain(driver, device.attributes ?? {}, attributeValue),
    capacity: byDomain(driver, device.capacity ?? {}, ({ value }) => quantityValueOf(value)),
    allowMultipleAllocations: device.allowMultipleAllocations ?? false,
  },
});
