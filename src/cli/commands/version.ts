/** `keelson version` */
import type { CommandModule } from 'yargs';
import { KUBERNETES_VERSION } from '../../api/machinery/version.js';
import { keelsonVersion } from '../../server/version.js';

export const versionCommand: CommandModule = {
  command: 'version',
  describe: 'Print the versions of Keelson and of the Kubernetes API it serves',
  handler: () => {
    process.stdout.write(
      `keelson ${keelsonVersion()} (Kubernetes ${KUBERNETES_VERSION}, Node ${process.version})\n`,
    );
  },
};
