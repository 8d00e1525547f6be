// Mocha's spec reporter, which also writes what failed to the file that KEELSON_TEST_FAILURES names:
// lines of JSON, {"file": the test file's path, "title": the test's full title}.
const { appendFileSync } = require('node:fs');
const { reporters, Runner } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test) => {
      const failure = { file: test.file ?? test.parent?.file, title: test.fullTitle() };
      appendFileSync(process.env.KEELSON_TEST_FAILURES, `${JSON.stringify(failure)}\n`);
    });
  }
};
