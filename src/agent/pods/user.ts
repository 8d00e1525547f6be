/** Who a container's processes run as: from the pod, the container, and the image with its passwd and group files. */
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod } from '#types';
import type { Image } from '../../runtime/types.js';
import { ConfigError } from './env.js';

export interface ContainerUser {
  uid: number;
  gid: number;
  supplementalGroups: number[];
  /** For HOME, as container runtimes set it. */
  home: string;
}

interface Passwd {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Reads a file of an image: the highest layer that has it counts, a whiteout hides those below. */
async function imageFile(image: Image, path: string): Promise<string> {
  for (const layer of image.layers.toReversed()) {
    const file = join(layer, path);
    const stat = await lstat(file).catch(() => undefined);
    if (stat?.isFile()) return readFile(file, 'utf8');
    if (stat) return '';
  }
  return '';
}

export function parsePasswd(text: string): Passwd[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
    return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [];
  });
}

export function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , gid = '', members = ''] = line.split(':');
    return /^\d+$/.test(gid) ? [{ name, gid: Number(gid), members: members.split(',').filter(Boolean) }] : [];
  });
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

/** Throws ConfigError for names that the image does not know, and for root where `runAsNonRoot` is set. */
export async function containerUser(pod: Pod, container: Container, image: Image): Promise<ContainerUser> {
  const podContext = pod.spec.securityContext;
  const own = container.securityContext;
  const runAsUser = own?.runAsUser ?? podContext?.runAsUser;
  const runAsGroup = own?.runAsGroup ?? podContext?.runAsGroup;
  const [imageUser = '', imageGroup = ''] = image.config.user.split(':');
  if (own?.runAsNonRoot ?? podContext?.runAsNonRoot) checkNonRoot(pod, container, runAsUser, imageUser);
  const [passwdText, groupText] = await Promise.all([
    imageFile(image, 'etc/passwd'),
    imageFile(image, 'etc/group'),
  ]);
  const passwd = parsePasswd(passwdText);
  const groups = parseGroup(groupText);
  const wanted = runAsUser === undefined ? imageUser || '0' : String(runAsUser);
  const entry = passwd.find((p) => (isNumber(wanted) ? p.uid === Number(wanted) : p.name === wanted));
  if (!entry && !isNumber(wanted))
    throw new ConfigError(`unable to find user ${wanted}: no matching entries in passwd file`);
  const uid = entry?.uid ?? Number(wanted);
  const group = runAsGroup === undefined && runAsUser === undefined ? imageGroup : '';
  const named = groups.find((g) => g.name === group);
  if (group && !isNumber(group) && !named)
    throw new ConfigError(`unable to find group ${group}: no matching entries in group file`);
  const gid = runAsGroup ?? named?.gid ?? (group ? Number(group) : (entry?.gid ?? 0));
  const ofImage =
    podContext?.supplementalGroupsPolicy === 'Strict' || !entry
      ? []
      : groups.filter((g) => g.members.includes(entry.name)).map((g) => g.gid);
  const fsGroup = podContext?.fsGroup === undefined ? [] : [podContext.fsGroup];
  const supplementalGroups = [
    ...new Set([...ofImage, ...(podContext?.supplementalGroups ?? []), ...fsGroup]),
  ];
  return { uid, gid, supplementalGroups, home: entry?.home || '/' };
}

/** Kubelet's `verifyRunAsNonRoot`. */
function checkNonRoot(
  pod: Pod,
  container: Container,
  runAsUser: number | undefined,
  imageUser: string,
): void {
  const { name, namespace, uid } = pod.metadata;
  const where = `(pod: "${name}_${namespace}(${uid})", container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  if (imageUser !== '' && !isNumber(imageUser))
    throw new ConfigError(
      `container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root ${where}`,
    );
  if (Number(imageUser) === 0)
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
}
