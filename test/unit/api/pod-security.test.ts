import assert from 'node:assert/strict';
import type { PodSpec } from '#types';
import { evaluatePod, findingsText, type PolicyVersion } from '../../../src/api/pod-security/evaluate.js';
import { policyOf } from '../../../src/api/pod-security/policy.js';

type Level = 'privileged' | 'baseline' | 'restricted';

/** A pod that the restricted level allows, with changes. */
const good = (container: object = {}, spec: object = {}): PodSpec =>
  ({
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    ...spec,
    containers: [
      {
        name: 'c',
        image: 'i',
        ...container,
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          ...(container as any).securityContext,
        },
      },
    ],
  }) as PodSpec;

const context = (securityContext: object) => good({ securityContext });

const found = (
  spec: PodSpec,
  level: Level,
  version: PolicyVersion = 'latest',
  annotations: Record<string, string> = {},
): string => findingsText(evaluatePod({ level, version }, { spec, annotations }));

const two = { containers: [{ name: 'a' }, { name: 'b' }] } as PodSpec;

const PLAIN_POD =
  'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
  'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
  'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
  'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

/** What is refused at baseline, and so at restricted. */
const BASELINE: [what: string, spec: PodSpec, finding: string][] = [
  [
    'host namespaces',
    good({}, { hostNetwork: true, hostPID: true }),
    'host namespaces (hostNetwork=true, hostPID=true)',
  ],
  [
    'privileged containers',
    context({ privileged: true }),
    'privileged (container "c" must not set securityContext.privileged=true)',
  ],
  [
    'host paths',
    good({}, { volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
    'hostPath volumes (volume "v")',
  ],
  [
    'host ports',
    good({ ports: [{ hostPort: 80 }, { hostPort: 443 }, { containerPort: 1 }] }),
    'hostPort (container "c" uses hostPorts 443, 80)',
  ],
  [
    'other AppArmor profiles',
    context({ appArmorProfile: { type: 'Unconfined' } }),
    'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
  ],
  [
    'other SELinux types and users',
    good(
      {},
      {
        securityContext: {
          seLinuxOptions: { type: 'spc_t', user: 'u' },
          runAsNonRoot: true,
          seccompProfile: { type: 'Localhost' },
        },
      },
    ),
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
  ],
  [
    'an unmasked /proc',
    context({ procMount: 'Unmasked' }),
    'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
  ],
  [
    'no seccomp profile',
    context({ seccompProfile: { type: 'Unconfined' } }),
    'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'unsafe sysctls',
    good(
      {},
      {
        securityContext: {
          runAsNonRoot: true,
          seccompProfile: { type: 'Localhost' },
          sysctls: [{ name: 'net.core.somaxconn' }, { name: 'net.ipv4.tcp_rmem' }],
        },
      },
    ),
    'forbidden sysctls (net.core.somaxconn)',
  ],
  [
    'host processes',
    context({ windowsOptions: { hostProcess: true } }),
    'hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)',
  ],
  [
    'probes of other hosts',
    good({
      livenessProbe: { httpGet: { host: '10.0.0.1' } },
      lifecycle: { preStop: { httpGet: { host: 'h' } } },
    }),
    'probe or lifecycle host (container "c" uses probe or lifecycle hosts "10.0.0.1", "h")',
  ],
];

const RESTRICTED: [what: string, spec: PodSpec, finding: string][] = [
  ['a plain pod', { containers: [{ name: 'c' }] } as PodSpec, PLAIN_POD],
  [
    'capabilities but one',
    context({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', 'CHOWN'] } }),
    'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
  ],
  [
    'volumes of other types',
    good(
      {},
      {
        volumes: [
          { name: 'v', hostPath: { path: '/' } },
          { name: 'w', nfs: {} },
          { name: 'e', emptyDir: {} },
        ],
      },
    ),
    'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
  ],
  ['root by its number', context({ runAsUser: 0 }), 'runAsUser=0 (container "c" must not set runAsUser=0)'],
  [
    'a container that says root after all',
    context({ runAsNonRoot: false }),
    'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
  ],
];

describe('Pod Security Standards', () => {
  it('lets the restricted level have a pod that does all that is asked', () => {
    assert.equal(found(good(), 'restricted'), '');
    assert.equal(
      found(context({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }), 'restricted'),
      '',
    );
  });

  for (const [what, spec, finding] of BASELINE)
    it(`refuses ${what} at baseline`, () => {
      assert.equal(found(spec, 'baseline'), finding);
      assert.notEqual(found(spec, 'restricted'), '');
      assert.equal(found(spec, 'privileged'), '');
    });

  for (const [what, spec, finding] of RESTRICTED)
    it(`refuses ${what} at restricted`, () => assert.equal(found(spec, 'restricted'), finding));

  it('allows at baseline what only restricted refuses, and names all containers at once', () => {
    assert.equal(found(two, 'baseline'), '');
    assert.match(found(two, 'restricted'), /\(containers "a", "b" must set securityContext\.allow/);
    const init = {
      ...two,
      initContainers: [{ name: 'i', securityContext: { privileged: true } }],
    } as PodSpec;
    assert.equal(
      found(init, 'baseline'),
      'privileged (container "i" must not set securityContext.privileged=true)',
    );
    const debug = {
      ...two,
      ephemeralContainers: [{ name: 'd', securityContext: { capabilities: { add: ['SYS_PTRACE'] } } }],
    };
    assert.equal(
      found(debug as PodSpec, 'baseline'),
      'non-default capabilities (container "d" must not include "SYS_PTRACE" in securityContext.capabilities.add)',
    );
  });

  it('judges by the version asked for', () => {
    const rows: [PodSpec, Level, PolicyVersion, boolean][] = [
      [context({ runAsUser: 0 }), 'restricted', 22, true],
      [context({ runAsUser: 0 }), 'restricted', 23, false],
      [good({ livenessProbe: { tcpSocket: { host: 'h' } } }), 'baseline', 33, true],
      [good({ livenessProbe: { tcpSocket: { host: 'h' } } }), 'baseline', 34, false],
      [context({ seLinuxOptions: { type: 'container_engine_t' } }), 'baseline', 30, false],
      [context({ seLinuxOptions: { type: 'container_engine_t' } }), 'baseline', 31, true],
      [
        good({}, { hostUsers: false, securityContext: { seccompProfile: { type: 'Localhost' } } }),
        'restricted',
        34,
        false,
      ],
      [
        good({}, { hostUsers: false, securityContext: { seccompProfile: { type: 'Localhost' } } }),
        'restricted',
        35,
        true,
      ],
      [
        {
          os: { name: 'windows' },
          containers: [{ name: 'c', securityContext: { runAsNonRoot: true } }],
        } as PodSpec,
        'restricted',
        24,
        false,
      ],
      [
        {
          os: { name: 'windows' },
          containers: [{ name: 'c', securityContext: { runAsNonRoot: true } }],
        } as PodSpec,
        'restricted',
        25,
        true,
      ],
      [context({ runAsUser: 0 }), 'restricted', 99, false],
    ];
    for (const [spec, level, version, allowed] of rows)
      assert.equal(
        found(spec, level, version) === '',
        allowed,
        `${level} v1.${version} ${JSON.stringify(spec)}`,
      );
  });

  it('keeps an unmasked /proc of a user namespace from restricted alone', () => {
    const spec = { ...context({ procMount: 'Unmasked' }), hostUsers: false };
    assert.equal(found(spec, 'baseline'), '');
    assert.match(found(spec, 'restricted'), /^procMount /);
  });

  it('reads the annotations that came before fields', () => {
    const apparmor = { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' };
    assert.equal(
      found(good(), 'baseline', 'latest', apparmor),
      'forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/c="unconfined"")',
    );
    const seccomp = { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' };
    assert.match(found(good(), 'baseline', 18, seccomp), /^seccompProfile \(forbidden annotation /);
    assert.equal(found(good(), 'baseline', 19, seccomp), '');
  });
});

describe('Pod Security labels of a namespace', () => {
  const label = (labels: Record<string, string>) =>
    policyOf(
      Object.fromEntries(Object.entries(labels).map(([k, v]) => [`pod-security.kubernetes.io/${k}`, v])),
    );

  it('default to privileged, and warn of what is enforced', () => {
    assert.equal(policyOf({}).policy.enforce.level, 'privileged');
    const { policy, errors } = label({ enforce: 'restricted', 'enforce-version': 'v1.30' });
    assert.deepEqual(errors, []);
    assert.deepEqual(policy.warn, { level: 'restricted', version: 30 });
    assert.deepEqual(policy.audit, { level: 'privileged', version: 'latest' });
    assert.deepEqual(label({ enforce: 'restricted', warn: 'baseline' }).policy.warn.level, 'baseline');
  });

  it('that can not be read are errors, and enforce the most', () => {
    const { policy, errors } = label({ enforce: 'strict', warn: 'x', 'audit-version': '1.30' });
    assert.equal(policy.enforce.level, 'restricted');
    assert.equal(policy.warn.level, 'privileged');
    assert.deepEqual(
      errors.map(({ field, message }) => `${field}: ${message}`),
      [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
        'metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.30": must be "latest" or "v1.x"',
        'metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "x": must be one of privileged, baseline, restricted',
      ],
    );
  });
});
