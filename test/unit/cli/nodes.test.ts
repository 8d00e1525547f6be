import assert from 'node:assert/strict';
import { it } from 'mocha';
import { defaultNodeName } from '../../../src/cli/nodes.js';

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
