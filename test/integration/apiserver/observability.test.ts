import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

describe('what the API server tells of itself', function () {
  this.timeout(30_000);
  let api: TestServer;
  const lines: any[] = [];

  before(async () => {
    const log = new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(chunk.toString()));
        done();
      },
    });
    const options = { corsAllowedOrigins: ['^https://console\\.example\\.com$'], profiling: true };
    api = await startServer({}, { ...options, logger: pino({ level: 'info' }, log) });
  });
  after(() => api?.close());

  const metrics = async () => (await api.http('GET', '/metrics')).text;

  it('counts requests under upstream’s names, failed ones too', async () => {
    await api.http('GET', '/api/v1/namespaces/default/configmaps/none');
    await api.http('GET', '/api/v1/configmaps?watch=true&timeoutSeconds=1');
    const text = await metrics();
    for (const line of [
      /^apiserver_request_total\{code="404",dry_run="",component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"\} 1$/m,
      /^apiserver_request_duration_seconds_count\{dry_run="",component="apiserver",group="",resource="configmaps"/m,
      /^apiserver_current_inflight_requests\{request_kind="readOnly"\} 1$/m,
      /^apiserver_current_inflight_requests\{request_kind="mutating"\} 0$/m,
      /^apiserver_longrunning_requests\{component="apiserver",group="",resource="configmaps",.*verb="WATCH".*\} 0$/m,
      /^apiserver_watch_events_total\{group="",resource="configmaps",version="v1"\} [1-9]/m,
      /^apiserver_resource_objects\{group="",resource="namespaces"\} [1-9]/m,
      /^apiserver_storage_size_bytes\{storage_cluster_id="etcd-0"\} [1-9]/m,
      /^apiserver_storage_objects\{resource="clusterroles.rbac.authorization.k8s.io"\} [1-9]/m,
      /^apiserver_admission_step_admission_duration_seconds_count\{operation="CREATE",rejected="false",type="validate"\} [1-9]/m,
      /^apiserver_admission_controller_admission_duration_seconds_count\{name="NamespaceLifecycle",operation="CREATE",rejected="false",type="admit"\} [1-9]/m,
      /^etcd_request_duration_seconds_count\{group="",resource="namespaces",operation="create"\} [1-9]/m,
      /^etcd_requests_total\{group="rbac.authorization.k8s.io",resource="clusterroles",operation="create"\} [1-9]/m,
      /^rest_client_requests_total\{code="201",host="localhost",method="POST"\} [1-9]/m,
      /^workqueue_adds_total\{name="priority_and_fairness_config_queue"\} [1-9]/m,
      /^workqueue_work_duration_seconds_bucket\{name="priority_and_fairness_config_queue",le="10"\} [1-9]/m,
      /^process_cpu_seconds_total /m,
    ])
      assert.match(text, line);
  });

  it('logs slow requests alone', async () => {
    await api.http('POST', '/api/v1/nodes', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ metadata: { name: 'n' } }),
    });
    await api.http('GET', '/apis/metrics.k8s.io/v1beta1/nodes');
    const slow = await eventually('the line', async () => lines.find(({ msg }) => msg === 'slow request'));
    assert.deepEqual([slow.verb, slow.resource, slow.code], ['list', 'nodes', 200]);
    assert.ok(slow.ms >= 1000);
    assert.equal(lines.filter(({ url }) => url === '/metrics').length, 0);
  });

  it('lets pages of allowed origins in, and no others', async () => {
    const preflight = await api.http('OPTIONS', '/api/v1/pods', {
      anonymous: true,
      headers: { origin: 'https://console.example.com', 'access-control-request-method': 'GET' },
    });
    assert.equal(preflight.code, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], 'https://console.example.com');
    const { headers } = await api.http('GET', '/version', {
      headers: { origin: 'https://console.example.com' },
    });
    assert.equal(headers['access-control-allow-credentials'], 'true');
    const other = await api.http('GET', '/version', { headers: { origin: 'https://evil.example.com' } });
    assert.equal(other.headers['access-control-allow-origin'], undefined);
  });

  it('shows its queues where profiling is on', async () => {
    const { text } = await api.http('GET', '/debug/api_priority_and_fairness/dump_priority_levels');
    assert.match(text, /^PriorityLevelName, ActiveQueues/);
    assert.match(text, /^catch-all, 0, true, false, 0, 0$/m);
    const denied = await api.http('GET', '/debug/api_priority_and_fairness/dump_queues', { anonymous: true });
    assert.equal(denied.code, 403);
  });
});
