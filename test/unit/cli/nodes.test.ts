import assert from 'node:assert/strict';
import { it } from 'mocha';
import { defaultNodeName, requireNodeName } from '../../../src/cli/nodes.js';

for (const [machine, name] of [
  ['Laptop', 'laptop'],
  ['web.example.org', 'web.example.org'],
  ['(none)', 'node-1'],
  ['', 'node-1'],
  ['my_machine', 'node-1'],
  ['-dash', 'node-1'],
] as const)
  it(`a machine named ${JSON.stringify(machine)} is the node ${name}`, () =>
    assert.equal(defaultNodeName(machine), name));

it('refuses what is no name of a node, and says what one is made of', () => {
  requireNodeName('node-1.example');
  for (const name of ['Node', 'a_b', '', '-a', 'a..b', 'a'.repeat(254)])
    assert.throws(() => requireNodeName(name), /can't be a node's name: use lower-case letters/);
});
