/** Every chapter's README, run as a reader would, on one node and on three. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { runSteps, stepsOf, writeCommands } from '../../fixtures/readme.js';
import { register } from '../../fixtures/registry.js';

const EXAMPLES = resolve('examples');
/** What clusters.test.ts runs. */
const OWN_CLUSTERS = 'ch03-clusters';
const all = readdirSync(EXAMPLES).filter(
  (name) => name !== OWN_CLUSTERS && existsSync(join(EXAMPLES, name, 'README.md')),
);
/** What a chapter leaves on the machine if it fails halfway. */
const LEFT = '/var/lib/keelson-example-database';
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
      for (const path of [place, LEFT]) register({ kind: 'dir', path });
      cluster = await startTestCluster('--nodes', `${nodes}`);
      const bin = writeCommands(place, `--name ${cluster.name} --data-dir ${cluster.dataDir}`);
      for (const chapter of chapters) runs.set(chapter, runChapter(chapter, cluster, place, bin));
    });
    after(async () => {
      await Promise.all(runs.values());
      for (const path of [place, LEFT]) rmSync(path, { recursive: true, force: true });
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
  try {
    await cluster.kubectl('create', 'namespace', chapter);
    writeFileSync(kubeconfig, await cluster.kubectl('config', 'view', '--raw'), { mode: 0o600 });
    const env = {
      KUBECONFIG: kubeconfig,
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: scratch,
      TMPDIR: scratch,
    };
    await runSteps(
      [
        { command: `kubectl config set-context --current --namespace=${chapter}`, expected: [], line: 0 },
        ...stepsOf(join(EXAMPLES, chapter)),
      ],
      { cwd: join(EXAMPLES, chapter), env, scratch },
    );
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
