/** Starts, finds and stops the background processes of a cluster. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from './error.js';

const MAIN = join(dirname(fileURLToPath(import.meta.url)), 'main.js');

/** A young generation that fits a process which mostly waits; source maps would cost 5 MB. */
const NODE_FLAGS = ['--max-semi-space-size=4'];

export interface Daemon {
  pid: number;
  /** Resolves once it wrote its ready line; rejects with CliError when it ended before. */
  ready: Promise<void>;
  /** Sends it one line on its standard input (and closes that). */
  send(line: string): void;
}

export interface DaemonFiles {
  /** Standard output and error are appended here. */
  log: string;
  /** Holds `<pid> <start time>`. */
  pid: string;
}

/** Field 22 of /proc/<pid>/stat: tells a process from a later one with the same pid. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/**
 * Runs `keelson <argv>` detached, in the network namespace at `netns` if one is given. It tells that it is ready by a
 * line on file descriptor 3.
 */
export function startDaemon(argv: string[], files: DaemonFiles, netns?: string): Daemon {
  for (const file of [files.log, files.pid]) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const log = openSync(files.log, 'a', 0o600);
  // nsenter becomes the command: the pid stays. Mounts stay those of this machine, cgroups among them.
  const command = [...(netns ? ['nsenter', `--net=${netns}`] : []), process.execPath];
  const child = spawn(command[0]!, [...command.slice(1), ...NODE_FLAGS, MAIN, ...argv], {
    detached: true,
    stdio: ['pipe', log, log, 'pipe'],
    env: { ...process.env, KEELSON_READY_FD: '3', MALLOC_ARENA_MAX: '1' },
    cwd: '/',
  });
  closeSync(log);
  if (child.pid === undefined) throw new CliError(`keelson ${argv[0]} could not be started.`);
  writeFileSync(files.pid, `${child.pid} ${startTime(child.pid)}\n`);
  child.stdin!.on('error', () => undefined);
  const readyPipe = child.stdio[3] as NodeJS.ReadableStream;
  const ready = new Promise<void>((resolve, reject) => {
    readyPipe.once('data', () => resolve());
    child.once('exit', (code, signal) =>
      reject(
        new CliError(
          `The ${argv[0]} ended at its start (${signal ?? `exit code ${code}`}): ${lastLine(files.log)}`,
        ),
      ),
    );
  });
  ready.catch(() => undefined);
  return {
    pid: child.pid,
    ready: ready.finally(() => {
      child.unref();
      (readyPipe as unknown as { destroy(): void }).destroy();
      child.stdin!.destroy();
    }),
    send: (line) => void child.stdin!.end(`${line}\n`),
  };
}

/** Before `tellReady`: ends this process when whoever started it is gone, since nobody waits for it any more. */
export function endWithStarter(): void {
  if (process.env['KEELSON_READY_FD'] === undefined) return;
  process.stdin.once('close', leave).resume();
}

const leave = (): never => process.exit(1);

/** Tells whoever started this process that it is ready. */
export function tellReady(): void {
  const fd = process.env['KEELSON_READY_FD'];
  if (fd === undefined) return;
  process.stdin.off('close', leave);
  delete process.env['KEELSON_READY_FD'];
  writeFileSync(Number(fd), 'ready\n');
  closeSync(Number(fd));
}

/** What a log says last of why its process ended. */
function lastLine(log: string): string {
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  const own = lines.findLast((line) => line.startsWith('keelson: '));
  return own?.replace(/^keelson: (\w*Error: )?/, '') ?? (lines.at(-1) || `see ${log}`);
}

/** The daemon's pid if it runs. */
export function runningPid(pidFile: string): number | undefined {
  if (!existsSync(pidFile)) return undefined;
  const [pid, started] = readFileSync(pidFile, 'utf8').trim().split(' ');
  return started !== undefined && startTime(Number(pid)) === started ? Number(pid) : undefined;
}

/** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. */
export async function stopDaemon(pidFile: string, graceMs = 10_000): Promise<void> {
  const pid = runningPid(pidFile);
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM');
    const deadline = Date.now() + graceMs;
    let killed = false;
    while (runningPid(pidFile) !== undefined) {
      if (!killed && Date.now() > deadline) {
        process.kill(pid, 'SIGKILL');
        killed = true;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  rmSync(pidFile, { force: true });
}
