import assert from 'node:assert/strict';
import { parseDockerfile } from '../../../../src/agent/build/dockerfile.js';
import { expandVariables, expandWord, words } from '../../../../src/agent/build/words.js';

const parse = (text: string) => parseDockerfile(text, 'Dockerfile').instructions;

describe('Dockerfiles', () => {
  it('are read line by line', () => {
    const [from, run, copy] = parse(
      '# a comment\nfrom  busybox as base\n\nRUN a && \\\n  # within\n\n  b\nCOPY --from=base --chown=1:2 a b /c/\n',
    );
    assert.deepEqual([from!.name, from!.text, from!.where], ['FROM', 'busybox as base', 'Dockerfile:2']);
    assert.deepEqual([run!.text, run!.where], ['a &&   b', 'Dockerfile:4']);
    assert.deepEqual(copy!.flags, [
      ['from', 'base'],
      ['chown', '1:2'],
    ]);
    assert.equal(copy!.text, 'a b /c/');
  });

  it('may say what ends a line that goes on', () => {
    const [, run] = parse('# escape=`\nFROM a\nRUN c:\\x `\n y\n');
    assert.equal(run!.text, 'c:\\x  y');
  });

  it('have here-documents', () => {
    const [, run, copy, last] = parse(
      "FROM a\nRUN <<EOF\none\n#two\nEOF\nCOPY <<-'A' <<B /x/\n\ta $b\n\tA\nB\nUSER c\n",
    );
    assert.deepEqual(run!.heredocs, [{ name: 'EOF', content: 'one\n#two\n', expand: true }]);
    assert.deepEqual(copy!.heredocs, [
      { name: 'A', content: 'a $b\n', expand: false },
      { name: 'B', content: '', expand: true },
    ]);
    assert.equal(last!.where, 'Dockerfile:10');
  });

  it('have here-documents for later builds', () => {
    const [, trigger, last] = parse('FROM a\nONBUILD COPY <<A /x\nb\nA\nONBUILD CMD <<A\n');
    assert.deepEqual(trigger!.heredocs, [{ name: 'A', content: 'b\n', expand: true }]);
    assert.deepEqual(last!.heredocs, []);
  });

  for (const [text, message] of [
    ['FROM a\nFOO b\n', 'Dockerfile:2: unknown instruction: FOO'],
    ['FROM\n', 'Dockerfile:1: FROM requires at least one argument'],
    ['FROM a\nRUN <<E\nx\n', 'Dockerfile:2: the here-document E has no end'],
    ['# nothing\n', 'Dockerfile:1: there is no instruction in it'],
  ] as const)
    it(`say what is wrong: ${message}`, () => assert.throws(() => parse(text), { message }));
});

describe('words of Dockerfiles', () => {
  const values: Record<string, string> = { A: 'x y', EMPTY: '', F: 'a.tar.gz', P: '/usr/local/bin' };
  const expansion = { escape: '\\', lookup: (name: string) => values[name] };

  for (const [text, expected] of [
    ['$A', 'x y'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${A}z', 'x yz'],
    ["'$A'", '$A'],
    ['"$A"', 'x y'],
    ['\\$A', '$A'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${NONE:-d}${EMPTY:-d}${EMPTY-d}${NONE-e}', 'dde'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${A:+s}${EMPTY:+s}${EMPTY+t}${NONE+s}', 'st'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${NONE:-${A}!}', 'x y!'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${F%.*} ${F%%.*} ${P#*/} ${P##*/}', 'a.tar a usr/local/bin bin'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    ['${F/a/b} ${P//\\//_}', 'b.tar.gz _usr_local_bin'],
    ['$', '$'],
  ] as const)
    it(`${text} is ${expected}`, () => assert.equal(expandWord(text, expansion), expected));

  it('are split at blanks that nothing protects', () => {
    assert.deepEqual(words('a  "b c" d\\ e f\'g h\' ""', expansion), ['a', 'b c', 'd e', 'fg h', '']);
    assert.deepEqual(words('k=$A', expansion), ['k=x y']);
  });

  it('keep their quotes in a here-document', () =>
    assert.equal(expandVariables('"$A" \'$A\' \\$A\n', expansion), '"x y" \'x y\' $A\n'));

  it('say what is wrong', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what is tested.
    assert.throws(() => expandWord('${NONE:?is needed}', expansion), /^Error: NONE: is needed$/);
    assert.throws(() => expandWord('"a', expansion), /matching double-quote/);
    assert.throws(() => expandWord('$' + '{A', expansion), /unsupported modifier/);
  });
});
