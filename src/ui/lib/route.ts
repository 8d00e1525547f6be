/** Which page the address asks for: what is behind its `#`. */
import { createStore } from './store.js';

/** `#/o/apps/v1` → `['o', 'apps', 'v1']`. */
export function parse(hash: string): string[] {
  return hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== '')
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

export const route = createStore<string[]>([]);

/** Follows the address from now on. */
export function startRouting(): () => void {
  const follow = () => route.set(parse(location.hash));
  follow();
  addEventListener('hashchange', follow);
  return () => removeEventListener('hashchange', follow);
}
