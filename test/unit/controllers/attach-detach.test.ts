/** Volumes are detached from nodes that can't say any more that they have let them go. */
import assert from 'node:assert/strict';
import type { Node } from '#types';
import { nodes, persistentVolumes, volumeAttachments } from '../../../src/api/resources/index.js';
import { attachmentName } from '../../../src/api/storage/attachment.js';
import { startAttachDetachController } from '../../../src/controllers/attach-detach/index.js';
import { Harness } from './harness.js';

const DRIVER = 'csi.test';
const IN_USE = `kubernetes.io/csi/${DRIVER}^handle`;
const WAIT_MS = 6 * 60_000;

describe('attachments of nodes that do not answer', function () {
  this.timeout(20_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startAttachDetachController);
  });
  afterEach(() => h.close());

  /** A volume that is mounted on the node, and that no pod uses. */
  async function attached(node: { status: 'True' | 'Unknown'; taints?: object[] }): Promise<void> {
    const conditions = [{ type: 'Ready', status: node.status }];
    await h.client.of(nodes).create({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1' },
      spec: { taints: node.taints ?? [] },
      status: { conditions, volumesInUse: [IN_USE] },
    } as unknown as Node);
    await h.client.of(persistentVolumes).create({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'v' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        csi: { driver: DRIVER, volumeHandle: 'handle' },
      },
    });
    await h.client.of(volumeAttachments).create({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name: attachmentName('handle', DRIVER, 'n1') },
      spec: { attacher: DRIVER, nodeName: 'n1', source: { persistentVolumeName: 'v' } },
    });
  }
  const isThere = async () =>
    (await h.find(volumeAttachments, '', attachmentName('handle', DRIVER, 'n1'))) !== undefined;
  const gone = () => h.until('the attachment to go', async () => !(await isThere()));

  it('go after six minutes', async () => {
    await attached({ status: 'Unknown' });
    await h.settle();
    h.clock.advance(WAIT_MS - 1000);
    await h.settle();
    assert.equal(await isThere(), true);
    h.clock.advance(2000);
    await gone();
  });

  it('stay as long as the node is ready', async () => {
    await attached({ status: 'True' });
    await h.settle();
    h.clock.advance(WAIT_MS + 1000);
    await h.settle();
    assert.equal(await isThere(), true);
  });

  it('go at once where the node is out of service', async () => {
    const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }];
    await attached({ status: 'Unknown', taints });
    await gone();
  });
});
