/** Sandboxes that were made through this interface, and their containers: kept in files, so that they outlive the agent. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cri } from '../../rpc/cri.js';
import type { ContainerConfig } from '../../runtime/types.js';

export interface OwnContainer {
  id: string;
  /** As it was asked for. */
  config: Cri.ContainerConfig.$Properties;
  createdAt: number;
  imageId: string;
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
    for (const name of readdirSync(dir).filter((file) => file.endsWith('.json')))
      try {
        const sandbox = JSON.parse(readFileSync(join(dir, name), 'utf8')) as OwnSandbox;
        this.#sandboxes.set(sandbox.id, sandbox);
      } catch {
        rmSync(join(dir, name), { force: true });
      }
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

  remove(id: string): void {
    this.#sandboxes.delete(id);
    rmSync(join(this.#dir, `${id}.json`), { force: true });
    rmSync(this.folder(id), { recursive: true, force: true });
  }
}
