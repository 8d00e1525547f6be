/** Ctrl-C, and the like, while a command makes things that should not stay behind half made. */
import { constants } from 'node:os';
import { CliError } from './error.js';

export interface Interruption {
  /** @throws CliError when there was a signal. */
  check(): void;
  /** As Promise.race; rejects with CliError as soon as there is a signal. */
  race<T>(promises: Promise<T>[]): Promise<T>;
  /** Signals end this process again. */
  end(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** From now on signals do not end this process, but its next `check` or `race`. */
export function interruption(): Interruption {
  let error: CliError | undefined;
  let tell: (error: CliError) => void;
  const told = new Promise<never>((_, reject) => {
    tell = reject;
  });
  told.catch(() => undefined);
  const onSignal = (signal: NodeJS.Signals): void => {
    error ??= new CliError('Interrupted.', 128 + constants.signals[signal]);
    tell(error);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    check() {
      if (error) throw error;
    },
    race: (promises) => Promise.race([told, ...promises]),
    end: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
