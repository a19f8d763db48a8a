// GitHub's published contract as a proxy: what passes it is what that says, in both directions.
//
// node contract.mjs <folder of packages> <port> <upstream> <file that violations are told in>
//
// The document is cut down to what the connector asks for, since the whole of it names parts that are not
// in it. What is cut stays in a folder of this process.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

const [packages, port, upstream, told] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(packages), 'x.js'));

const ASKED = {
  '/orgs/{org}': ['get'],
  '/orgs/{org}/repos': ['get'],
  '/orgs/{org}/installations': ['get'],
  '/orgs/{org}/installation': ['get'],
  '/app/installations/{installation_id}/access_tokens': ['post'],
  '/enterprises/{enterprise}/apps/organizations/{org}/installations/{installation_id}': ['delete'],
  '/orgs/{org}/personal-access-tokens': ['get'],
  '/orgs/{org}/personal-access-tokens/{pat_id}': ['post'],
  '/orgs/{org}/actions/variables': ['get', 'post'],
  '/orgs/{org}/actions/variables/{name}': ['patch', 'delete'],
  '/repos/{owner}/{repo}/keys': ['get', 'post'],
  '/repos/{owner}/{repo}/keys/{key_id}': ['delete'],
};
for (const hooks of ['/orgs/{org}/hooks', '/repos/{owner}/{repo}/hooks']) {
  Object.assign(ASKED, {
    [hooks]: ['get', 'post'],
    [`${hooks}/{hook_id}`]: ['patch', 'delete'],
    [`${hooks}/{hook_id}/config`]: ['patch'],
    [`${hooks}/{hook_id}/pings`]: ['post'],
    [`${hooks}/{hook_id}/deliveries`]: ['get'],
    [`${hooks}/{hook_id}/deliveries/{delivery_id}`]: ['get'],
  });
}

const whole = JSON.parse(fs.readFileSync(require.resolve('@octokit/openapi/generated/ghec.json')));
const cut = { openapi: whole.openapi, info: whole.info, paths: {}, components: {} };
for (const [name, methods] of Object.entries(ASKED)) {
  const { parameters } = whole.paths[name];
  cut.paths[name] = { ...(parameters && { parameters }) };
  for (const method of methods) cut.paths[name][method] = whole.paths[name][method];
  // What is the same as before may be answered so by any look: GitHub says that of its whole API, and the
  // document of a few.
  if (cut.paths[name].get) cut.paths[name].get.responses['304'] ??= { description: 'Not modified' };
}
// Everything that is named by what is kept.
const wanted = [cut.paths];
for (let part; (part = wanted.pop()); ) {
  if (typeof part.$ref === 'string') {
    const [, , kind, name] = part.$ref.split('/');
    cut.components[kind] ??= {};
    if (!(name in cut.components[kind])) {
      cut.components[kind][name] = whole.components[kind][name];
      wanted.push(whole.components[kind][name]);
    }
  }
  for (const value of Object.values(part)) if (value && typeof value === 'object') wanted.push(value);
}
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'nhi-github-contract-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
const file = path.join(folder, 'github.json');
fs.writeFileSync(file, JSON.stringify(cut));

// Whatever breaks the contract is written where the test looks for it.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => {
  for (const line of String(text).split('\n')) {
    if (/violation/i.test(line)) fs.appendFileSync(told, `${line}\n`);
  }
  return write(text, ...rest);
};
process.argv = [process.argv[0], 'prism', 'proxy', file, upstream, '--errors', '-h', '127.0.0.1', '-p', port];
require('@stoplight/prism-cli/dist/index.js');
