/** Every chapter's README, run as a reader would, on one node and on three. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MAIN, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { runSteps, stepsOf } from '../../fixtures/readme.js';
import { register } from '../../fixtures/registry.js';
import { tool } from '../../fixtures/tools.js';

const EXAMPLES = resolve('examples');
const all = readdirSync(EXAMPLES).filter(
  (name) => existsSync(join(EXAMPLES, name, 'README.md')) && stepsOf(join(EXAMPLES, name)).length > 0,
);
/** They need the ports 80 and 443, which only nodes in network namespaces have to themselves. */
const OWN_PORTS = new Set(['ch08-ingress']);

for (const nodes of [1, 3]) {
  const chapters = all.filter((chapter) => nodes > 1 || !OWN_PORTS.has(chapter));
  describe(`The book's chapters on ${nodes === 1 ? 'one node' : `${nodes} nodes`}`, function () {
    this.timeout(240_000);
    let cluster: TestCluster;
    let place: string;
    const runs = new Map<string, Promise<Error | undefined>>();

    before(async () => {
      place = mkdtempSync(join(tmpdir(), 'keelson-test-'));
      register({ kind: 'dir', path: place });
      cluster = await startTestCluster('--nodes', `${nodes}`);
      const bin = writeCommands(place, cluster);
      for (const chapter of chapters) runs.set(chapter, runChapter(chapter, cluster, place, bin));
    });
    after(async () => {
      await Promise.all(runs.values());
      rmSync(place, { recursive: true, force: true });
      await cluster?.down();
    });

    for (const chapter of chapters)
      it(chapter, async () => {
        const error = await runs.get(chapter);
        if (error) throw error;
      });
  });
}

/** Runs a chapter in a namespace of its own, so that chapters can run side by side. */
async function runChapter(chapter: string, cluster: TestCluster, place: string, bin: string) {
  const scratch = join(place, chapter);
  mkdirSync(scratch);
  const kubeconfig = join(scratch, 'kubeconfig');
  const namespace = chapter.replace(/-.*/, '');
  try {
    await cluster.kubectl('create', 'namespace', namespace);
    writeFileSync(kubeconfig, await cluster.kubectl('config', 'view', '--raw'), { mode: 0o600 });
    const env = {
      KUBECONFIG: kubeconfig,
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: scratch,
      TMPDIR: scratch,
    };
    await runSteps(
      [
        { command: `kubectl config set-context --current --namespace=${namespace}`, expected: [], line: 0 },
        ...stepsOf(join(EXAMPLES, chapter)),
      ],
      { cwd: join(EXAMPLES, chapter), env, scratch },
    );
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** A folder with the commands of the READMEs: kubectl, helm, and `keelson` for this cluster. */
function writeCommands(place: string, cluster: TestCluster): string {
  const bin = join(place, 'bin');
  mkdirSync(bin);
  const write = (name: string, line: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  write('kubectl', `${tool('kubectl')} "$@"`);
  write('helm', `${tool('helm')} "$@"`);
  write('keelson', `${process.execPath} ${MAIN} "$@" --name ${cluster.name} --data-dir ${cluster.dataDir}`);
  return bin;
}
