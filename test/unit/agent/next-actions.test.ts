import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Container, Pod } from '#types';
import {
  type Action,
  type ContainerView,
  nextActions,
  type PodView,
} from '../../../src/agent/pods/next-actions.js';

const NOW = 1_000_000;

const none: ContainerView = { state: 'none', exitCode: 0, notBefore: 0, image: true, started: false };
const running: ContainerView = { ...none, state: 'running', started: true };
const exited = (exitCode: number, extra: Partial<ContainerView> = {}): ContainerView => ({
  ...none,
  state: 'exited',
  exitCode,
  ...extra,
});

const TAKES_ALL = { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } };

interface Given {
  policy?: string;
  /** `name`, or `name*` for a sidecar; with `!` one that takes all with it when it ends with 42. */
  init?: string[];
  main?: string[];
  ephemeral?: string[];
  views?: Record<string, ContainerView>;
  sandbox?: PodView['sandbox'];
  volumes?: PodView['volumes'];
  terminating?: boolean;
}

function actions(given: Given): string[] {
  const container = (name: string): Container => ({
    name: name.replace(/[*!]/g, ''),
    image: 'i',
    ...(name.includes('!') ? { restartPolicyRules: [TAKES_ALL] } : {}),
    ...(name.includes('*') ? { restartPolicy: 'Always' } : {}),
  });
  const init = (given.init ?? []).map(container);
  const main = (given.main ?? ['a']).map(container);
  const ephemeral = (given.ephemeral ?? []).map(container);
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } },
    spec: {
      restartPolicy: given.policy ?? 'Always',
      initContainers: init,
      containers: main,
      ephemeralContainers: ephemeral,
    },
  } as Pod;
  const containers = Object.fromEntries(
    [...init, ...main, ...ephemeral].map((c) => [c.name, given.views?.[c.name] ?? none]),
  );
  const view: PodView = {
    ...{ pod, containers, sandbox: given.sandbox ?? 'ready', volumes: given.volumes ?? 'ready' },
    terminating: given.terminating ?? false,
  };
  const show = (action: Action) => {
    if (action.do === 'wait') return `wait ${action.until - NOW}`;
    if ('container' in action) return `${action.do} ${action.container.name}`;
    return action.do;
  };
  return nextActions(view, NOW).map(show);
}

const cases: [what: string, given: Given, expected: string[]][] = [
  [
    'an ephemeral container starts beside what runs, also before initialisation is over',
    { init: ['i'], ephemeral: ['e'], views: { i: running } },
    ['start e'],
  ],
  [
    'an ephemeral container is not started again',
    { ephemeral: ['e'], views: { a: running, e: exited(1) } },
    [],
  ],
  [
    'an ephemeral container does not keep a pod from its end, and ends with it',
    { policy: 'Never', ephemeral: ['e'], views: { a: exited(0), e: running } },
    ['stop e'],
  ],
  [
    'prepares everything at once',
    { sandbox: 'none', volumes: 'none', main: ['a', 'b'], views: { a: { ...none, image: false } } },
    ['createSandbox', 'mountVolumes', 'ensureImage a'],
  ],
  ['waits for its sandbox', { sandbox: 'creating', volumes: 'ready' }, []],
  [
    'replaces a dead sandbox',
    { sandbox: 'dead', views: { a: exited(137, { stale: true }) } },
    ['removeSandbox'],
  ],
  ['starts nothing without volumes', { volumes: 'mounting' }, []],
  ['starts the first container', { main: ['a', 'b'] }, ['start a']],
  [
    'lets a container start before the next',
    { main: ['a', 'b'], views: { a: { ...none, state: 'starting' } } },
    [],
  ],
  ['starts the next', { main: ['a', 'b'], views: { a: running } }, ['start b']],
  ['leaves what runs alone', { views: { a: running } }, []],
  ['restarts what failed', { views: { a: exited(1) } }, ['start a']],
  ['restarts what ended well', { views: { a: exited(0) } }, ['start a']],
  ['backs off', { views: { a: exited(1, { notBefore: NOW + 10_000 }) } }, ['wait 10000']],
  ['does not try again what is blocked', { views: { a: { ...none, blocked: true } } }, []],
  [
    'does not pull before its time',
    { views: { a: { ...none, image: false, notBefore: NOW + 1 } } },
    ['wait 1'],
  ],
  [
    'leaves alone what can never be',
    { views: { a: { ...none, image: false, notBefore: Number.POSITIVE_INFINITY } } },
    [],
  ],
  ['kills what is unhealthy', { views: { a: { ...running, unhealthy: 'probe' } } }, ['stop a']],
  ['OnFailure: restarts failures', { policy: 'OnFailure', views: { a: exited(1) } }, ['start a']],
  ['OnFailure: is done with success', { policy: 'OnFailure', views: { a: exited(0) } }, ['finish']],
  ['Never: is done', { policy: 'Never', views: { a: exited(1) } }, ['finish']],
  [
    'Never: waits for the others',
    { policy: 'Never', main: ['a', 'b'], views: { a: exited(1), b: running } },
    [],
  ],
  ['initialises in order', { init: ['i', 'j'] }, ['start i']],
  ['goes on when a step is done', { init: ['i', 'j'], views: { i: exited(0) } }, ['start j']],
  ['tries a failed step again', { init: ['i'], views: { i: exited(1) } }, ['start i']],
  [
    'Never: a failed step fails the pod',
    { policy: 'Never', init: ['i'], views: { i: exited(1) } },
    ['finish'],
  ],
  ['starts containers after the last step', { init: ['i'], views: { i: exited(0) } }, ['start a']],
  [
    'initialises anew in a new sandbox',
    { init: ['i'], views: { i: exited(0, { stale: true }), a: exited(137, { stale: true }) } },
    ['start i'],
  ],
  [
    'does not initialise again beside containers',
    { init: ['i'], views: { i: exited(0), a: exited(1) } },
    ['start a'],
  ],
  ['waits until a sidecar has started', { init: ['s*'], views: { s: { ...running, started: false } } }, []],
  ['goes on beside a sidecar', { init: ['s*', 'i'], views: { s: running } }, ['start i']],
  [
    'restarts a sidecar beside containers',
    { init: ['s*'], views: { s: exited(0), a: running } },
    ['start s'],
  ],
  [
    'a sidecar does not keep a pod',
    { policy: 'Never', init: ['s*'], views: { s: running, a: exited(0) } },
    ['stop s'],
  ],
  [
    'ends containers before sidecars',
    { terminating: true, init: ['s*'], main: ['a', 'b'], views: { s: running, a: running, b: running } },
    ['stop a', 'stop b'],
  ],
  [
    'waits for containers that are ending',
    { terminating: true, init: ['s*'], views: { s: running, a: { ...running, state: 'stopping' } } },
    [],
  ],
  [
    'ends sidecars in reverse',
    { terminating: true, init: ['s*', 't*'], views: { s: running, t: running, a: exited(0) } },
    ['stop t'],
  ],
  [
    'ends all when one takes all with it',
    {
      ...{ policy: 'Never', init: ['i', 's*'], main: ['a!', 'b'] },
      views: { i: exited(0), s: running, a: exited(42), b: running },
    },
    ['stop s', 'stop b'],
  ],
  [
    'starts over when all have ended',
    { policy: 'Never', init: ['s*!'], main: ['a'], views: { s: exited(42), a: exited(137) } },
    ['startOver'],
  ],
  [
    'waits for all to end before it starts over',
    { policy: 'Never', main: ['a!', 'b'], views: { a: exited(42), b: { ...running, state: 'stopping' } } },
    [],
  ],
  [
    'starts over from the first step',
    {
      ...{ policy: 'Never', init: ['i'], main: ['a!'] },
      views: { i: exited(0, { again: true, stale: true }), a: exited(42, { again: true, stale: true }) },
    },
    ['start i'],
  ],
  [
    'does not start over when the pod ends',
    { terminating: true, main: ['a!', 'b'], views: { a: exited(42), b: running } },
    ['stop b'],
  ],
  ['finishes when nothing runs', { terminating: true, views: { a: exited(0) } }, ['finish']],
  ['finishes what never began', { terminating: true, sandbox: 'none' }, ['finish']],
  ['waits for a sandbox that is being made', { terminating: true, sandbox: 'creating' }, []],
];

describe('nextActions', () => {
  for (const [what, given, expected] of cases) it(what, () => assert.deepEqual(actions(given), expected));
});
