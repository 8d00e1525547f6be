/** Pods of the interface: every sandbox can be seen, those made through it can be ended through it. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import { type CriDeps, HANDLERS } from './deps.js';
import { CriFailure, invalid, nanos } from './errors.js';
import type { OwnSandbox } from './own.js';
import { limits, sandboxConfig } from './prepare.js';
import {
  containerStatus,
  containerViews,
  findSandbox,
  hasLabels,
  type SandboxView,
  sandboxViews,
} from './view.js';

/** By the number that the interface has for them. */
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

export async function runPodSandbox(
  deps: CriDeps,
  { config, runtimeHandler }: Cri.RunPodSandboxRequest.$Properties,
): Promise<Cri.RunPodSandboxResponse.$Properties> {
  const { own, runtime, network } = deps;
  const handler = runtimeHandler ?? '';
  if (!config?.metadata) throw invalid('sandbox config must include metadata');
  if (!HANDLERS.includes(handler))
    throw new CriFailure(
      status.UNKNOWN,
      `failed to get sandbox runtime: no runtime for ${JSON.stringify(handler)} is configured`,
    );
  const id = randomBytes(16).toString('hex');
  const sandbox: OwnSandbox = {
    id,
    config,
    handler,
    createdAt: Date.now(),
    ip: '',
    stopped: false,
    containers: {},
  };
  const made = sandboxConfig(id, config, own.folder(id));
  const notReady = deps.networkNotReady();
  if (made.network === 'pod' && notReady) throw new CriFailure(status.UNAVAILABLE, notReady);
  try {
    own.save(sandbox);
    const { netns } = await runtime.createSandbox(made);
    const ips = made.network === 'pod' ? await network.attach(id, netns) : [];
    sandbox.ip = ips.join();
    claimPorts(deps, sandbox);
    await writeFiles(own.folder(id), config, made.hostname, ips);
    own.save(sandbox);
  } catch (error) {
    await network.detach(id).catch(() => {});
    await runtime.removeSandbox(id).catch(() => {});
    await own.remove(id);
    throw error;
  }
  return { podSandboxId: id };
}

/** What comes to these ports of the node goes to the sandbox, until it is stopped. */
export function claimPorts({ network }: CriDeps, { id, config, ip, stopped }: OwnSandbox): void {
  const ports = (config.portMappings ?? []).flatMap(({ hostPort, hostIp, containerPort, protocol }) =>
    hostPort
      ? [
          {
            ...{ hostPort, containerPort: containerPort ?? 0, protocol: PROTOCOLS[protocol ?? 0] },
            hostIP: hostIp ?? '',
          },
        ]
      : [],
  );
  if (ports.length > 0 && ip && !stopped) network.claimPorts(id, ip.split(','), ports);
}

async function writeFiles(
  folder: string,
  { dnsConfig }: Cri.PodSandboxConfig.$Properties,
  hostname: string,
  ips: string[],
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const { servers = [], searches = [], options = [] } = dnsConfig ?? {};
  const resolv = [
    ...(servers ?? []).map((server) => `nameserver ${server}`),
    ...(searches?.length ? [`search ${searches.join(' ')}`] : []),
    ...(options?.length ? [`options ${options.join(' ')}`] : []),
  ];
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const isSet = resolv.length > 0;
  const named = ips.map((ip) => `${ip}\t${hostname}\n`).join('');
  const hosts = named ? `127.0.0.1\tlocalhost\n::1\tlocalhost\n${named}` : await read('/etc/hosts');
  await Promise.all([
    writeFile(join(folder, 'resolv.conf'), isSet ? `${resolv.join('\n')}\n` : await read('/etc/resolv.conf')),
    writeFile(join(folder, 'hostname'), hostname ? `${hostname}\n` : await read('/etc/hostname')),
    writeFile(join(folder, 'hosts'), hosts),
  ]);
}

/** Ends its containers and takes it off the network; again without harm. */
export async function stopPodSandbox(deps: CriDeps, id: string): Promise<void> {
  const { runtime, network, own } = deps;
  const sandbox = ownSandbox(deps, id);
  if (!sandbox) return;
  const running = runtime.sandbox(sandbox.id)?.containers.filter(({ state }) => state === 'running') ?? [];
  await Promise.all(running.map((container) => runtime.stopContainer(container.id, 'SIGKILL', 0)));
  await network.detach(sandbox.id);
  own.save(Object.assign(sandbox, { stopped: true }));
}

export async function removePodSandbox(deps: CriDeps, id: string): Promise<void> {
  const sandbox = ownSandbox(deps, id);
  if (!sandbox) return;
  await stopPodSandbox(deps, sandbox.id);
  await deps.runtime.removeSandbox(sandbox.id);
  await deps.own.remove(sandbox.id);
}

export async function updatePodResources(
  deps: CriDeps,
  { podSandboxId, resources }: Cri.UpdatePodSandboxResourcesRequest.$Properties,
): Promise<void> {
  const { id, own, metadata } = findSandbox(deps, podSandboxId ?? '');
  if (!own) throw ofCluster(metadata);
  await deps.runtime.updateLimits(id, { ...deps.runtime.sandbox(id)?.limits, ...limits(resources) });
}

/** Undefined: it is gone already. @throws FAILED_PRECONDITION for a pod of the cluster. */
function ownSandbox(deps: CriDeps, id: string): OwnSandbox | undefined {
  let view: SandboxView;
  try {
    view = findSandbox(deps, id);
  } catch {
    return undefined;
  }
  if (!view.own) throw ofCluster(view.metadata);
  return view.own;
}

/** Its pods are ended through the API alone: the agent would start them again. */
export const ofCluster = ({ name, namespace }: Cri.PodSandboxMetadata.$Properties): CriFailure =>
  new CriFailure(
    status.FAILED_PRECONDITION,
    `pod ${namespace}/${name} belongs to the cluster: change it with kubectl`,
  );

const STATE = V1.PodSandboxState;

export function listPodSandboxes(deps: CriDeps, filter: Cri.PodSandboxFilter.$Properties | null | undefined) {
  const items = sandboxViews(deps)
    .filter(
      (view) =>
        (!filter?.id || view.id.startsWith(filter.id)) &&
        (!filter?.state || (filter.state.state ?? STATE.SANDBOX_READY) === stateOf(view)) &&
        hasLabels(view.labels, filter?.labelSelector),
    )
    .map(({ id, metadata, createdAt, labels, annotations, handler, ...view }) => ({
      ...{ id, metadata, labels, annotations, runtimeHandler: handler, createdAt: nanos(createdAt) },
      state: stateOf(view as SandboxView),
    }));
  return { items };
}

const stateOf = ({ ready }: SandboxView): V1.PodSandboxState =>
  ready ? STATE.SANDBOX_READY : STATE.SANDBOX_NOTREADY;

export function podSandboxStatus(
  deps: CriDeps,
  id: string,
  verbose: boolean,
): Cri.PodSandboxStatusResponse.$Properties {
  const view = findSandbox(deps, id);
  const containers = containerViews(deps).filter(({ sandboxId }) => sandboxId === view.id);
  const config = deps.runtime.sandboxConfig(view.id);
  const info = { pid: view.pid, cgroup: config?.cgroup, config: view.own?.config ?? config };
  return {
    status: sandboxStatus(deps, view),
    containersStatuses: containers.map((one) => containerStatus(one, deps.images.get(one.imageId))),
    timestamp: nanos(Date.now()),
    ...(verbose ? { info: { info: JSON.stringify(info) } } : {}),
  };
}

function networkOf({ ready, ip }: SandboxView): Cri.PodSandboxNetworkStatus.$Properties {
  const [first = '', ...others] = ready ? ip.split(',') : [];
  return { ip: first, additionalIps: others.map((one) => ({ ip: one })) };
}

export function sandboxStatus({ runtime }: CriDeps, view: SandboxView): Cri.PodSandboxStatus.$Properties {
  const { id, metadata, createdAt, labels, annotations, handler } = view;
  const config = runtime.sandboxConfig(id);
  const mode = V1.NamespaceMode;
  const asked = view.own?.config.linux?.securityContext?.namespaceOptions;
  const options = asked ?? {
    network: config?.network === 'host' ? mode.NODE : mode.POD,
    pid: config?.pid === 'host' ? mode.NODE : config?.pid === 'pod' ? mode.POD : mode.CONTAINER,
    ipc: config?.ipc === 'host' ? mode.NODE : mode.POD,
  };
  return {
    ...{ id, metadata, state: stateOf(view), createdAt: nanos(createdAt), labels, annotations },
    ...{ network: networkOf(view), linux: { namespaces: { options } }, runtimeHandler: handler },
  };
}
