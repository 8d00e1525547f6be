/** `Impersonate-*` headers: acting as another user, where the authorizer allows it. */
import { badRequest } from '../../api/machinery/status.js';
import type { Attributes, Authorizer, User } from '../../auth/user.js';
import type { Call } from '../context.js';
import { impersonationModes } from './impersonation-modes.js';
import { requestInfo } from './request-info.js';

const EXTRA = 'impersonate-extra-';

/** Whom a request counts as. */
export interface Identity {
  user: User;
  /** The verb of constrained impersonation that allowed it; absent where it was not used. */
  constraint?: string;
}

const values = (header: string | undefined): string[] =>
  (header ?? '')
    .split(',')
    .map((value) => value.trim())
    .filter(Boolean);

/** The user that the request counts as: its own, or the one it asks to be. Throws 400 and 403. */
export async function impersonated(authorizer: Authorizer, call: Call): Promise<Identity> {
  const wanted = wantedUser(call);
  if (!wanted) return { user: call.user };
  const attributes = { ...requestInfo(call.method, call.path, call.query), user: call.user };
  return firstAllowed(authorizer, wanted, attributes);
}

/** The first way of impersonation that is allowed; else the refusal of the first that applies. */
async function firstAllowed(authorizer: Authorizer, wanted: User, attributes: Attributes): Promise<Identity> {
  let refusal: unknown;
  for (const mode of impersonationModes) {
    if (!mode.applies(wanted, attributes.user)) continue;
    try {
      return await mode.check(authorizer, wanted, attributes);
    } catch (error) {
      refusal ??= error;
    }
  }
  throw refusal;
}

function wantedUser(call: Call): User | undefined {
  const name = call.header('impersonate-user') ?? '';
  const groups = values(call.header('impersonate-group'));
  const uid = call.header('impersonate-uid') ?? '';
  const extra = extraOf(call);
  const extended = Object.keys(extra).length > 0;
  if (name !== '') return { name, groups, ...(uid === '' ? {} : { uid }), ...(extended ? { extra } : {}) };
  if (groups.length > 0 || uid !== '' || extended)
    throw badRequest(`requested ${asGo(uid, groups, extra)} without impersonating a user name`);
  return undefined;
}

/** As Go prints what was asked for. */
function asGo(uid: string, groups: string[], extra: Record<string, string[]>): string {
  const list = (texts: string[]) => `[]string{${texts.map((text) => JSON.stringify(text)).join(', ')}}`;
  const entries = Object.entries(extra).map(([key, texts]) => `${JSON.stringify(key)}:${list(texts)}`);
  const groupsText = groups.length > 0 ? list(groups) : '[]string(nil)';
  const extraText = entries.length > 0 ? `{${entries.join(', ')}}` : '(nil)';
  return `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${groupsText}, Extra:map[string][]string${extraText}}`;
}

/** Keys are percent-encoded in header names, which are of lower case. */
function extraOf(call: Call): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const header of call.headerNames?.() ?? []) {
    if (!header.startsWith(EXTRA)) continue;
    const key = header.slice(EXTRA.length);
    let name = key;
    try {
      name = decodeURIComponent(key);
    } catch {
      // Taken as it is.
    }
    extra[name] = values(call.header(header));
  }
  return extra;
}
