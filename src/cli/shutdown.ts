/** Ends a foreground process in order on SIGTERM and SIGINT. */

/** Runs `close` once on the first signal, then exits: 0, or 1 when closing failed. A second signal exits at once. */
export function closeOnSignal(close: (signal: NodeJS.Signals) => Promise<void>): void {
  let closing = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (closing) process.exit(1);
      closing = true;
      close(signal).then(
        () => process.exit(0),
        (error) => {
          process.stderr.write(`keelson: ${error?.stack ?? error}\n`);
          process.exit(1);
        },
      );
    });
}
