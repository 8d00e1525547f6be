import assert from 'node:assert/strict';
import { keelson } from '../../fixtures/cluster.js';

describe('the keelson command', () => {
  const cases: { argv: string[]; code: number; says: RegExp }[] = [
    { argv: [], code: 2, says: /Name a command/ },
    { argv: ['--help'], code: 0, says: /keelson up[\s\S]*keelson down[\s\S]*keelson image/ },
    { argv: ['up', '--help'], code: 0, says: /--port/ },
    { argv: ['image'], code: 2, says: /An argument is missing\.\nSee "keelson image --help"/ },
    { argv: ['node', 'stop'], code: 2, says: /An argument is missing\.\nSee "keelson node stop --help"/ },
    { argv: ['up', '--nodes'], code: 2, says: /^keelson: --nodes needs a value\.$/m },
    { argv: ['token', '-n'], code: 2, says: /^keelson: -n needs a value\.$/m },
    { argv: ['up', '--bind', '--nodes', '2'], code: 2, says: /^keelson: --bind needs a value\.$/m },
    { argv: ['up', '--wait', 'long'], code: 2, says: /^keelson: --wait takes a number\.$/m },
    {
      argv: ['server', '--port', '70000'],
      code: 2,
      says: /^keelson: --port takes a port from 0 to 65535\.$/m,
    },
    { argv: ['up', '--ingress-http-port', '1.5'], code: 2, says: /--ingress-http-port takes a port/ },
    { argv: ['nonsense'], code: 2, says: /Unknown command: nonsense/ },
    { argv: ['up', '--nonsense'], code: 2, says: /Unknown argument: nonsense/ },
    { argv: ['token', '-n', 'a', '-n', 'b'], code: 2, says: /-(n|-name) is given more than once/ },
    { argv: ['version'], code: 0, says: /^keelson \d+\.\d+\.\d+ \(Kubernetes v1\.36/ },
    { argv: ['completion'], code: 0, says: /complete/ },
    { argv: ['kubeconfig', '--name', 'no-such'], code: 1, says: /^keelson: There is no cluster "no-such"/ },
    { argv: ['token', '--name', 'no-such'], code: 1, says: /^keelson: There is no cluster "no-such"/ },
    {
      argv: ['status', '--name', '../etc'],
      code: 1,
      says: /^keelson: The cluster name "\.\.\/etc" is not allowed/,
    },
  ];
  for (const { argv, code, says } of cases)
    it(`answers "${argv.join(' ')}" with exit code ${code}`, async () => {
      const output = await keelson(argv);
      assert.match(output.stdout + output.stderr, says);
      assert.equal(output.code, code);
    });
});
