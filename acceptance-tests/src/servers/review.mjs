// Opens the page of a review and uses it as a person would: review.mjs MODULES PAGE SEARCH PICTURE.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, file, search, picture] = process.argv.slice(2);
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
const cards = "#changes article";
const shown = () => page.$$eval(cards, (all) => all.filter((one) => !one.hidden).length);
const said = () => page.$eval("#changes output", (one) => one.textContent);
const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await page.setViewport({ width: 1100, height: 900 });
const begun = Date.now();
await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
told.all = [await shown(), await said()];
told.milliseconds = Date.now() - begun;
told.title = await page.title();
// By the keyboard alone: from card to card, to the search, a word, and out of it again.
await page.keyboard.press("j");
told.first = await page.evaluate(() => document.activeElement.id);
await page.keyboard.press("j");
told.second = await page.evaluate(() => document.activeElement.id);
await page.keyboard.press("/");
told.focus = await page.evaluate(() => document.activeElement.name);
await page.keyboard.type(search);
told.searched = [await shown(), await said()];
await page.keyboard.press("Escape");
told.cleared = await shown();
await page.select("#changes [name=level]", "3");
told.critical = await shown();
await page.select("#changes [name=level]", "0");
await page.click("#changes [name=missing]");
told.missing = await said();
await page.click("#changes [name=missing]");
// What a reader for the blind is told: each card by its heading, and the picture by its words.
const tree = await page.accessibility.snapshot({ interestingOnly: false });
const found = [];
const walk = (node) => { found.push([node.role, node.name ?? ""]); (node.children ?? []).forEach(walk); };
walk(tree);
told.articles = found.filter(([role, name]) => role === "article" && name !== "").length;
told.images = await page.$$eval("svg.blast", (all) =>
  all.filter((one) => one.getAttribute("role") === "img" && one.getAttribute("aria-label")).length);
await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
told.printed = [await shown(), await page.$$eval("details:not([open])", (all) => all.length)];
await page.evaluate(() => dispatchEvent(new Event("afterprint")));
told.after = await shown();
told.foreign = await page.$$eval("img, iframe, link, object, script[src]", (all) => all.length);
for (const value of ["light", "dark"]) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
  told[value] = await ground();
}
if (picture) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await page.$$eval("#changes details", (all) => { all[0].open = true; });
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: picture });
}
// Without its script every card stands there.
await page.setJavaScriptEnabled(false);
await page.reload();
told.plain = (await page.content()).split("<article ").length - 1;
await browser.close();
console.log(JSON.stringify(told));
