// Opens a page of a report and uses it as a person would: browser.mjs MODULES PAGE SEARCH.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, file, search] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));
const load = async (name) => (await import(pathToFileURL(require.resolve(name)).href)).default;
const chromium = await load("@sparticuz/chromium");
const puppeteer = await load("puppeteer-core");
const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: [...chromium.args, "--no-sandbox"],
  headless: "shell",
});
const page = await browser.newPage();
const told = { complaints: [], requests: [] };
page.on("console", (one) => told.complaints.push(one.text()));
page.on("pageerror", (one) => told.complaints.push(String(one)));
page.on("dialog", (one) => { told.complaints.push(one.message()); one.dismiss(); });
page.on("request", (one) => told.requests.push(one.url()));
const rows = "#findings tbody tr";
const shown = () => page.$$eval(rows, (all) => all.filter((one) => !one.hidden).length);
const said = () => page.$eval("#findings output", (one) => one.textContent);
const first = () => page.$eval(rows, (one) => one.cells[1].textContent);
const head = "#findings th:nth-child(2)";
const sorted = () => page.$eval(head, (one) => one.getAttribute("aria-sort"));
const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await page.setViewport({ width: 1280, height: 800 });
await page.goto(pathToFileURL(file).href);
told.title = await page.title();
told.all = [await shown(), await said()];
// By the keyboard alone: to the search, a word, and out of it again.
await page.keyboard.press("/");
told.focus = await page.evaluate(() => document.activeElement.name);
await page.keyboard.type(search);
told.searched = [await shown(), await first() !== null, await said()];
await page.keyboard.press("Escape");
told.cleared = await shown();
await page.select("#findings [name=severity]", "4");
told.critical = await shown();
await page.select("#findings [name=severity]", "0");
await page.focus(`${head} button`);
await page.keyboard.press("Enter");
told.up = [await sorted(), await first()];
await page.keyboard.press("Enter");
told.down = [await sorted(), await first()];
await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
told.printed = await shown();
await page.evaluate(() => dispatchEvent(new Event("afterprint")));
told.after = await shown();
told.foreign = await page.$$eval("img, iframe, link, object, script[src]", (all) => all.length);
for (const value of ["light", "dark"]) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
  told[value] = await ground();
}
// Without its script every row stands there.
await page.setJavaScriptEnabled(false);
await page.reload();
told.plain = (await page.content()).split("<tr id=").length - 1;
await browser.close();
console.log(JSON.stringify(told));
