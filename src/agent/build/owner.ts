/** Who owns what COPY and ADD write: `--chown=user[:group]`. */
import { readFile } from 'node:fs/promises';
import type { UnionView } from '../../runtime/images/union.js';
import { parseGroup, parsePasswd } from '../pods/user.js';

/** @throws Error for names that the image does not know. */
export async function owner(
  text: string | undefined,
  view: UnionView,
): Promise<{ uid: number; gid: number } | undefined> {
  if (!text) return undefined;
  const [user = '', group] = text.split(':');
  const isNumber = (word: string) => /^\d+$/.test(word);
  const entry = parsePasswd(await read(view, '/etc/passwd')).find((line) => line.name === user);
  if (!isNumber(user) && !entry)
    throw new Error(`unable to find user ${user}: no matching entries in passwd file`);
  const uid = entry?.uid ?? Number(user);
  if (group === undefined) return { uid, gid: entry?.gid ?? uid };
  const found = parseGroup(await read(view, '/etc/group')).find((line) => line.name === group);
  if (!isNumber(group) && !found)
    throw new Error(`unable to find group ${group}: no matching entries in group file`);
  return { uid, gid: found?.gid ?? Number(group) };
}

async function read(view: UnionView, path: string): Promise<string> {
  const found = await view.entry(await view.resolve(path));
  return found?.stat.isFile() ? readFile(found.source, 'utf8') : '';
}
