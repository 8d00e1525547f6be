import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import type { FlowSchema, PriorityLevelConfiguration } from '#types';
import { MANDATORY_LEVELS, MANDATORY_SCHEMAS } from '../../../src/api/resources/flowcontrol/mandatory.js';
import { matches, sortedSchemas } from '../../../src/apiserver/filters/flow-control/classify.js';
import { SUGGESTED_LEVELS, SUGGESTED_SCHEMAS } from '../../../src/apiserver/filters/flow-control/defaults.js';
import { FlowControl, type Ticket } from '../../../src/apiserver/filters/flow-control/flow-control.js';
import { deal, hashOf } from '../../../src/apiserver/filters/flow-control/level.js';
import { requestInfo } from '../../../src/apiserver/filters/request-info.js';
import type { Attributes } from '../../../src/auth/user.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const SIGNAL = new AbortController().signal;
setMaxListeners(0, SIGNAL);

function attributes(method: string, path: string, name: string, ...groups: string[]): Attributes {
  const user = { name, groups: [...groups, 'system:authenticated'] };
  return { ...requestInfo(method, path, new URLSearchParams()), user };
}

describe('flow control', () => {
  it('classifies by the default schemas as upstream does', () => {
    const schemas = sortedSchemas([...MANDATORY_SCHEMAS, ...SUGGESTED_SCHEMAS]);
    const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n';
    const account = ['system:serviceaccounts', 'system:serviceaccounts:kube-system'];
    const cases: [string, string, string, string, string[]][] = [
      ['exempt', 'GET', '/api/v1/pods', 'admin', ['system:masters']],
      ['probes', 'GET', '/healthz', 'ann', []],
      ['global-default', 'GET', '/healthz/ping', 'ann', []],
      ['system-node-high', 'PUT', lease, 'system:node:n', ['system:nodes']],
      ['system-node-high', 'PATCH', '/api/v1/nodes/n/status', 'system:node:n', ['system:nodes']],
      ['system-nodes', 'GET', '/api/v1/pods', 'system:node:n', ['system:nodes']],
      ['system-leader-election', 'PUT', lease, 'system:kube-scheduler', []],
      ['kube-scheduler', 'GET', '/api/v1/pods', 'system:kube-scheduler', []],
      ['kube-system-service-accounts', 'GET', '/api/v1/pods', 'system:serviceaccount:kube-system:x', account],
      ['service-accounts', 'GET', '/api/v1/pods', 'system:serviceaccount:team:x', account.slice(0, 1)],
      ['global-default', 'GET', '/api/v1/pods', 'ann', []],
    ];
    for (const [wanted, method, path, user, groups] of cases) {
      const found = schemas.find((schema) => matches(schema, attributes(method, path, user, ...groups)));
      assert.equal(found?.metadata.name, wanted, `${user} ${method} ${path}`);
    }
  });

  it('deals hands of different queues, always the same for a flow', () => {
    for (const name of ['a', 'b', 'ann', 'system:node:1']) {
      const hand = deal(hashOf(name), 64, 8);
      assert.equal(new Set(hand).size, 8);
      assert.ok(hand.every((card) => card >= 0 && card < 64));
      assert.deepEqual(deal(hashOf(name), 64, 8), hand);
    }
    assert.notDeepEqual(deal(hashOf('a'), 64, 8), deal(hashOf('b'), 64, 8));
    assert.deepEqual(
      deal(1, 4, 4).sort((a, b) => a - b),
      [0, 1, 2, 3],
    );
  });

  const level = (name: string, limited: object): PriorityLevelConfiguration =>
    ({ metadata: { name }, spec: { type: 'Limited', limited } }) as PriorityLevelConfiguration;
  const schema = (name: string, levelName: string, user: string, matchingPrecedence = 1000): FlowSchema =>
    ({
      metadata: { name },
      spec: {
        priorityLevelConfiguration: { name: levelName },
        matchingPrecedence,
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: user } }],
            resourceRules: [
              { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
            ],
          },
        ],
      },
    }) as FlowSchema;
  const queue = (queueLengthLimit: number, queues = 8) => ({
    limitResponse: { type: 'Queue', queuing: { queues, handSize: 1, queueLengthLimit } },
  });

  function twoLevels(concurrency: number, a: object, b: object) {
    const clock = new FakeClock();
    const flow = new FlowControl({ clock, concurrency });
    flow.setLevel('a', level('a', { nominalConcurrencyShares: 50, lendablePercent: 0, ...a }));
    flow.setLevel('b', level('b', { nominalConcurrencyShares: 50, lendablePercent: 0, ...b }));
    flow.setSchema('a', schema('a', 'a', '*'));
    flow.setSchema('b', schema('b', 'b', 'bob', 500));
    const ask = (user: string) => {
      const of = attributes('GET', '/api/v1/pods/x', user);
      const ticket = flow.admit(of, flow.classify(of)!, SIGNAL);
      if (ticket instanceof Promise) ticket.catch(() => undefined);
      return ticket;
    };
    return { flow, clock, ask };
  }

  it('turns away what is over the limit, and serves again once a seat is free', async () => {
    const { ask } = twoLevels(4, { limitResponse: { type: 'Reject' } }, queue(1));
    const tickets = [ask('ann'), ask('ann')] as Ticket[];
    assert.ok(!(tickets[0] instanceof Promise) && !(tickets[1] instanceof Promise));
    await assert.rejects(Promise.resolve(ask('ann')), /Too many requests, please try again later/);
    tickets[0]!.release();
    assert.ok(!(ask('ann') instanceof Promise));
  });

  it('lends what a level does not use, up to what it may lend', () => {
    const { flow, ask } = twoLevels(10, queue(10), { ...queue(10), lendablePercent: 60 });
    assert.deepEqual(
      [...flow.levels].map(({ seats }) => [seats.nominal, seats.lower]),
      [
        [5, 5],
        [5, 2],
      ],
    );
    const served = Array.from({ length: 10 }, () => ask('ann')).filter((t) => !(t instanceof Promise));
    assert.equal(served.length, 8);
    assert.ok(!(ask('bob') instanceof Promise));
  });

  it('does not let one flow keep another waiting', async () => {
    const { ask } = twoLevels(2, queue(50, 64), queue(1));
    const order: string[] = [];
    const first = ask('zoe') as Ticket;
    const follow = (name: string) => {
      void Promise.resolve(ask(name)).then((ticket) => {
        order.push(name);
        setImmediate(() => ticket.release());
      });
    };
    for (let i = 0; i < 10; i++) follow('greedy');
    follow('modest');
    first.release();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(order.length, 11);
    assert.ok(order.indexOf('modest') <= 1, order.join());
  });

  it('gives up those that wait too long, and those whose queue is full', async () => {
    const { ask, clock } = twoLevels(2, queue(1), queue(1));
    ask('ann');
    const waiting = Promise.resolve(ask('ann'));
    await assert.rejects(Promise.resolve(ask('ann')), /Too many requests/);
    clock.advance(15_000);
    await assert.rejects(waiting, /Too many requests/);
  });

  it('has levels for all default schemas', () => {
    const names = [...MANDATORY_LEVELS, ...SUGGESTED_LEVELS].map(({ metadata }) => metadata.name);
    for (const { spec } of [...MANDATORY_SCHEMAS, ...SUGGESTED_SCHEMAS])
      assert.ok(names.includes(spec.priorityLevelConfiguration.name));
  });
});
