/** After a loss of power: the same pods run again; and in the end nothing is left of the cluster. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChapter } from '../../fixtures/chapters.js';
import { eventually } from '../../fixtures/cluster.js';
import { writeCommands } from '../../fixtures/readme.js';
import * as service from './services.js';
import { kubectl, systemctl } from './services.js';

/** Services and DNS, Ingress, autoscaling by measures, rollouts, Jobs. */
const CHAPTERS = [
  'ch07-service-discovery',
  'ch08-ingress',
  'ch09-replicasets',
  'ch10-deployments',
  'ch12-jobs',
];

describe('services of systemd, after a loss of power', function () {
  this.timeout(240_000);

  it('are back, with the pods as they were', async () => {
    await eventually(
      'the pod to run again',
      async () => {
        const { status } = await service.getPod('bare');
        return status?.containerStatuses?.[0]?.restartCount === 1 && status.phase === 'Running';
      },
      120_000,
    );
    await eventually('a command in it', async () => kubectl('exec', 'bare', '--', 'true').then(() => true));
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=300s');
  });

  for (const chapter of CHAPTERS)
    it(`serve the examples of ${chapter}`, async () => {
      const place = mkdtempSync(join(tmpdir(), 'keelson-test-'));
      const error = await runChapter(chapter, kubectl, place, writeCommands(place, ''));
      if (error) throw error;
    });

  it('leave nothing when they are stopped and the cluster is taken down', async () => {
    await systemctl('disable', '--now', 'keelson-agent', 'keelson-server');
    await service.keelson('down');
    assert.deepEqual(service.processesIn('/keelson'), []);
    for (const path of ['/var/lib/keelson', '/run/keelson', '/sys/fs/cgroup/keelson'])
      assert.ok(!existsSync(path), path);
    assert.equal(await service.command('nft', 'list', 'tables'), '');
  });
});
