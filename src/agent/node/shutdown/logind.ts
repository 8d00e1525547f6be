/** The machine's shutdown as systemd-logind tells of it and waits for it, by systemd's own tools. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';

const WHO = ['--who=keelson', '--why=Pods are ended in order', '--what=shutdown', '--mode=delay'];
const MATCH =
  "type='signal',interface='org.freedesktop.login1.Manager',member='PrepareForShutdown',path='/org/freedesktop/login1'";

/** Delays shutdowns for as long as it is held. A machine without logind has none: nothing happens then. */
export class ShutdownLock {
  #child: ChildProcess | undefined;

  constructor(private readonly logger: Logger) {}

  take(): void {
    this.release();
    // It ends with its standard input, and so with this process.
    const child = spawn('systemd-inhibit', [...WHO, 'cat'], { stdio: ['pipe', 'ignore', 'pipe'] });
    this.#child = child;
    report(child, this.logger, 'shutdowns of the machine can not be delayed');
  }

  release(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }
}

/** Calls `told` for each announcement: true when a shutdown begins, false when it was called off. Returns what ends it. */
export function watchShutdowns(logger: Logger, told: (isShuttingDown: boolean) => void): () => void {
  // It ends with this process, however that ends.
  const dying = ['--pdeathsig', 'TERM', 'busctl'];
  const child = spawn('setpriv', [...dying, '--system', '--json=short', `--match=${MATCH}`, 'monitor'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  report(child, logger, 'shutdowns of the machine are not announced');
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const announced = announcement(line);
    if (announced !== undefined) told(announced);
  });
  return () => {
    child.removeAllListeners('exit');
    child.kill();
  };
}

function announcement(line: string): boolean | undefined {
  try {
    const { member, payload } = JSON.parse(line);
    return member === 'PrepareForShutdown' ? payload?.data?.[0] === true : undefined;
  } catch {
    return undefined;
  }
}

function report(child: ChildProcess, logger: Logger, what: string): void {
  let why = '';
  child.stderr!.on('data', (chunk) => {
    why = `${chunk}`.trim();
  });
  child.stdin?.on('error', () => {});
  child.on('error', (error) => logger.info({ why: error.message }, what));
  child.on('exit', (code) => code && logger.info({ why }, what));
}
