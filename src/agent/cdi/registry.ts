/** The CDI devices of the node: what is in the files that drivers and administrators write. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { addEdits, type CdiEdits, type ContainerEdits, noEdits } from './edits.js';

interface CdiSpec {
  cdiVersion?: string;
  /** `<vendor>/<class>`. */
  kind?: string;
  containerEdits?: CdiEdits;
  devices?: { name?: string; containerEdits?: CdiEdits }[];
}

interface Found {
  spec: CdiSpec;
  edits: CdiEdits | undefined;
  dir: string;
}

/** What is in a later one counts before what is in an earlier one. */
const DIRS = ['/etc/cdi', '/var/run/cdi'];

/**
 * What the devices of these names (`<vendor>/<class>=<device>`) change. The files are read for each container that has
 * such devices, as drivers write them right before.
 * @throws Error in the words of containerd when one is not there, or can't be given.
 */
export async function cdiEdits(names: string[], dirs = DIRS): Promise<ContainerEdits> {
  const edits = noEdits();
  if (names.length === 0) return edits;
  const known = await devices(dirs);
  const missing = names.filter((name) => !known.get(name));
  if (missing.length > 0) throw injectionError(`unresolvable CDI devices ${missing.join(', ')}`);
  const done = new Set<CdiSpec>();
  for (const name of new Set(names)) {
    const { spec, edits: own } = known.get(name)!;
    try {
      if (!done.has(spec)) addEdits(edits, spec.containerEdits);
      done.add(spec);
      addEdits(edits, own);
    } catch (error) {
      throw injectionError(`${name}: ${(error as Error).message}`);
    }
  }
  return edits;
}

const injectionError = (why: string): Error => new Error(`CDI device injection failed: ${why}`);

/** By full name; null for those that two files of one folder define. */
async function devices(dirs: string[]): Promise<Map<string, Found | null>> {
  const known = new Map<string, Found | null>();
  for (const dir of dirs)
    for (const spec of await specsIn(dir))
      for (const { name, containerEdits: edits } of spec.devices ?? []) {
        const full = `${spec.kind}=${name}`;
        const isTwice = known.get(full)?.dir === dir;
        known.set(full, isTwice ? null : { spec, edits, dir });
      }
  return known;
}

/** Files that are none are left out, as other runtimes do. */
async function specsIn(dir: string): Promise<CdiSpec[]> {
  const names = (await readdir(dir).catch(() => [])).filter((name) => /\.(json|yaml)$/.test(name)).sort();
  const specs = await Promise.all(
    names.map(async (name) => {
      try {
        const spec: CdiSpec = parse(await readFile(join(dir, name), 'utf8'));
        return spec?.cdiVersion && spec.kind && Array.isArray(spec.devices) ? [spec] : [];
      } catch {
        return [];
      }
    }),
  );
  return specs.flat();
}
