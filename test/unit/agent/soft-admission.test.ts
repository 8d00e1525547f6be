import assert from 'node:assert/strict';
import type { Pod, PodSpec } from '#types';
import { qosLimits } from '../../../src/agent/node/qos.js';
import { restarts } from '../../../src/agent/pods/next-actions.js';
import { kernelHostname } from '../../../src/agent/pods/pod-files.js';
import { admitAppArmor, admitSysctls } from '../../../src/agent/pods/soft-admission.js';

const pod = (spec: Partial<PodSpec>, name = 'p'): Pod =>
  ({ metadata: { name, namespace: 'ns', uid: name }, spec: { containers: [{ name: 'c' }], ...spec } }) as Pod;

describe('sysctls', () => {
  const cases: [string, string, Partial<PodSpec>, string[], string | undefined][] = [
    ['a safe one', 'net.ipv4.tcp_keepalive_time', {}, [], undefined],
    ['a safe one with slashes', 'net/ipv4/tcp_syncookies', {}, [], undefined],
    ['an unsafe one', 'kernel.msgmax', {}, [], 'forbidden sysctl: "kernel.msgmax" not allowlisted'],
    ['one that is allowed', 'kernel.msgmax', {}, ['kernel.msgmax'], undefined],
    ['one whose start is allowed', 'kernel.msgmax', {}, ['kernel.msg*'], undefined],
    [
      'of the network, with that of the host',
      'net.ipv4.tcp_syncookies',
      { hostNetwork: true },
      [],
      'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
    ],
    [
      'of IPC, with that of the host',
      'kernel.shm_rmid_forced',
      { hostIPC: true },
      [],
      'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
    ],
  ];
  for (const [what, name, spec, unsafe, message] of cases)
    it(what, () => {
      const given = pod({ ...spec, securityContext: { sysctls: [{ name, value: '1' }] } });
      assert.equal(admitSysctls(given, unsafe)?.message, message);
    });
});

it('AppArmor profiles are refused where nothing would put them on', () => {
  const asked = pod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } });
  assert.deepEqual(admitAppArmor(asked, false), {
    reason: 'AppArmor',
    message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host',
  });
  assert.equal(
    admitAppArmor(pod({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }), false),
    undefined,
  );
});

it('host names: the override, the full name, and what is too long', () => {
  const full = { hostname: 'web', subdomain: 'sub', setHostnameAsFQDN: true };
  assert.equal(kernelHostname(pod(full), 'cluster.local'), 'web.sub.ns.svc.cluster.local');
  assert.equal(kernelHostname(pod({ hostnameOverride: 'a.b.example' }), 'cluster.local'), 'a.b.example');
  const long = { ...full, hostname: 'w'.repeat(60) };
  assert.throws(
    () => kernelHostname(pod(long), 'cluster.local'),
    /is too long \(64 characters is the max, 85 characters requested\)$/,
  );
});

describe('restart rules of a container', () => {
  const rules = (operator: string, values: number[]) => [
    { action: 'Restart', exitCodes: { operator, values } },
  ];
  const cases: [string, object, number, boolean][] = [
    ['in', { restartPolicy: 'Never', restartPolicyRules: rules('In', [42]) }, 42, true],
    ['not in', { restartPolicy: 'Never', restartPolicyRules: rules('In', [42]) }, 1, false],
    ['NotIn', { restartPolicy: 'Never', restartPolicyRules: rules('NotIn', [42]) }, 1, true],
    ['its own policy', { restartPolicy: 'OnFailure' }, 0, false],
  ];
  for (const [what, container, code, expected] of cases)
    it(what, () =>
      assert.equal(
        restarts(pod({ restartPolicy: 'Never' }), { name: 'c', ...container } as never, code, false),
        expected,
      ),
    );
});

it('the groups of the classes get what their pods ask for', () => {
  const burstable = (cpu: string) => pod({ containers: [{ name: 'c', resources: { requests: { cpu } } }] });
  assert.deepEqual(qosLimits([burstable('500m'), burstable('1'), pod({})], { cpu: '2', memory: '1Gi' }), {
    '': { cpuShares: 2048, memory: 1 << 30 },
    burstable: { cpuShares: 1536 },
    besteffort: { cpuShares: 2 },
  });
});
