/** Sandboxes that were made through this interface, and their containers: kept in files, so that they outlive the agent. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cri } from '../../rpc/cri.js';
import { removeTree } from '../../runtime/mount-points.js';
import { namesIn } from '../../runtime/state.js';
import type { ContainerConfig } from '../../runtime/types.js';

export interface OwnContainer {
  id: string;
  /** As it was asked for. */
  config: Cri.ContainerConfig.$Properties;
  createdAt: number;
  imageId: string;
  /** Images that it has mounted. */
  volumes?: string[];
  /** What the runtime starts. */
  prepared: ContainerConfig;
  /** It has been started: the runtime knows it. */
  started: boolean;
  /** It could not be started. */
  failed?: { message: string; exitCode: number; at: number };
}

export interface OwnSandbox {
  id: string;
  config: Cri.PodSandboxConfig.$Properties;
  handler: string;
  createdAt: number;
  ip: string;
  stopped: boolean;
  containers: Record<string, OwnContainer>;
}

export class OwnSandboxes {
  readonly #dir: string;
  readonly #sandboxes = new Map<string, OwnSandbox>();

  /** `dir`: a file and a folder for each sandbox, by its id. */
  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const sandbox of notesIn(dir)) this.#sandboxes.set(sandbox.id, sandbox);
  }

  get(id: string): OwnSandbox | undefined {
    return this.#sandboxes.get(id);
  }

  list(): OwnSandbox[] {
    return [...this.#sandboxes.values()];
  }

  container(id: string): { sandbox: OwnSandbox; container: OwnContainer } | undefined {
    for (const sandbox of this.#sandboxes.values()) {
      const container = sandbox.containers[id];
      if (container) return { sandbox, container };
    }
    return undefined;
  }

  /** Files of a sandbox. */
  folder(id: string): string {
    return join(this.#dir, id);
  }

  save(sandbox: OwnSandbox): void {
    this.#sandboxes.set(sandbox.id, sandbox);
    const file = join(this.#dir, `${sandbox.id}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(sandbox), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** With its files, and what is mounted among them. */
  async remove(id: string): Promise<void> {
    this.#sandboxes.delete(id);
    await removeTree(this.folder(id));
    rmSync(join(this.#dir, `${id}.json`), { force: true });
  }
}

/** Ids of the images that the containers whose notes are in `dir` have or mount: also of those not yet started. */
export function ownImages(dir: string): string[] {
  return notesIn(dir).flatMap(({ containers }) =>
    Object.values(containers).flatMap(({ imageId, volumes = [] }) => [imageId, ...volumes]),
  );
}

/** One that can't be read belongs to nothing any more. */
function notesIn(dir: string): OwnSandbox[] {
  return namesIn(dir)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      try {
        return [JSON.parse(readFileSync(join(dir, file), 'utf8')) as OwnSandbox];
      } catch {
        return [];
      }
    });
}
