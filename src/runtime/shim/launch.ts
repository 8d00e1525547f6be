/** Starts a shim as a process of its own session, connected to us by its descriptor 3. */
import { Socket } from 'node:net';
import { native } from '../native.js';
import { RuntimeError } from '../types.js';

/** The shim must be reaped when it has ended. Rejects with RuntimeError('Internal') when it can't be executed. */
export async function launchShim(
  shimPath: string,
  folder: string,
): Promise<{ pid: number; connection: Socket }> {
  try {
    const { pid, socket } = await native.spawnDetached(shimPath, folder);
    return { pid, connection: new Socket({ fd: socket, readable: true, writable: true }) };
  } catch (error) {
    throw new RuntimeError('Internal', (error as Error).message);
  }
}
