/** Limits of huge pages, which both cgroup versions have in files of like names. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Keeps a group to `limits`, bytes by page size (`2MB`): of the sizes that are not named it gets none. What is set aside by
 * mmap(2) counts as well as what is used, where the kernel can tell: else a process would not be refused, but killed.
 * @param ending of the files that take a limit; a group without the controller has none
 */
export function limitHugePages(
  folder: string,
  limits: Record<string, number>,
  ending: 'max' | 'limit_in_bytes',
): void {
  const pattern = new RegExp(`^hugetlb\\.(\\d+[KMG]B)\\.(rsvd\\.)?${ending}$`);
  for (const name of readdirSync(folder)) {
    const size = pattern.exec(name)?.[1];
    if (size) writeFileSync(join(folder, name), `${limits[size] ?? 0}`);
  }
}
