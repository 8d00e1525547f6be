/** Who is logged in: the token lives in this tab's memory and sessionStorage, and goes nowhere but into requests. */
import { createStore } from '../lib/store.js';

const KEY = 'keelson.token';
const NAMESPACE = 'keelson.namespace';

/** sessionStorage may be forbidden: then a reload asks for the token again. */
function stored(key: string, value?: string): string {
  try {
    if (value === undefined) return sessionStorage.getItem(key) ?? '';
    if (value === '') sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // As said above.
  }
  return value ?? '';
}

export const token = createStore(stored(KEY));
/** The chosen namespace; empty: all. */
export const namespace = createStore(stored(NAMESPACE));
/** Why nobody is logged in, for the log-in page. */
export const ended = createStore('');

export function logIn(value: string): void {
  ended.set('');
  token.set(stored(KEY, value.trim()));
}

export function logOut(why = ''): void {
  stored(KEY, '');
  token.set('');
  ended.set(why);
}

export function chooseNamespace(name: string): void {
  namespace.set(stored(NAMESPACE, name));
}

/** `#token=…&namespace=…` is taken and leaves the address, and the history with it. */
export function takeTokenFromAddress(): void {
  const given = new URLSearchParams(location.hash.slice(1));
  const value = given.get('token');
  if (value === null) return;
  history.replaceState(null, '', `${location.pathname}#/workloads`);
  logIn(value);
  chooseNamespace(given.get('namespace') ?? '');
}

/** When the token ends (ms); undefined where it does not say. */
export function expiry(value: string): number | undefined {
  try {
    const payload = value.split('.')[1] ?? '';
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
