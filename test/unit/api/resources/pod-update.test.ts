import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { deepCopy } from '../../../../src/api/machinery/types.js';
import { pods } from '../../../../src/api/resources/index.js';
import { created, object, updateErrors } from './support.js';

const UPDATABLE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

const base = (spec: Record<string, unknown> = {}, metadata = {}): Pod =>
  created(pods, object(pods, { spec: { containers: [{ name: 'c', image: 'a' }], ...spec } }, metadata));

/** A mutable copy that `change` changed. */
const changed = (old: Pod, change: (pod: Pod) => void): Pod => {
  const copy = deepCopy(old);
  change(copy);
  return copy;
};

describe('pod update', () => {
  const tolerations = [{ key: 'a', operator: 'Exists' }];
  const cases: [string, Pod, (pod: Pod) => void, string[]][] = [
    ['nothing', base(), () => {}, []],
    [
      'image and labels',
      base(),
      (p) => {
        p.spec.containers[0]!.image = 'b';
        p.metadata.labels = { a: 'b' };
      },
      [],
    ],
    [
      'no image',
      base(),
      (p) => {
        p.spec.containers[0]!.image = '';
      },
      ['spec.containers[0].image: Required value'],
    ],
    [
      'a container more',
      base(),
      (p) => p.spec.containers.push({ name: 'd', image: 'a' }),
      ['spec.containers: Forbidden: pod updates may not add or remove containers'],
    ],
    [
      'environment',
      base(),
      (p) => {
        p.spec.containers[0]!.env = [{ name: 'A', value: 'b' }];
      },
      [`spec: Forbidden: ${UPDATABLE}`],
    ],
    [
      'node name',
      base(),
      (p) => {
        p.spec.nodeName = 'n';
      },
      [`spec: Forbidden: ${UPDATABLE}`],
    ],
    [
      'a toleration more',
      base({ tolerations }),
      (p) => p.spec.tolerations!.push({ key: 'b', operator: 'Exists' }),
      [],
    ],
    [
      'seconds of a toleration',
      base({ tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoExecute' }] }),
      (p) => {
        p.spec.tolerations![0]!.tolerationSeconds = 5;
      },
      [],
    ],
    [
      'a toleration less',
      base({ tolerations }),
      (p) => {
        p.spec.tolerations = [];
      },
      ['spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'],
    ],
    [
      'a shorter deadline',
      base({ activeDeadlineSeconds: 10 }),
      (p) => {
        p.spec.activeDeadlineSeconds = 5;
      },
      [],
    ],
    [
      'a longer deadline',
      base({ activeDeadlineSeconds: 10 }),
      (p) => {
        p.spec.activeDeadlineSeconds = 15;
      },
      ['spec.activeDeadlineSeconds: Invalid value: 15: must be less than or equal to previous value'],
    ],
    [
      'no deadline any more',
      base({ activeDeadlineSeconds: 10 }),
      (p) => {
        delete p.spec.activeDeadlineSeconds;
      },
      [
        'spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value',
      ],
    ],
    [
      'a negative grace period to 1',
      base({ terminationGracePeriodSeconds: -5 }),
      (p) => {
        p.spec.terminationGracePeriodSeconds = 1;
      },
      [],
    ],
    [
      'a new gate',
      base({ schedulingGates: [{ name: 'a' }] }),
      (p) => p.spec.schedulingGates!.push({ name: 'b' }),
      [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'",
      ],
    ],
    [
      'a gate less',
      base({ schedulingGates: [{ name: 'a' }] }),
      (p) => {
        delete p.spec.schedulingGates;
      },
      [],
    ],
    [
      'a narrower node selector while gated',
      base({ schedulingGates: [{ name: 'a' }] }),
      (p) => {
        p.spec.nodeSelector = { a: 'b' };
      },
      [],
    ],
    [
      'the mirror annotation',
      base(),
      (p) => {
        p.metadata.annotations = { 'kubernetes.io/config.mirror': 'x' };
      },
      ['metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation'],
    ],
  ];
  for (const [what, old, change, expected] of cases)
    it(what, () => {
      assert.deepEqual(updateErrors(pods, old, changed(old, change)), expected);
    });
});

describe('pod status update', () => {
  const statusErrors = (old: Pod, change: (pod: Pod) => void) => {
    const draft = changed(old, change);
    pods.prepareForStatusUpdate!(draft, old);
    return pods.validateStatusUpdate!(draft, old).map(text);
  };
  const ended = (restartPolicy: string, exitCode: number): Pod =>
    changed(base({ restartPolicy }), (p) => {
      p.status!.containerStatuses = [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { terminated: { exitCode } },
        },
      ];
    });
  const revive = (p: Pod) => {
    p.status!.containerStatuses![0]!.state = { running: {} };
  };

  it('keeps spec, owners and QoS class', () => {
    const old = base({}, { ownerReferences: [{ apiVersion: 'v1', kind: 'A', name: 'a', uid: '1' }] });
    const draft = changed(old, (p) => {
      p.spec.nodeName = 'n';
      delete p.metadata.ownerReferences;
      p.status = { phase: 'Running' };
    });
    pods.prepareForStatusUpdate!(draft, old);
    assert.equal(draft.spec.nodeName, undefined);
    assert.equal(draft.metadata.ownerReferences!.length, 1);
    assert.deepEqual(draft.status!.qosClass, 'BestEffort');
    assert.deepEqual(pods.validateStatusUpdate!(draft, old), []);
  });

  it('lets no container live again that has ended for good', () => {
    const forbidden = [
      'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
    ];
    assert.deepEqual(statusErrors(ended('Never', 0), revive), forbidden);
    assert.deepEqual(statusErrors(ended('OnFailure', 0), revive), forbidden);
    assert.deepEqual(statusErrors(ended('OnFailure', 1), revive), []);
    assert.deepEqual(statusErrors(ended('Always', 0), revive), []);
  });

  it('tells of users, devices and claims that there can be', () => {
    const old = base({ containers: [{ name: 'c', image: 'a', resources: { limits: { 'a.b/gpu': '1' } } }] });
    const device = (name: string, ...ids: string[]) => ({
      name,
      resources: ids.map((resourceID) => ({ resourceID, health: 'Healthy' })),
    });
    const now = changed(old, (p) => {
      p.status = {
        ...p.status,
        resourceClaimStatuses: [{ name: 'q', resourceClaimName: 'Q' }],
        containerStatuses: [
          {
            name: 'c',
            user: { linux: { uid: -1, gid: 0 } },
            allocatedResourcesStatus: [device('a.b/gpu', 'x', 'x'), device('a.b/nic'), device('claim:q')],
          },
        ],
      } as Pod['status'];
    });
    const errors = pods.validateStatusUpdate!(now, old).map(text);
    const at = 'status.containerStatuses[0]';
    const expected = [
      'status.resourceClaimStatuses[0].name: Invalid value: "q": must match the name of an entry in `spec.resourceClaims`',
      'status.resourceClaimStatuses[0].name: Invalid value: "Q": a lowercase RFC 1123 subdomain',
      `${at}.linux.uid: Invalid value: -1: must be between 0 and`,
      `${at}.allocatedResourcesStatus[0].resources[1].resourceID: Duplicate value: "x"`,
      `${at}.allocatedResourcesStatus[1].name: Invalid value: "a.b/nic": must match one of the container's resource requests`,
      `${at}.allocatedResourcesStatus[2].name: Invalid value: "claim:q": must match one of the container's resource claims`,
    ];
    assert.equal(errors.length, expected.length, errors.join('\n'));
    expected.forEach((start, i) => {
      assert.ok(errors[i]!.startsWith(start), errors[i]);
    });
  });
  it('takes one address of each family', () => {
    const ips = (...list: string[]) =>
      statusErrors(base(), (p) => {
        p.status!.podIPs = list.map((ip) => ({ ip }));
      });
    assert.deepEqual(ips('10.0.0.1', 'fd00::1'), []);
    assert.match(
      ips('10.0.0.1', '10.0.0.2')[0]!,
      /^status.podIPs: .*may specify no more than one IP for each/,
    );
    assert.match(ips('x')[0]!, /^status.podIPs\[0\]: Invalid value: "x": must be a valid IP address/);
  });

  it('keeps podIP and podIPs the same', () => {
    const one = changed(base(), (p) => {
      p.status = { podIP: '10.0.0.1' };
    });
    pods.defaults!(one);
    assert.deepEqual(one.status!.podIPs, [{ ip: '10.0.0.1' }]);
  });
});

describe('pods/ephemeralcontainers and pods/resize', () => {
  const { ephemeralcontainers, resize } = pods.updates as Required<typeof pods.updates>;
  const apply = (strategy: typeof resize, old: Pod, change: (pod: Pod) => void) => {
    const draft = changed(old, change);
    pods.defaults!(draft);
    strategy!.prepareForUpdate(draft, old);
    return { draft, errors: strategy!.validateUpdate(draft, old).map(text) };
  };
  const debug = { name: 'debug', image: 'busybox' };

  it('adds an ephemeral container and nothing else', () => {
    const { draft, errors } = apply(ephemeralcontainers, base(), (p) => {
      p.spec.ephemeralContainers = [debug];
      p.spec.containers[0]!.image = 'other';
    });
    assert.deepEqual(errors, []);
    assert.equal(draft.spec.ephemeralContainers![0]!.name, 'debug');
    assert.equal(draft.spec.containers[0]!.image, 'a');
  });

  it('neither changes nor removes one', () => {
    const old = base({ ephemeralContainers: [debug] });
    const removed = apply(ephemeralcontainers, old, (p) => {
      delete p.spec.ephemeralContainers;
    });
    assert.deepEqual(removed.errors, [
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n',
    ]);
    const other = apply(ephemeralcontainers, old, (p) => {
      p.spec.ephemeralContainers![0]!.image = 'other';
    });
    assert.match(other.errors[0]!, /existing ephemeral containers "debug" may not be changed/);
  });

  const sized = (requests: Record<string, string>) =>
    base({ containers: [{ name: 'c', image: 'a', resources: { requests } }] });

  it('resizes cpu and memory alone', () => {
    const old = sized({ cpu: '1' });
    const { draft, errors } = apply(resize, old, (p) => {
      p.spec.containers[0]!.resources!.requests = { cpu: '2' };
      p.spec.containers[0]!.image = 'other';
    });
    assert.deepEqual(errors, []);
    assert.equal(draft.spec.containers[0]!.resources!.requests!['cpu'], '2');
    assert.equal(draft.spec.containers[0]!.image, 'a');
  });

  it('refuses what changes the QoS class or removes a request', () => {
    const { errors } = apply(resize, sized({ cpu: '1' }), (p) => {
      p.spec.containers[0]!.resources = {};
    });
    assert.deepEqual(errors, [
      'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
      'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
    ]);
  });

  it('resizes the pod as a whole, from nothing or more', () => {
    const whole = (resources?: object) =>
      base({ containers: [{ name: 'c', image: 'a' }], resources } as never);
    const more = apply(resize, whole({ requests: { cpu: '1', memory: '1Gi' } }), (p) => {
      p.spec.resources!.requests!['cpu'] = '2';
    });
    assert.deepEqual(more.errors, []);
    assert.deepEqual(more.draft.spec.resources!.requests, { cpu: '2', memory: '1Gi' });
    const old = sized({ cpu: '1' });
    const added = apply(resize, old, (p) => {
      p.spec.resources = { requests: { cpu: '2' } };
    });
    assert.deepEqual(added.errors, []);
    const removed = apply(resize, whole({ requests: { cpu: '1', memory: '1Gi' } }), (p) => {
      delete p.spec.resources!.requests!['memory'];
    });
    assert.deepEqual(removed.errors, [
      'spec.resources.requests: Forbidden: resource requests cannot be removed',
    ]);
    const other = apply(resize, old, (p) => {
      p.spec.resources = {
        requests: { cpu: '2', 'hugepages-2Mi': '2Mi' },
        limits: { 'hugepages-2Mi': '2Mi' },
      };
    });
    assert.ok(other.errors.includes('spec: Forbidden: only cpu and memory resources are mutable'));
  });

  it('refuses other resources', () => {
    const { errors } = apply(resize, sized({ cpu: '1' }), (p) => {
      p.spec.containers[0]!.resources!.requests = { cpu: '1', 'ephemeral-storage': '1Gi' };
    });
    assert.deepEqual(errors, ['spec: Forbidden: only cpu and memory resources are mutable']);
  });
});

describe('deletion of pods', () => {
  const grace = (pod: Pod, requested?: number) => pods.deletion!.gracePeriodSeconds(pod, requested);
  const scheduled = base({ nodeName: 'n' });
  it('is after the grace period of request or spec', () => {
    assert.equal(grace(scheduled), 30);
    assert.equal(grace(scheduled, 5), 5);
    assert.equal(grace(scheduled, 0), 0);
    assert.equal(grace(base({ nodeName: 'n', terminationGracePeriodSeconds: -1 })), 1);
  });
  it('is at once when no node runs it', () => {
    assert.equal(grace(base(), 5), 0);
    for (const phase of ['Succeeded', 'Failed'])
      assert.equal(
        grace(
          changed(scheduled, (p) => {
            p.status!.phase = phase;
          }),
        ),
        0,
      );
  });
});
