/** stats: counters of the node and of every running container, read when somebody asks. */
import { Channel } from '../../rpc/hub.js';
import type { ContainerSample, NodeStats, PodSample } from '../../rpc/stats.js';
import type { ContainerStatus } from '../../runtime/types.js';
import { sampleMachine } from '../node/usage.js';
import type { Serve, StreamDeps } from './serve.js';

export const serveStats: Serve = async (stream, _request, _events, deps) => {
  const stats = await collect(deps);
  const output = stream.output(Channel.stdout);
  stream.ready();
  await new Promise<void>((resolve) => {
    output.once('close', resolve);
    output.end(JSON.stringify(stats));
  });
  stream.exit(0);
};

async function collect({ pods, runtime }: StreamDeps): Promise<NodeStats> {
  const found: PodSample[] = [];
  for (const { pod } of pods.list()) {
    const { uid = '', namespace = '', name } = pod.metadata;
    const running = (runtime.sandbox(uid)?.containers ?? []).filter((c) => c.state === 'running');
    const samples = await Promise.all(running.map((container) => sample(runtime, container)));
    const containers = samples.filter((s) => s !== undefined);
    if (containers.length > 0) found.push({ uid, namespace, name, containers });
  }
  return { node: sampleMachine(Date.now()), pods: found };
}

async function sample(
  runtime: StreamDeps['runtime'],
  { id, name, startedAt }: ContainerStatus,
): Promise<ContainerSample | undefined> {
  try {
    const { cpuNanos, workingSetBytes } = await runtime.stats(id);
    return { id, name, startedAt, time: Date.now(), cpuNanos, workingSetBytes };
  } catch {
    // It has ended in the meantime.
    return undefined;
  }
}
