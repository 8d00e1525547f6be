/** Empty folders for a pod: on the disk, in memory, or of huge pages. */
import { chmod, chown, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pod, Volume } from '#types';
import { quantityValue } from '../../api/machinery/quantity.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { native } from '../../runtime/native.js';
import { VolumeError } from './payloads.js';

const MS_NOSUID = 2;
const MS_NODEV = 4;

/** Idempotent. @throws VolumeError */
export async function makeEmptyDir(path: string, pod: Pod, { emptyDir }: Volume): Promise<void> {
  const { medium = '', sizeLimit } = emptyDir!;
  if (medium === 'Memory') {
    const size = sizeLimit ? `,size=${quantityValue(sizeLimit)}` : '';
    await mountOnce('tmpfs', path, `mode=0777${size}`);
  } else if (medium.startsWith('HugePages'))
    await mountOnce('hugetlbfs', path, `pagesize=${pageSize(pod, medium)}`);
  else await makeFolder(path);
  const fsGroup = pod.spec.securityContext?.fsGroup;
  if (fsGroup !== undefined) await chown(path, 0, fsGroup);
  await chmod(path, fsGroup === undefined ? 0o777 : 0o2777);
}

export async function mountOnce(type: 'tmpfs' | 'hugetlbfs', path: string, options: string): Promise<void> {
  await makeFolder(path);
  const [here, above] = await Promise.all([stat(path), stat(dirname(path))]);
  if (here.dev === above.dev) await native.mount(type, path, type, MS_NOSUID | MS_NODEV, options);
}

/** In bytes: that of the medium, which the pod must request, or the only one that it requests (kubelet `getPageSizeMountOption`). */
function pageSize({ spec }: Pod, medium: string): number {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const names = [spec.resources, ...containers.map(({ resources }) => resources)].flatMap((of) =>
    Object.keys({ ...of?.limits, ...of?.requests }),
  );
  const prefix = 'hugepages-';
  const sizes = new Set(
    names.filter((name) => name.startsWith(prefix)).map((name) => quantityValue(name.slice(prefix.length))),
  );
  const wanted = medium === 'HugePages' ? undefined : quantityValue(medium.slice('HugePages-'.length));
  if (wanted !== undefined && sizes.has(wanted)) return wanted;
  const [only, ...more] = sizes;
  if (wanted !== undefined || only === undefined)
    throw new VolumeError(
      `medium ${JSON.stringify(medium)}: hugePages storage requested, but there is no resource request for huge pages.`,
    );
  if (more.length > 0)
    throw new VolumeError(`medium "HugePages" can't be used if container requests multiple huge page sizes`);
  return only;
}
