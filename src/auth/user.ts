/** Who a request comes from, and what an authorizer is asked (upstream `user.Info`, `authorizer.Attributes`). */
import type { PolicyRule } from '#types';

export interface User {
  name: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

export interface Attributes {
  user: User;
  /** get, list, watch, create, update, patch, delete, deletecollection, proxy … */
  verb: string;
  /** Whether this is a request for a resource; else only `path` counts. */
  isResource: boolean;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  path: string;
  /** Of a list, watch or deletecollection: the field selector as it came. */
  fieldSelector?: string;
  /** The same of labels. */
  labelSelector?: string;
}

export type Decision = 'allow' | 'deny' | 'no-opinion';

export interface Answer {
  decision: Decision;
  reason: string;
}

/** What somebody may do, as far as it can be told in rules. */
export interface Rules {
  rules: PolicyRule[];
  /** Whether there may be more that is allowed. */
  incomplete: boolean;
  errors: string[];
}

export interface Authorizer {
  authorize(attributes: Attributes): Promise<Answer> | Answer;
  /** The rules by which it decides about `user` in `namespace`; absent where it has none. */
  rulesFor?(user: User, namespace: string): Promise<Rules> | Rules;
}
