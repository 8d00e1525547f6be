/** The containers of a pod, and what became of them. */
import type { ComponentChildren } from 'preact';
import type { KubeObject } from '../api/follow.js';
import { KINDS, objectHref } from '../api/kinds.js';
import { Age, Badge, Section } from '../parts/basics.js';

export interface Container {
  name: string;
  image: string;
  what: 'container' | 'init container' | 'ephemeral container';
  ports: string;
  status: any;
}

const LISTS = [
  ['initContainers', 'initContainerStatuses', 'init container'],
  ['containers', 'containerStatuses', 'container'],
  ['ephemeralContainers', 'ephemeralContainerStatuses', 'ephemeral container'],
] as const;

export function containersOf(pod: KubeObject): Container[] {
  const { spec = {}, status = {} } = pod;
  return LISTS.flatMap(([list, statuses, what]) =>
    (spec[list] ?? []).map((container: any) => ({
      name: container.name,
      image: container.image,
      what,
      ports: (container.ports ?? [])
        .map(({ containerPort, protocol = 'TCP' }: any) => `${containerPort}/${protocol}`)
        .join(', '),
      status: (status[statuses] ?? []).find(({ name }: any) => name === container.name),
    })),
  );
}

export function podFacts({ spec = {}, status = {} }: KubeObject): [string, ComponentChildren][] {
  return [
    ['Phase', <Badge key="phase" text={status.phase ?? ''} />],
    ['Reason', status.reason],
    ['Message', status.message],
    [
      'Node',
      spec.nodeName && (
        <a key="node" href={objectHref(KINDS.nodes, '', spec.nodeName)}>
          {spec.nodeName}
        </a>
      ),
    ],
    ['Address', status.podIP],
    ['Quality of service', status.qosClass],
    ['Service account', spec.serviceAccountName],
  ];
}

function State({ status }: { status: any }) {
  const { running, waiting, terminated } = status?.state ?? {};
  if (running)
    return (
      <>
        <Badge text="Running" /> for <Age since={running.startedAt} />
      </>
    );
  if (terminated)
    return (
      <>
        <Badge text={terminated.reason ?? 'Terminated'} /> exit code {terminated.exitCode}{' '}
        <span class="message">{terminated.message}</span>
      </>
    );
  return (
    <>
      <Badge text={waiting?.reason ?? 'Waiting'} /> <span class="message">{waiting?.message}</span>
    </>
  );
}

export function Containers({ pod }: { pod: KubeObject }) {
  const { namespace, name } = pod.metadata;
  return (
    <Section title="Containers">
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Name</th>
              <th>Image</th>
              <th>State</th>
              <th>Ready</th>
              <th>Restarts</th>
              <th>Ports</th>
              <th>Open</th>
            </tr>
          </thead>
          <tbody>
            {containersOf(pod).map((container) => (
              <tr key={container.name}>
                <td>
                  {container.name}
                  {container.what !== 'container' && <span class="faint"> {container.what}</span>}
                </td>
                <td>
                  <code>{container.image}</code>
                </td>
                <td>
                  <State status={container.status} />
                  {container.status?.lastState?.terminated && (
                    <div class="faint">
                      before: {container.status.lastState.terminated.reason}, exit code{' '}
                      {container.status.lastState.terminated.exitCode}
                    </div>
                  )}
                </td>
                <td>{container.status?.ready ? 'yes' : 'no'}</td>
                <td>{container.status?.restartCount ?? 0}</td>
                <td>{container.ports}</td>
                <td>
                  <a href={`${objectHref(KINDS.pods, namespace, name, 'logs')}/${container.name}`}>Logs</a>{' '}
                  <a href={`${objectHref(KINDS.pods, namespace, name, 'terminal')}/${container.name}`}>
                    Terminal
                  </a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
