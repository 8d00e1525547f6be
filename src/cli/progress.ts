/** Step-by-step progress: one line that changes on a terminal, plain lines elsewhere. */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export interface Progress {
  /** Ends the step before and begins this one. */
  step(label: string): void;
  /** Ends the last step. */
  done(message?: string): void;
  /** The step that runs has failed. */
  failed(): void;
}

/** `quiet` shows nothing. */
export function createProgress(out: NodeJS.WriteStream = process.stdout, quiet = false): Progress {
  if (quiet) return { step: () => undefined, done: () => undefined, failed: () => undefined };
  return out.isTTY ? terminalProgress(out) : plainProgress(out);
}

function plainProgress(out: NodeJS.WriteStream): Progress {
  return {
    step: (label) => void out.write(`${label}\n`),
    done: (message) => void (message && out.write(`${message}\n`)),
    failed: () => undefined,
  };
}

function terminalProgress(out: NodeJS.WriteStream): Progress {
  let label = '';
  let started = 0;
  let frame = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = () => out.write(`\r\x1b[K${FRAMES[frame++ % FRAMES.length]} ${label}`);
  const end = (mark: string) => {
    if (timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
    out.write(
      `\r\x1b[K${mark} ${label} \x1b[2m${((performance.now() - started) / 1000).toFixed(1)} s\x1b[0m\n`,
    );
  };
  return {
    step(next) {
      end('\x1b[32m✓\x1b[0m');
      label = next;
      started = performance.now();
      draw();
      timer = setInterval(draw, 80);
    },
    done(message) {
      end('\x1b[32m✓\x1b[0m');
      if (message) out.write(`${message}\n`);
    },
    failed: () => end('\x1b[31m✗\x1b[0m'),
  };
}
