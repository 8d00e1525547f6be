/** What a container said when it ended. */
import { readFileSync } from 'node:fs';
import type { Container } from '#types';
import type { ContainerStatus } from '../../runtime/types.js';
import { logTail } from '../logs/tail.js';
import { terminationLog } from './container-config.js';

const MAX_MESSAGE = 4096;
const FALLBACK_LINES = 80;
const FALLBACK_BYTES = 2048;

/** The run's own message, or the end of its log where the container wants that; empty if there is none. */
export function terminationMessage(dir: string, container: Container, run: ContainerStatus): string {
  const message = written(terminationLog(dir, container.name, run.id));
  const fallback = container.terminationMessagePolicy === 'FallbackToLogsOnError';
  if (message !== '' || !fallback || run.exitCode === 0) return message;
  return logTail(run.logPath, FALLBACK_LINES, FALLBACK_BYTES);
}

function written(file: string): string {
  try {
    return readFileSync(file).subarray(0, MAX_MESSAGE).toString();
  } catch {
    // It has no such file.
    return '';
  }
}
