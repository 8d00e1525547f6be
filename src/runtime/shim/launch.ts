/** Starts a shim as a process of its own session, connected to us by descriptor 3. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { RuntimeError } from '../types.js';

/** Rejects with RuntimeError('Internal') when the binary can't be executed. */
export function launchShim(
  shimPath: string,
  folder: string,
): Promise<{ pid: number; socket: Socket; ended: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const child = spawn(shimPath, [folder], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: {},
    });
    child.once('error', (error) =>
      reject(new RuntimeError('Internal', `start ${shimPath}: ${error.message}`)),
    );
    child.once('spawn', () => {
      child.unref();
      const ended = new Promise<void>((done) => child.once('exit', () => done()));
      resolve({ pid: child.pid!, socket: child.stdio[3] as Socket, ended });
    });
  });
}
