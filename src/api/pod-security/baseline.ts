/**
 * The baseline level: known privilege escalations are closed.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
import {
  type Check,
  type CheckPod,
  called,
  containersOf,
  contextsOf,
  exceptUserNamespaces,
  namesOf,
  type PodView,
  plural,
  quoted,
  setters,
  sorted,
} from './check.js';

const hostNamespaces: CheckPod = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]);
  if (used.length === 0) return undefined;
  return { reason: 'host namespaces', detail: used.map((field) => `${field}=true`).join(', ') };
};

const privileged: CheckPod = (pod) => {
  const bad = namesOf(pod, ({ securityContext }) => securityContext?.privileged);
  if (bad.length === 0) return undefined;
  return { reason: 'privileged', detail: `${called(bad)} must not set securityContext.privileged=true` };
};

const DEFAULT_CAPABILITIES = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
]);

const capabilities: CheckPod = (pod) => {
  const added = (c: ReturnType<typeof containersOf>[number]) =>
    (c.securityContext?.capabilities?.add ?? []).filter((name) => !DEFAULT_CAPABILITIES.has(name));
  const bad = namesOf(pod, (container) => added(container).length > 0);
  if (bad.length === 0) return undefined;
  const names = sorted(containersOf(pod.spec).flatMap(added));
  return {
    reason: 'non-default capabilities',
    detail: `${called(bad)} must not include ${quoted(names)} in securityContext.capabilities.add`,
  };
};

const hostPathVolumes: CheckPod = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
  if (bad.length === 0) return undefined;
  return { reason: 'hostPath volumes', detail: `${plural(bad.length, 'volume')} ${quoted(bad)}` };
};

const hostPorts: CheckPod = (pod) => {
  const used = (container: ReturnType<typeof containersOf>[number]) =>
    (container.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []));
  const bad = namesOf(pod, (container) => used(container).length > 0);
  if (bad.length === 0) return undefined;
  const ports = sorted(containersOf(pod.spec).flatMap(used));
  const verb = plural(bad.length, 'uses', 'use');
  return {
    reason: 'hostPort',
    detail: `${called(bad)} ${verb} ${plural(ports.length, 'hostPort')} ${ports.join(', ')}`,
  };
};

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';

const appArmorProfile: CheckPod = (pod) => {
  const bad = (type: string | undefined) => type !== 'RuntimeDefault' && type !== 'Localhost';
  const types = contextsOf(pod).flatMap(({ appArmorProfile: profile }) =>
    profile && bad(profile.type) ? [profile.type ?? ''] : [],
  );
  const annotations = Object.entries(pod.annotations)
    .filter(([name, value]) => name.startsWith(APPARMOR) && !/^$|^runtime\/default$|^localhost\//.test(value))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .sort();
  const values = [...sorted(types), ...annotations];
  if (values.length === 0) return undefined;
  const who = setters(pod, ({ appArmorProfile: profile }) => profile && bad(profile.type));
  const all = [who ?? [], annotations.length > 0 ? plural(annotations.length, 'annotation') : []].flat();
  return {
    reason: `forbidden AppArmor ${plural(values.length, 'profile')}`,
    detail: `${all.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  };
};

const seLinuxOptions =
  (...types: string[]): CheckPod =>
  (pod) => {
    const badType = (type: string | undefined) => Boolean(type) && !types.includes(type!);
    const who = setters(
      pod,
      ({ seLinuxOptions: o }) => o && (badType(o.type) || Boolean(o.user) || Boolean(o.role)),
    );
    if (who === undefined) return undefined;
    const options = contextsOf(pod).flatMap(({ seLinuxOptions: o }) => (o ? [o] : []));
    const bad = sorted(options.flatMap(({ type }) => (badType(type) ? [type!] : [])));
    const what = [
      ...(bad.length > 0 ? [`${plural(bad.length, 'type')} ${quoted(bad)}`] : []),
      ...(options.some(({ user }) => user) ? ['user may not be set'] : []),
      ...(options.some(({ role }) => role) ? ['role may not be set'] : []),
    ];
    return {
      reason: 'seLinuxOptions',
      detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}`,
    };
  };

/** Anything but the default hides less of /proc. */
export const procMount: CheckPod = (pod) => {
  const bad = namesOf(pod, ({ securityContext: c }) => c?.procMount && c.procMount !== 'Default');
  if (bad.length === 0) return undefined;
  const types = sorted(
    containersOf(pod.spec).flatMap(({ securityContext: c }) =>
      c?.procMount && c.procMount !== 'Default' ? [c.procMount] : [],
    ),
  );
  return {
    reason: 'procMount',
    detail: `${called(bad)} must not set securityContext.procMount to ${quoted(types)}`,
  };
};

const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';

/** Before there were fields for it. */
const seccompAnnotations: CheckPod = ({ annotations, spec }) => {
  const names = [SECCOMP_POD, ...containersOf(spec).map(({ name }) => SECCOMP_CONTAINER + name)];
  const bad = names.filter(
    (name) =>
      annotations[name] !== undefined && !/^(runtime|docker)\/default$|^localhost\//.test(annotations[name]),
  );
  if (bad.length === 0) return undefined;
  const list = sorted(bad.map((name) => `${name}=${JSON.stringify(annotations[name])}`));
  return {
    reason: 'seccompProfile',
    detail: `forbidden ${plural(list.length, 'annotation')} ${list.join(', ')}`,
  };
};

const badSeccomp = (profile: { type?: string } | undefined): boolean =>
  Boolean(profile) && profile!.type !== 'RuntimeDefault' && profile!.type !== 'Localhost';

/** Profiles that are named must be the runtime's or the node's own. */
export const seccompFields: CheckPod = (pod) => {
  const who = setters(pod, ({ seccompProfile }) => badSeccomp(seccompProfile));
  if (who === undefined) return undefined;
  const types = contextsOf(pod).flatMap(({ seccompProfile: p }) => (badSeccomp(p) ? [p?.type ?? ''] : []));
  return {
    reason: 'seccompProfile',
    detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(sorted(types))}`,
  };
};

const SYSCTLS: [from: number, names: string[]][] = [
  [
    0,
    [
      'kernel.shm_rmid_forced',
      'net.ipv4.ip_local_port_range',
      'net.ipv4.tcp_syncookies',
      'net.ipv4.ping_group_range',
      'net.ipv4.ip_unprivileged_port_start',
    ],
  ],
  [27, ['net.ipv4.ip_local_reserved_ports']],
  [
    29,
    [
      'net.ipv4.tcp_keepalive_time',
      'net.ipv4.tcp_fin_timeout',
      'net.ipv4.tcp_keepalive_intvl',
      'net.ipv4.tcp_keepalive_probes',
    ],
  ],
  [32, ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']],
];

const sysctls =
  (minor: number): CheckPod =>
  ({ spec }) => {
    const allowed = SYSCTLS.filter(([from]) => from <= minor).flatMap(([, names]) => names);
    const used = (spec.securityContext?.sysctls ?? []).map(({ name }) => name);
    const bad = used.filter((name) => !allowed.includes(name));
    return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') };
  };

const windowsHostProcess: CheckPod = (pod) => {
  const who = setters(pod, ({ windowsOptions }) => windowsOptions?.hostProcess);
  if (who === undefined) return undefined;
  return {
    reason: 'hostProcess',
    detail: `${who} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};

type Handler = { httpGet?: { host?: string }; tcpSocket?: { host?: string } } | undefined;

/** The node sends probes: they must not reach hosts of somebody's choice. */
const probeHosts: CheckPod = (pod: PodView) => {
  const hosts = ({
    livenessProbe,
    readinessProbe,
    startupProbe,
    lifecycle,
  }: ReturnType<typeof containersOf>[number]) =>
    (
      [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop] as Handler[]
    ).flatMap(
      (handler) => [handler?.httpGet?.host, handler?.tcpSocket?.host].filter((host) => host) as string[],
    );
  const bad = sorted(namesOf(pod, (container) => hosts(container).length > 0));
  if (bad.length === 0) return undefined;
  const used = sorted(containersOf(pod.spec).flatMap(hosts));
  const verb = plural(bad.length, 'uses', 'use');
  return {
    reason: 'probe or lifecycle host',
    detail: `${called(bad)} ${verb} ${plural(used.length, 'probe or lifecycle host')} ${quoted(used)}`,
  };
};

const SELINUX_TYPES = ['container_t', 'container_init_t', 'container_kvm_t'];

const always = (id: string, check: CheckPod): Check => ({
  id,
  level: 'baseline',
  versions: [{ from: 0, check }],
});

export const baselineChecks: Check[] = [
  always('appArmorProfile', appArmorProfile),
  always('capabilities_baseline', capabilities),
  always('hostNamespaces', hostNamespaces),
  always('hostPathVolumes', hostPathVolumes),
  always('hostPorts', hostPorts),
  { id: 'hostProbesAndHostLifecycle', level: 'baseline', versions: [{ from: 34, check: probeHosts }] },
  always('privileged', privileged),
  {
    id: 'procMount',
    level: 'baseline',
    versions: [
      { from: 0, check: procMount },
      { from: 35, check: exceptUserNamespaces(procMount) },
    ],
  },
  {
    id: 'seLinuxOptions',
    level: 'baseline',
    versions: [
      { from: 0, check: seLinuxOptions(...SELINUX_TYPES) },
      { from: 31, check: seLinuxOptions(...SELINUX_TYPES, 'container_engine_t') },
    ],
  },
  {
    id: 'seccompProfile_baseline',
    level: 'baseline',
    versions: [
      { from: 0, check: seccompAnnotations },
      { from: 19, check: seccompFields },
    ],
  },
  { id: 'sysctls', level: 'baseline', versions: SYSCTLS.map(([from]) => ({ from, check: sysctls(from) })) },
  always('windowsHostProcess', windowsHostProcess),
];
