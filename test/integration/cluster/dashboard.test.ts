import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { type Browser, startBrowser } from '../../fixtures/browser.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

const WAIT = 20_000;

const labels = { app: 'web' };
const web = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    replicas: 2,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: shellPod('web', 'sleep 100000').spec },
  },
};
const TALK = 'i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.2; done';
const secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'door' },
  stringData: { word: 'sesame' },
};
const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } };

describe('dashboard in a browser', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let browser: Browser;
  let page: Page;
  let url: string;
  /** What the browser complained of: the Content-Security-Policy is among it. */
  const complaints: string[] = [];

  const open = async (address: string): Promise<Page> => {
    const opened = await browser.page();
    opened.setDefaultTimeout(WAIT);
    opened.on('pageerror', (error) => complaints.push(error.message));
    opened.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
        complaints.push(message.text());
    });
    // The browser gives up whatever it loads while links come or go, as those of the pods still may.
    await eventually('the page', () => opened.goto(address));
    return opened;
  };
  const goTo = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  const see = (text: string | RegExp, on = page) => on.getByText(text).first().waitFor();

  before(async () => {
    cluster = await startTestCluster();
    const items = [web, shellPod('talker', TALK), secret, account];
    const list = { apiVersion: 'v1', kind: 'List', items };
    const applied = await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    assert.equal(applied.code, 0, applied.stderr);
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=30s');
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/talker', '--timeout=30s');
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await cluster?.down();
  });

  it('logs in with what the command prints, which then is nowhere to be seen', async () => {
    const { stdout, code, stderr } = await cluster.keelson(['dashboard'], '--no-open');
    assert.equal(code, 0, stderr);
    url = stdout.trim();
    assert.match(url, /^https:\/\/127\.0\.0\.1:\d+\/ui\/#token=/);
    page = await open(url);
    await see('kubernetes-admin');
    assert.doesNotMatch(page.url(), /token/);
    assert.deepEqual(await browser.context.cookies(), []);
  });

  it('shows workloads, and what changes in them as it changes', async () => {
    const row = page.locator('tr', { has: page.getByRole('link', { name: 'web', exact: true }) });
    await row.getByText('2/2').waitFor();
    await cluster.kubectl('scale', 'deployment/web', '--replicas=1');
    await row.getByText('1/1').waitFor();
  });

  it('shows pods with their usage, and a pod with its containers', async () => {
    await goTo('#/pods');
    const row = page.locator('tr', { has: page.getByRole('link', { name: 'talker' }) });
    await row.getByText('Running').waitFor();
    await row.getByRole('img', { name: /^CPU / }).waitFor();
    await row.getByRole('link', { name: 'talker' }).click();
    await see('keelson.dev/demo:blue');
    await see('Started');
  });

  it('follows a log', async () => {
    await page.getByRole('tab', { name: 'Logs' }).click();
    const last = async () =>
      Number(/line (\d+)\s*$/.exec((await page.getByRole('log').textContent()) ?? '')?.[1]);
    const before = await eventually('the log', async () => (await last()) || undefined);
    await eventually('more of the log', async () => (await last()) >= before + 5);
  });

  it('runs a command in the terminal', async () => {
    await page.getByRole('tab', { name: 'Terminal' }).click();
    await page.locator('.xterm-screen').waitFor();
    await page.locator('.xterm-helper-textarea').focus();
    const screen = async () => (await page.locator('.xterm-rows').textContent()) ?? '';
    await eventually('a prompt', async () => /[#$]/.test(await screen()));
    await page.keyboard.type('echo $((6*7)) is it; stty size\n');
    const [, columns] = await eventually(
      'the output of the command',
      async () => /42 is it\s*\d+ (\d+)/.exec(await screen()) ?? undefined,
    );
    assert.ok(Number(columns) > 80, `the terminal is as wide as the page, not ${columns} columns`);
    await page.keyboard.type('exit\n');
    await see('The shell has ended.');
  });

  it('edits YAML: what the server refuses, and what it accepts, before it is done', async () => {
    await goTo('#/o/apps/v1/deployments/default/web/yaml');
    const text = page.getByRole('textbox', { name: 'YAML' });
    const yaml = await text.inputValue();
    assert.doesNotMatch(yaml, /managedFields/);
    const attempt = page.getByRole('button', { name: 'Try on the server' });
    const apply = page.getByRole('button', { name: 'Apply' });

    await text.fill(yaml.replace('replicas: 1\n', 'replicas: -1\n'));
    await attempt.click();
    await see(/Deployment\.apps "web" is invalid: spec\.replicas: Invalid value: -1/);
    assert.ok(await apply.isDisabled());

    await text.fill(yaml.replace('replicas: 1\n', 'replicas: 3\n'));
    assert.ok(await apply.isDisabled());
    await attempt.click();
    await page.locator('.diff .removed', { hasText: 'replicas: 1' }).waitFor();
    await page.locator('.diff .added', { hasText: 'replicas: 3' }).waitFor();
    const replicas = () => cluster.kubectl('get', 'deployment/web', '-o', 'jsonpath={.spec.replicas}');
    assert.equal(await replicas(), '1');
    await apply.click();
    await see('Applied.');
    assert.equal(await replicas(), '3');
  });

  it('hides the values of a Secret until they are asked for', async () => {
    await goTo('#/o/core/v1/secrets/default/door');
    await see('word');
    assert.equal(await page.getByText('sesame').count(), 0);
    await page.getByRole('button', { name: 'Show' }).click();
    await see('sesame');
  });

  it('shows an event as it happens', async () => {
    await goTo('#/events');
    await see('Started');
    assert.equal(await page.getByText('Pod late').count(), 0);
    const late = {
      ...shellPod('late', 'sleep 100000'),
      spec: { ...shellPod('late', 'true').spec, nodeSelector: { no: 'such' } },
    };
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(late) });
    await page.locator('tr', { hasText: 'Pod late' }).getByText('FailedScheduling').waitFor();
  });

  it("tells in the API's words what its user may not see", async () => {
    const { stdout } = await cluster.keelson(
      ['dashboard'],
      '--no-open',
      '--service-account',
      'default/nobody',
    );
    const other = await open(stdout.trim());
    await see('system:serviceaccount:default:nobody', other);
    await see(
      /deployments\.apps is forbidden: User "system:serviceaccount:default:nobody" cannot list resource/,
      other,
    );
    await other.goto(`${other.url().split('#')[0]}#/o/core/v1/pods/default/talker/terminal`);
    await see(/pods "talker" is forbidden: User "system:serviceaccount:default:nobody" cannot/, other);
    await other.close();
  });

  it('asks for a token when there is none, or a wrong one', async () => {
    const other = await open(url.split('#')[0]!);
    await other.getByLabel('Token').fill('wrong');
    await other.getByRole('button', { name: 'Log in' }).click();
    await see('The API server does not accept this token.', other);
    await other.close();
  });

  it('breaks none of its own rules', () => assert.deepEqual(complaints, []));
});
