/** The runtime's files: what a later agent needs to find sandboxes and containers again. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderSync } from './make-folder.js';
import type { ContainerConfig, SandboxConfig } from './types.js';

/** How a container ended, as the shim recorded it. */
export interface ExitRecord {
  exitCode: number;
  signal: number;
  finishedAt: number;
  oomKilled: boolean;
}

/** A process by its id and, since ids are used again, its start time (field 22 of /proc/<pid>/stat). */
export interface ProcessRecord {
  pid: number;
  startTime: string;
}

export interface SandboxRecord {
  config: SandboxConfig;
  createdAt: number;
}

export interface ContainerRecord {
  config: ContainerConfig;
  createdAt: number;
}

/** Files of one sandbox: `config.json`, `shim.json`, `sock`, `containers/<id>.json`, `containers/<id>.exit`. */
export class SandboxState {
  constructor(readonly folder: string) {}

  create(record: SandboxRecord): void {
    makeFolderSync(join(this.folder, 'containers'), 0o700);
    writeAtomically(join(this.folder, 'config.json'), JSON.stringify(record));
  }

  /** Undefined when it is missing or cut. */
  read(): SandboxRecord | undefined {
    return readJson(join(this.folder, 'config.json'));
  }

  writeShim(pid: number): void {
    const record: ProcessRecord = { pid, startTime: processStartTime(pid) };
    writeAtomically(join(this.folder, 'shim.json'), JSON.stringify(record));
  }

  /** The shim's process id if that process still lives, else 0. */
  liveShim(): number {
    const record = readJson<ProcessRecord>(join(this.folder, 'shim.json'));
    return record?.startTime && processStartTime(record.pid) === record.startTime ? record.pid : 0;
  }

  writeContainer(record: ContainerRecord): void {
    writeAtomically(this.#container(record.config.id, 'json'), JSON.stringify(record));
  }

  containers(): ContainerRecord[] {
    return namesIn(join(this.folder, 'containers'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => readJson<ContainerRecord>(join(this.folder, 'containers', name)))
      .filter((record) => record !== undefined);
  }

  writeExit(id: string, exit: ExitRecord): void {
    const line = `${exit.exitCode} ${exit.signal} ${exit.finishedAt} ${exit.oomKilled ? 1 : 0}\n`;
    writeAtomically(this.#container(id, 'exit'), line);
  }

  readExit(id: string): ExitRecord | undefined {
    let text: string;
    try {
      text = readFileSync(this.#container(id, 'exit'), 'utf8');
    } catch {
      return undefined;
    }
    const [exitCode = 255, signal = 0, finishedAt = 0, oom = 0] = text.trim().split(' ').map(Number);
    return { exitCode, signal, finishedAt, oomKilled: oom === 1 };
  }

  removeContainer(id: string): void {
    for (const kind of ['json', 'exit']) rmSync(this.#container(id, kind), { force: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #container(id: string, kind: string): string {
    return join(this.folder, 'containers', `${id}.${kind}`);
  }
}

/** Empty when the process is gone (or a zombie, which holds nothing any more). */
export function processStartTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function writeAtomically(path: string, text: string): void {
  writeFileSync(`${path}~`, text, { mode: 0o600 });
  renameSync(`${path}~`, path);
}
