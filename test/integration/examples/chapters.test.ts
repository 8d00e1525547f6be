/** Every chapter's README, run as a reader would, on one node and on three. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXAMPLES, runChapter } from '../../fixtures/chapters.js';
import { startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { writeCommands } from '../../fixtures/readme.js';
import { register } from '../../fixtures/registry.js';

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
      for (const chapter of chapters) runs.set(chapter, runChapter(chapter, cluster.kubectl, place, bin));
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
