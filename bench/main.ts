/** `npm run bench`: brings up a cluster of its own, measures, takes it down. */
import { rmSync } from 'node:fs';
import { Client, httpsTransport, loadKubeconfig } from '../src/client/index.js';
import { benchApi } from './api.js';
import { CLUSTER, DATA, keelson } from './cluster.js';
import { benchEncodings } from './encodings.js';
import { crunStart, levelBatches } from './limits.js';
import { benchMemory } from './memory.js';
import { benchObjects } from './objects.js';
import { benchPods } from './pods.js';
import { type Result, table } from './report.js';

const json = process.argv.includes('--json');
const say = (text: string) => process.stderr.write(`${text}\n`);
const results: Result[] = [];

/** Seconds from `up` to Ready: the median of three. */
function benchUp(): Result {
  const seconds = [0, 1, 2].map((i) => {
    const started = performance.now();
    keelson('up', '--no-kubeconfig');
    const took = (performance.now() - started) / 1000;
    if (i < 2) keelson('down');
    return took;
  });
  return { name: 'up to node Ready', value: seconds.sort()[1]!, unit: 's', target: 2 };
}

if (process.getuid?.() !== 0) throw new Error('The benchmark needs root: it runs pods.');
try {
  say('Starting clusters');
  results.push(benchUp());
  const { transport: options } = await loadKubeconfig(`${DATA}/admin.kubeconfig`);
  const transport = httpsTransport(options);
  const client = new Client(transport);
  results.push(...benchMemory('idle'));
  say('Pods');
  results.push(...(await benchPods(client, await crunStart())));
  say('API');
  results.push(...(await benchApi(client, options, await levelBatches())));
  say('Encodings');
  results.push(...(await benchEncodings(options)));
  results.push(...benchMemory('after'));
  results.push(await benchObjects());
  await transport.close();
} finally {
  keelson('down');
  rmSync(DATA, { recursive: true, force: true });
}
process.stdout.write(json ? `${JSON.stringify({ cluster: CLUSTER, results }, null, 2)}\n` : table(results));
