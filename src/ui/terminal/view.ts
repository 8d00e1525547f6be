/** xterm.js on an exec session. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { openExec } from '../api/exec.js';
import { ApiError, getText, messageOf } from '../api/http.js';
import { KINDS, pathOf } from '../api/kinds.js';
import { styleByScript } from './styles.js';

/** The best shell that the image has. */
const SHELL = [
  '/bin/sh',
  '-c',
  'TERM=xterm-256color; export TERM; command -v bash >/dev/null && exec bash; exec sh',
];

const DARK = {
  background: '#12171d',
  foreground: '#dde3ea',
  cursor: '#dde3ea',
  selectionBackground: '#3b4d63',
};
const LIGHT = {
  background: '#fbfcfd',
  foreground: '#1c2530',
  cursor: '#1c2530',
  selectionBackground: '#bcd4f0',
  white: '#5d6a78',
  brightWhite: '#3a4653',
  yellow: '#8a6100',
  brightYellow: '#7a5600',
  green: '#1a7a3a',
  brightGreen: '#146b31',
  cyan: '#0c7489',
  brightCyan: '#0a6477',
};

export function openTerminal(
  place: HTMLElement,
  pod: { namespace: string; name: string; container: string },
  dark: boolean,
  ended: (message: string) => void,
): { paint(dark: boolean): void; close(): void } {
  const restoreStyles = styleByScript();
  const terminal = new Terminal({
    fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
    fontSize: 13,
    scrollback: 5000,
    theme: dark ? DARK : LIGHT,
    minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  let closed = false;
  const session = openExec(pod, SHELL, {
    opened: () => {
      session.resize(terminal.cols, terminal.rows);
      terminal.focus();
    },
    output: (bytes) => terminal.write(bytes),
    ended: async (message) => {
      const why = message === 'refused' ? await refusal(pod) : message;
      if (!closed) ended(why);
    },
  });
  terminal.onData((text) => session.send(text));
  terminal.onResize(({ cols, rows }) => session.resize(cols, rows));
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(place);
  return {
    paint(isDark) {
      terminal.options.theme = isDark ? DARK : LIGHT;
    },
    close() {
      closed = true;
      observer.disconnect();
      session.close();
      terminal.dispose();
      restoreStyles();
    },
  };
}

/** A WebSocket does not tell why it was refused: the same request without an upgrade is refused for the same reason. */
async function refusal({
  namespace,
  name,
  container,
}: {
  namespace: string;
  name: string;
  container: string;
}) {
  try {
    await getText(pathOf(KINDS.pods, namespace, name, 'exec'), {
      query: { container, command: SHELL[0]!, stdout: 'true' },
    });
  } catch (error) {
    if (error instanceof ApiError && error.code !== 400) return messageOf(error);
  }
  return 'The API server refused to open a terminal.';
}
