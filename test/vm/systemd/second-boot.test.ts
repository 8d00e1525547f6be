/** After an ordinary restart of the machine: the pods ended in order, and the cluster is back by itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import * as service from './services.js';
import { kubectl, systemctl } from './services.js';

describe('services of systemd, after a restart of the machine', function () {
  this.timeout(240_000);

  it('have ended the pods in order before', async () => {
    assert.equal(readFileSync(join(service.PROOF, 'ended'), 'utf8'), 'ordinary\ncritical\n');
    const log = await service.command('journalctl', '-u', 'keelson-agent', '-o', 'cat', '--no-pager');
    assert.match(log, /the machine shuts down/);
  });

  it('are back, with the pods that something keeps', async () => {
    await eventually(
      'the control plane',
      async () => {
        await kubectl('get', '--raw', '/readyz');
        return true;
      },
      120_000,
    );
    await service.nodeIsReady();
    for (const unit of ['keelson-server', 'keelson-agent'])
      assert.equal(await systemctl('is-active', unit), 'active');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=300s');
    const { status } = await service.getPod('ordinary');
    assert.deepEqual(
      [status?.phase, status?.reason, status?.message],
      ['Failed', 'Terminated', 'Pod was terminated in response to imminent node shutdown.'],
    );
  });

  it('are as one wants them for a loss of power: without shutdown in order', async () => {
    const unit = readFileSync(join(service.UNITS, 'keelson-agent.service'), 'utf8');
    const [, argv] = unit.match(/(--cluster .*?) --token .*? --shutdown/)!;
    // A node that has joined needs no token.
    service.writeAgent(argv!);
    await systemctl('daemon-reload');
    await systemctl('stop', 'keelson-agent');
    await service.command('rm', '-f', '/var/lib/keelson/default/nodes/vm/cpu_manager_state');
    await systemctl('start', 'keelson-agent');
    await service.nodeIsReady();
    const bare = shellPod('bare', 'exec sleep 100000');
    await service.apply({ ...bare, spec: { ...bare.spec, restartPolicy: 'Always' } });
    await kubectl('wait', '--for=condition=Ready', 'pod/bare', '--timeout=300s');
  });
});
