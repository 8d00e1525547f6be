/** A large image from a registry on this machine. */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withCluster } from '../cluster.js';
import { times, until } from '../load.js';
import { quantile, type Result } from '../report.js';
import { background, output, requireTools } from '../tools.js';

const LAYERS = 5;
const LAYER_MB = 100;
const REGISTRY = '127.0.0.1:15000';
const IMAGE = `${REGISTRY}/bench/large:1`;
const MAIN = join(dirname(fileURLToPath(import.meta.url)), '../../src/cli/main.js');

export async function benchImages(): Promise<Result[]> {
  requireTools(['skopeo', 'docker-registry', 'tar', 'gzip']);
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-images-'));
  const config = join(dir, 'registry.yml');
  const storage = { filesystem: { rootdirectory: join(dir, 'registry') } };
  writeFileSync(config, JSON.stringify({ version: 0.1, storage, http: { addr: REGISTRY } }));
  const registry = background('docker-registry', 'serve', config);
  try {
    await until('the registry answers', async () =>
      (await fetch(`http://${REGISTRY}/v2/`).catch(() => undefined))?.ok ? true : undefined,
    );
    await writeLayout(join(dir, 'image'));
    await output('skopeo', 'copy', '--dest-tls-verify=false', `oci:${dir}/image:1`, `docker://${IMAGE}`);
    rmSync(join(dir, 'image'), { recursive: true });
    const source = `docker://${IMAGE}`;
    const copied = await times(3, (i) =>
      output('skopeo', 'copy', '--src-tls-verify=false', source, `dir:${dir}/copy-${i}`),
    );
    const pulled = await withCluster({}, ({ name, kubeconfig }) => {
      const of = ['--name', name, '--data-dir', dirname(kubeconfig)];
      return times(3, async (i) => {
        await output(process.execPath, MAIN, 'image', 'pull', IMAGE, ...of);
        if (i < 2) await output(process.execPath, MAIN, 'image', 'remove', IMAGE, ...of);
      });
    });
    return [
      {
        name: `pull of an image of ${LAYERS * LAYER_MB} MB`,
        value: quantile(pulled, 0.5) / 1000,
        unit: 's',
        limit: { value: quantile(copied, 0.5) / 1000, of: 'skopeo copy, which unpacks nothing' },
      },
    ];
  } finally {
    await registry.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** An OCI layout with layers that hardly compress. */
async function writeLayout(dir: string): Promise<void> {
  const blobs = join(dir, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const layers = [];
  const diffIds = [];
  for (let i = 0; i < LAYERS; i++) {
    const tar = join(dir, 'layer.tar');
    await output('sh', '-c', `head -c ${LAYER_MB}000000 /dev/urandom > "$0/data-${i}"`, dir);
    await output('tar', '-C', dir, '-cf', tar, `data-${i}`);
    rmSync(join(dir, `data-${i}`));
    diffIds.push(await digestOf(tar));
    await output('gzip', '-1', tar);
    layers.push(await keep(`${tar}.gz`, 'application/vnd.oci.image.layer.v1.tar+gzip'));
  }
  const write = (object: object, mediaType: string) => {
    const path = join(dir, 'object.json');
    writeFileSync(path, JSON.stringify(object));
    return keep(path, mediaType);
  };
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const config = await write(
    { architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } },
    'application/vnd.oci.image.config.v1+json',
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await write({ schemaVersion: 2, mediaType, config, layers }, mediaType);
  const annotations = { 'org.opencontainers.image.ref.name': '1' };
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(dir, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );

  async function keep(path: string, type: string) {
    const digest = await digestOf(path);
    const { size } = statSync(path);
    renameSync(path, join(blobs, digest.slice('sha256:'.length)));
    return { mediaType: type, digest, size };
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
