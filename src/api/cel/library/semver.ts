/** Kubernetes' semantic versions. */
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { objectOf } from '../types.js';
import { Opaque } from '../values.js';
import { once } from './costs.js';

const TYPE = objectOf('kubernetes.Semver');
const S = TYPE.name;

class Semver extends Opaque {
  readonly type = TYPE;
  constructor(
    readonly numbers: readonly bigint[],
    readonly pre: readonly string[],
  ) {
    super();
  }
  override equals(other: Opaque): boolean {
    return other instanceof Semver && order(this, other) === 0n;
  }
}

const SHAPE =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/** Forgives a leading v, missing minor and patch numbers, and leading zeros. */
function normalized(text: string): string {
  const bare = text.replace(/^v/, '');
  const [, core = '', rest = ''] = /^([^-+]*)(.*)$/s.exec(bare)!;
  const parts = core.split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
  while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest;
}

function read(text: string, loose: boolean): Semver | undefined {
  const match = SHAPE.exec(loose ? normalized(text) : text);
  return match ? new Semver(match.slice(1, 4).map(BigInt), match[4]?.split('.') ?? []) : undefined;
}

function semver(text: string, loose = false): Semver {
  const version = read(text, loose);
  if (!version) throw new CelError('No Major.Minor.Patch elements found');
  return version;
}

function order(a: Semver, b: Semver): bigint {
  for (let i = 0; i < 3; i++)
    if (a.numbers[i] !== b.numbers[i]) return a.numbers[i]! < b.numbers[i]! ? -1n : 1n;
  if (a.pre.length === 0 || b.pre.length === 0)
    return BigInt(Number(b.pre.length > 0) - Number(a.pre.length > 0));
  for (let i = 0; i < Math.min(a.pre.length, b.pre.length); i++) {
    const found = orderParts(a.pre[i]!, b.pre[i]!);
    if (found !== 0n) return found;
  }
  return BigInt(Math.sign(a.pre.length - b.pre.length));
}

/** Numbers come before words. */
function orderParts(a: string, b: string): bigint {
  if (a === b) return 0n;
  const [numberA, numberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (numberA && numberB) return BigInt(a) < BigInt(b) ? -1n : 1n;
  if (numberA !== numberB) return numberA ? -1n : 1n;
  return a < b ? -1n : 1n;
}

export const semvers: Overload[] = [
  func(`semver(string): ${S}`, (text: string) => semver(text), once),
  func(`semver(string, bool): ${S}`, semver, once),
  func('isSemver(string): bool', (text: string) => read(text, false) !== undefined, once),
  func(
    'isSemver(string, bool): bool',
    (text: string, loose: boolean) => read(text, loose) !== undefined,
    once,
  ),
  method(S, `isLessThan(${S}): bool`, (a: Semver, b: Semver) => order(a, b) < 0n),
  method(S, `isGreaterThan(${S}): bool`, (a: Semver, b: Semver) => order(a, b) > 0n),
  method(S, `compareTo(${S}): int`, order),
  method(S, 'major(): int', ({ numbers }: Semver) => numbers[0]!),
  method(S, 'minor(): int', ({ numbers }: Semver) => numbers[1]!),
  method(S, 'patch(): int', ({ numbers }: Semver) => numbers[2]!),
];

/** @throws CelError for what is no version. */
export const semverValue = (text: string): Opaque => semver(text);
