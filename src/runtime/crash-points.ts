/** The steps of a pod's start and end at which a test lets the agent die, as it could anywhere. */
import { readFileSync, rmSync } from 'node:fs';

export const START_STEPS = [
  'pod admitted',
  'volumes made',
  'sandbox written',
  'sandbox groups made',
  'shim started',
  'shim written',
  'sandbox set up',
  'network attached',
  'pod files written',
  'container written',
  'container prepared',
  'container started',
  'postStart run',
] as const;

export const STOP_STEPS = [
  'stop begun',
  'preStop run',
  'container ended',
  'network detached',
  'shim shut down',
  'sandbox processes gone',
  'containers removed',
  'sandbox groups removed',
  'sandbox removed',
  'logs removed',
  'volumes removed',
  'last status sent',
  'pod deleted',
] as const;

export type CrashStep = (typeof START_STEPS)[number] | (typeof STOP_STEPS)[number];

/** A file that names the step. Unset but in tests. */
const file = process.env['KEELSON_CRASH_FILE'];

/** Ends this process by SIGKILL if the file names the step; the file goes first, so that the next process passes it. */
export const crashPoint: (step: CrashStep) => void = file
  ? (step) => {
      if (wanted(file) !== step) return;
      rmSync(file);
      process.kill(process.pid, 'SIGKILL');
    }
  : () => {};

function wanted(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
