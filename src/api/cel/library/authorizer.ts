/** Kubernetes' authorization checks: `authorizer.group('apps').resource('deployments').check('create').allowed()`. */
import { method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { objectOf } from '../types.js';
import { Opaque } from '../values.js';

/** What an expression asks: `path` is given for requests of no resource. */
export interface AccessQuestion {
  /** Undefined: the user of the request. */
  serviceAccount?: { namespace: string; name: string };
  verb: string;
  path?: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  fieldSelector: string;
  labelSelector: string;
}

export interface AccessDecision {
  allowed: boolean;
  reason: string;
  error?: string;
}

/** Answers at once, or throws what the evaluation's caller knows how to wait for. */
export type AskAccess = (question: AccessQuestion) => AccessDecision;

export const AUTHORIZER = objectOf('kubernetes.authorization.Authorizer');
export const RESOURCE_CHECK = objectOf('kubernetes.authorization.ResourceCheck');
const PATH_CHECK = objectOf('kubernetes.authorization.PathCheck');
const GROUP_CHECK = objectOf('kubernetes.authorization.GroupCheck');
const DECISION = objectOf('kubernetes.authorization.Decision');

const NOTHING: AccessQuestion = {
  verb: '',
  group: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  fieldSelector: '',
  labelSelector: '',
};

/** Any step on the way to a check. */
class Check extends Opaque {
  constructor(
    readonly type: typeof AUTHORIZER,
    readonly ask: AskAccess,
    readonly question: AccessQuestion,
  ) {
    super();
  }

  with(type: typeof AUTHORIZER, more: Partial<AccessQuestion>): Check {
    return new Check(type, this.ask, { ...this.question, ...more });
  }
}

class Decision extends Opaque {
  readonly type = DECISION;
  constructor(readonly decision: AccessDecision) {
    super();
  }
}

export const authorizerValue = (ask: AskAccess): Opaque => new Check(AUTHORIZER, ask, NOTHING);

/** What `authorizer.requestResource` is: a check of the request's own resource. */
export const requestResourceValue = (ask: AskAccess, of: Partial<AccessQuestion>): Opaque =>
  new Check(RESOURCE_CHECK, ask, { ...NOTHING, ...of });

const check = (from: Check, verb: string): Decision => new Decision(from.ask({ ...from.question, verb }));

const nominal = () => 1;
/** Two checks are as many as one expression can pay for. */
const expensive = () => 350_000;

const A = AUTHORIZER.name;
const P = PATH_CHECK.name;
const G = GROUP_CHECK.name;
const R = RESOURCE_CHECK.name;
const D = DECISION.name;

const part = (name: 'subresource' | 'namespace' | 'name' | 'fieldSelector' | 'labelSelector'): Overload =>
  method(
    R,
    `${name}(string): ${R}`,
    (of: Check, value: string) => of.with(RESOURCE_CHECK, { [name]: value }),
    nominal,
  );

function named(value: string, what: string): string {
  if (value.trim() === '') throw new CelError(`${what} must not be empty`);
  return value;
}

export const authorizer: Overload[] = [
  method(
    A,
    `path(string): ${P}`,
    (of: Check, path: string) => of.with(PATH_CHECK, { path: named(path, 'path') }),
    nominal,
  ),
  method(A, `group(string): ${G}`, (of: Check, group: string) => of.with(GROUP_CHECK, { group }), nominal),
  method(
    A,
    `serviceAccount(string, string): ${A}`,
    (of: Check, namespace: string, name: string) => {
      if (!/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(name)) throw new CelError('Invalid service account name');
      if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(namespace))
        throw new CelError('Invalid service account namespace');
      return of.with(AUTHORIZER, { serviceAccount: { namespace, name } });
    },
    nominal,
  ),
  method(
    G,
    `resource(string): ${R}`,
    (of: Check, resource: string) => of.with(RESOURCE_CHECK, { resource: named(resource, 'resource') }),
    nominal,
  ),
  part('subresource'),
  part('namespace'),
  part('name'),
  part('fieldSelector'),
  part('labelSelector'),
  method(P, `check(string): ${D}`, check, expensive),
  method(R, `check(string): ${D}`, check, expensive),
  method(D, 'errored(): bool', ({ decision }: Decision) => decision.error !== undefined, nominal),
  method(D, 'error(): string', ({ decision }: Decision) => decision.error ?? '', nominal),
  method(D, 'allowed(): bool', ({ decision }: Decision) => decision.allowed, nominal),
  method(D, 'reason(): string', ({ decision }: Decision) => decision.reason, nominal),
];
