/** The browser of a desktop. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How long the browser may take to read the page (ms). */
const READING_MS = 5000;

export const hasDesktop = (): boolean =>
  process.stdout.isTTY === true && Boolean(process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY']);

/**
 * Opens an address that is a secret: every user sees the arguments of processes, so that the browser gets a file that only
 * this user can read, which leads there. False when no browser can be started.
 */
export async function openInBrowser(url: string): Promise<boolean> {
  const folder = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] || tmpdir(), 'keelson-dashboard-'));
  const file = join(folder, 'open.html');
  const address = url.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  writeFileSync(
    file,
    `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=${address}"><title>Keelson</title>\n`,
    { mode: 0o600 },
  );
  try {
    const started = await new Promise<boolean>((resolve) => {
      const child = spawn('xdg-open', [file], { stdio: 'ignore', detached: true });
      child.on('error', () => resolve(false));
      child.on('spawn', () => child.unref());
      child.on('exit', (code) => resolve(code === 0));
      // Some stay for as long as the browser.
      setTimeout(() => resolve(true), READING_MS).unref();
    });
    if (started) await new Promise((resolve) => setTimeout(resolve, READING_MS));
    return started;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
