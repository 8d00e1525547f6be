/** `keelson version` */
import { readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { KUBERNETES_VERSION } from '../../api/machinery/version.js';

/** This package's own version. */
export function keelsonVersion(): string {
  return JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8')).version;
}

export const versionCommand: CommandModule = {
  command: 'version',
  describe: 'Print the versions of Keelson and of the Kubernetes API it serves',
  handler: () => {
    process.stdout.write(
      `keelson ${keelsonVersion()} (Kubernetes ${KUBERNETES_VERSION}, Node ${process.version})\n`,
    );
  },
};
