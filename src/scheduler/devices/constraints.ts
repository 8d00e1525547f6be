/** Constraints of a claim: attributes that its devices have in common, or that tell them apart. */
import type { DeviceConstraint } from '#types';
import type { PoolDevice } from './pools.js';

export interface Chosen {
  /** Of a request, or `request/subrequest`. */
  request: string;
  found: PoolDevice;
}

/** Whether another device may be chosen beside those that are. */
export const allowsBoth = (
  constraints: DeviceConstraint[] | undefined,
  next: Chosen,
  before: Chosen[],
): boolean => (constraints ?? []).every((constraint) => allows(constraint, next, before));

function allows(constraint: DeviceConstraint, next: Chosen, before: Chosen[]): boolean {
  const { requests = [], matchAttribute, distinctAttribute } = constraint;
  const concerns = ({ request }: Chosen) =>
    requests.length === 0 || requests.includes(request) || requests.includes(request.split('/')[0]!);
  if (!concerns(next)) return true;
  const name = matchAttribute ?? distinctAttribute;
  const value = name && attribute(next.found, name);
  if (value === undefined || name === undefined) return false;
  const others = before.filter(concerns).map(({ found }) => attribute(found, name));
  return matchAttribute === undefined
    ? others.every((other) => other !== value)
    : others.every((other) => other === value);
}

/** By its full name; the driver's own attributes may be published without a domain. Type and value as one text. */
function attribute({ driver, device }: PoolDevice, name: string): string | undefined {
  const [domain, id = ''] = name.split('/');
  const found = device.attributes?.[name] ?? (domain === driver ? device.attributes?.[id] : undefined);
  return found && JSON.stringify(found);
}
