// The dashboard's build, into dist/ui: nothing inline, so that a strict Content-Security-Policy holds.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));

export default defineConfig({
  root: here,
  base: '/ui/',
  publicDir: false,
  cacheDir: join(here, '../../dist/.vite'),
  logLevel: 'warn',
  build: {
    outDir: join(here, '../../dist/ui'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
