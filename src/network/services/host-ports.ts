/** Host ports: what comes to a port of the node goes on to the one pod that claims it (as the `portmap` plugin of CNI). */
import type { Pod } from '#types';
import { familyOf } from '../../api/machinery/prefix.js';
import type { Compiled, NumberOf } from './compile.js';
import { type Dispatch, idsOf } from './layout.js';
import { pickChain } from './pick.js';

export interface HostPort {
  /** The node's address that it is at; every one of them if empty, every one of its family if that is `0.0.0.0` or `::`. */
  hostIP: string;
  hostPort: number;
  containerPort: number;
  protocol: string;
}

/** A pod with addresses of its own, one of each IP family, and what it claims. */
export interface AddressedPod {
  ips: string[];
  ports: HostPort[];
}

/** One address of a pod, and what it claims there. */
export interface HostPortPod {
  uid: string;
  ip: string;
  ports: HostPort[];
}

/** Of containers that run beside one another; pods on the node's own network claim none. */
export function hostPortsOf({ spec }: Pick<Pod, 'spec'>): HostPort[] {
  if (spec.hostNetwork) return [];
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...sidecars, ...spec.containers].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP = '', containerPort, protocol = 'TCP' }) =>
      hostPort ? [{ hostIP, hostPort, containerPort, protocol: protocol.toLowerCase() }] : [],
    ),
  );
}

/** What leads to one address of a pod: the claims at addresses of its family. */
export function claimsAt(uid: string, ip: string, ports: HostPort[]): HostPortPod {
  const ofFamily = ports.filter(({ hostIP }) => hostIP === '' || familyOf(hostIP) === familyOf(ip));
  const anywhere = (hostIP: string) => hostIP === '0.0.0.0' || hostIP === '::';
  return {
    ...{ uid, ip },
    ports: ofFamily.map((port) => ({ ...port, hostIP: anywhere(port.hostIP) ? '' : port.hostIP })),
  };
}

/** The same elements that a Service of one endpoint has. */
export function compileHostPorts({ uid, ip, ports }: HostPortPod, numberOf: NumberOf): Compiled {
  const result: Compiled = { elements: new Map(), slots: new Map(), udp: new Set() };
  const { elements, slots, udp } = result;
  for (const { hostIP, hostPort, containerPort, protocol } of ports) {
    const target = `${uid}:${hostIP}:${protocol}:${hostPort}:host`;
    const id = numberOf(target);
    const at = `${ip} . ${containerPort}`;
    const dispatch: Dispatch = hostIP ? 'services' : 'nodeports';
    const key = `${hostIP ? `${hostIP} . ` : ''}${protocol} . ${hostPort}`;
    elements.set(`${dispatch} ${key}`, `goto ${pickChain(dispatch, 1, undefined)}`);
    elements.set(`${idsOf(dispatch)} ${key}`, String(id));
    elements.set(`endpoints ${id} . 0`, at);
    elements.set(`hairpin ${ip} . ${ip}`, '');
    slots.set(target, [at]);
    if (protocol === 'udp') udp.add(key.replace('udp . ', ''));
  }
  return result;
}
