/** The chapter that makes clusters of its own, run as a reader would, though under names that nobody else has. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { keelson, newClusterPlace } from '../../fixtures/cluster.js';
import { assertNoLeaks, snapshot } from '../../fixtures/leaks.js';
import { runSteps, type Step, stepsOf, writeCommands } from '../../fixtures/readme.js';
import { register } from '../../fixtures/registry.js';

const OURS = { containing: [`t${process.pid}-`] };

describe("The book's chapter on clusters", function () {
  this.timeout(240_000);
  const scratch = mkdtempSync(join(tmpdir(), 'keelson-test-'));
  const [first, second] = [newClusterPlace(), newClusterPlace()];
  after(async () => {
    for (const { name, dataDir } of [first, second])
      await keelson(['down', '--name', name, '--data-dir', dataDir]);
    for (const path of [scratch, first.dataDir, second.dataDir])
      rmSync(path, { recursive: true, force: true });
  });

  it('ch03-clusters', async () => {
    register({ kind: 'dir', path: scratch });
    mkdirSync(join(scratch, 'home'));
    const untouched = snapshot(OURS);
    const options = ({ name, dataDir }: typeof first) => `--name ${name} --data-dir ${dataDir}`;
    const named = (text: string) =>
      text
        .replaceAll('--name blue', options(second))
        .replaceAll('keelson-blue', `keelson-${second.name}`)
        .replaceAll('keelson-default', `keelson-${first.name}`)
        .replaceAll('"blue"', `"${second.name}"`)
        .replaceAll('"default"', `"${first.name}"`);
    const called = (command: string) =>
      named(command).replace(/^keelson (?!.*--name)/, `keelson ${options(first)} `);
    const steps = stepsOf(resolve('examples/ch03-clusters')).map(
      (step): Step => ({ ...step, command: called(step.command), expected: step.expected.map(named) }),
    );
    await runSteps(steps, {
      cwd: resolve('examples/ch03-clusters'),
      env: {
        KUBECONFIG: join(scratch, 'kubeconfig'),
        PATH: `${writeCommands(scratch, '')}:${process.env['PATH']}`,
        HOME: join(scratch, 'home'),
        TMPDIR: scratch,
      },
      scratch,
    });
    await assertNoLeaks(untouched, OURS);
  });
});
