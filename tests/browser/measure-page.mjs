// What a visitor of the built page waits for, fetches and holds in memory, measured in headless Chromium.
//
//   node measure-page.mjs --site DIR --recordings DIR [--only visits,second,live,long] [--match NAME] [--out FILE]
//
// FLEDGE_BIN: serves the site, compressed. `--recordings`: spoken.wav (for the microphone) and the long
// files, which `scripts/measure-page.sh` makes. `--match`: only first visits and long files with this in their name.
// Prints a Markdown table; FILE gets the same as JSON.

import { spawn } from "node:child_process";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { engineReady, idle, launch, state } from "./browser.mjs";
import { LONG_TASK_MS, tasksWhile } from "./page-tasks.mjs";
import { browserMemory, watchMemory } from "./process-memory.mjs";
import { throttle } from "./throttle.mjs";

const { values: options } = parseArgs({
  options: {
    site: { type: "string" },
    recordings: { type: "string" },
    only: { type: "string", default: "visits,second,live,long" },
    match: { type: "string", default: "" },
    out: { type: "string" },
  },
});
const parts = options.only.split(",");
const DESKTOP = { viewport: { width: 1440, height: 900 }, permissions: ["microphone"] };
const LINES = {
  "no limit": {},
  "9 Mbit/s, 60 ms": { bits_per_s: 9e6, round_trip_ms: 60 },
  "1.6 Mbit/s, 150 ms": { bits_per_s: 1.6e6, round_trip_ms: 150 },
};
/** Who is switched on, with the language model or without, and what is pressed. */
const VISITS = {
  "sample clip, all three with LM": { press: "sample" },
  "sample clip, medium with LM": { press: "sample", lanes: ["medium"] },
  "sample clip, tiny with LM": { press: "sample", lanes: ["tiny"] },
  "microphone, all three with LM": { press: "microphone" },
  "microphone, medium with LM": { press: "microphone", lanes: ["medium"] },
  "microphone, tiny without LM": { press: "microphone", lanes: ["tiny"], without_lm: true },
};

const rows = [];
function report(what, figures) {
  const load = loadavg()[0].toFixed(1);
  rows.push({ what, ...figures, load });
  const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  console.log(`| ${what} | ${told.join("; ")} | ${load} |`);
}
const secs = (ms) => (ms === undefined ? "never" : `${(ms / 1e3).toFixed(1)} s`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** Runs in the page before its own scripts: notes when what appears, and presses as soon as that is possible. */
function watch(visit) {
  const told = { times: {}, shift: 0 };
  globalThis.told = told;
  const note = (name) => (told.times[name] ??= performance.now());
  new PerformanceObserver((list) => list.getEntries().forEach(({ hadRecentInput, value }) => (told.shift += hadRecentInput ? 0 : value))).observe({ type: "layout-shift", buffered: true });
  if (!visit) return;

  function press() {
    for (const label of document.querySelectorAll("#lane-switches label")) {
      const input = label.querySelector("input");
      const wanted = visit.lanes?.some((name) => label.textContent.includes(name)) ?? input.checked;
      if (input.checked !== wanted) input.click();
    }
    if (visit.without_lm) document.querySelector("#lm-none").click();
    document.querySelector(visit.press === "sample" ? "#samples button" : "#record").click();
    note("pressed");
  }
  function look() {
    if (document.querySelector("#engine-status.ready")) note("ready");
    for (const lane of document.querySelectorAll(".lane")) {
      const has_words = lane.querySelector(".word") || lane.querySelector(".partial")?.textContent;
      if (has_words) note("first word"), note(lane.getAttribute("aria-label"));
    }
    // What fails is not waited for.
    if (document.querySelector("#error:not([hidden])")) note("done"), note("failed");
    const { state } = document.body?.dataset ?? {};
    if (told.times.pressed && visit.press === "sample" && state === "idle") note("done");
    if (!told.times.pressed && state === "idle" && document.querySelector("#samples button")) press();
  }
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
}

/** Serves the site as `fledge serve` does. */
async function serveSite() {
  const server = spawn(process.env.FLEDGE_BIN, ["serve", options.site, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(String(data).trim())));
  return { address, close: () => server.kill() };
}

async function openWatched(context, url, visit) {
  const page = await context.newPage();
  page.setDefaultTimeout(600_000);
  await page.addInitScript(watch, visit);
  await page.goto(url);
  return page;
}

const told = (page) => page.evaluate(() => ({ ...globalThis.told, origin: performance.timeOrigin }));

/** From an empty cache to the first word. */
async function firstVisit(browser, address, name, line_name) {
  const visit = VISITS[name];
  const line = await throttle(address, LINES[line_name]);
  const context = await browser.newContext(DESKTOP);
  try {
    const page = await openWatched(context, line.origin, visit);
    await page.waitForFunction((last) => globalThis.told.times[last] ?? globalThis.told.times.failed, visit.press === "sample" ? "done" : "first word", { polling: 100 });
    const { times, origin, shift } = await told(page);
    const fetched = line.traffic.until(origin + times["first word"], origin);
    const own = ["pressed", "ready", "done", "failed", "first word"];
    const lanes = Object.entries(times).filter(([name]) => !own.includes(name));
    report(`${name}; ${line_name}`, {
      "first word": secs(times["first word"]),
      "after pressing": secs(times["first word"] - times.pressed),
      ...(lanes.length > 1 ? Object.fromEntries(lanes.map(([name, ms]) => [name, secs(ms)])) : {}),
      "engine ready": secs(times.ready),
      fetched: megabytes(fetched.bytes),
      requests: fetched.requests,
      "layout shift": shift.toFixed(3),
    });
  } finally {
    await context.close();
    line.close();
  }
}

/** The page again, with its files kept: with the network, and without. */
async function secondVisit(browser, address) {
  for (const has_network of [true, false]) {
    const line = await throttle(address);
    const context = await browser.newContext(DESKTOP);
    const visit = { press: "sample" };
    const first = await openWatched(context, line.origin, visit);
    await first.waitForFunction(() => globalThis.told.times.done && navigator.serviceWorker.controller, undefined, { polling: 100 });
    await first.waitForTimeout(3_000);
    await first.close();
    if (!has_network) line.close();
    const page = await openWatched(context, line.origin, visit);
    await page.waitForFunction(() => globalThis.told.times.done, undefined, { polling: 100 });
    const { times, origin } = await told(page);
    const fetched = line.traffic.until(Infinity, origin);
    report(`second visit ${has_network ? "with" : "without"} network`, {
      ready: secs(times.ready),
      "first word": secs(times["first word"]),
      requests: fetched.requests,
      fetched: megabytes(fetched.bytes),
    });
    await context.close();
    line.close();
  }
}

/** By the clock, and by the processor's. */
function tasksTold(tasks) {
  const longest = (field) => {
    const times = tasks.map((task) => task[field]);
    const count = times.filter((ms) => ms > LONG_TASK_MS).length;
    return `${count || "none"} over ${LONG_TASK_MS} ms, longest ${Math.max(0, ...times).toFixed(0)} ms`;
  };
  return { tasks: longest("wall_ms"), "by processor time": longest("processor_ms") };
}

/** Live, all lanes, and "Check our numbers" after it. */
async function live(browser, address) {
  const context = await browser.newContext(DESKTOP);
  const page = await openWatched(context, address, null);
  await engineReady(page);
  await page.locator("#samples button").first().click();
  await idle(page);
  await page.locator("#record").click();
  await state(page, "listening");
  const length_s = 90;
  const tasks = await tasksWhile(page, async () => {
    await page.waitForTimeout(length_s * 1e3);
    await page.locator("#record").click();
    await idle(page);
  });
  report(`live, ${length_s} s, all three`, { ...tasksTold(tasks), "layout shift": (await told(page)).shift.toFixed(3) });
  const pressed = Date.now();
  await page.locator("#check").click();
  await page.locator("#check-status", { hasText: /^Done\./ }).waitFor();
  report("check our numbers", { took: secs(Date.now() - pressed), "layout shift in all": (await told(page)).shift.toFixed(3) });
  await context.close();
}

/** Memory of the browser with a page that has nothing in it. */
async function emptyBrowser(context) {
  const page = await context.newPage();
  await page.waitForTimeout(1_000);
  const memory = browserMemory();
  await page.close();
  return memory;
}

/** All of the browser's, and in brackets that of the page's own process and of the others. */
function memoryTold(moments) {
  const told = ({ bytes, kinds: { renderer = 0 } }) => `${megabytes(bytes)} (${megabytes(renderer)} + ${megabytes(bytes - renderer)})`;
  return Object.fromEntries(Object.entries(moments).map(([name, memory]) => [`memory ${name}`, told(memory)]));
}

/** Seconds of a long recording in which the page's thread is watched. */
const WATCHED_S = 30;

/** A long recording: its speed, the memory that it takes, and, in another run, how long the page's thread is busy. */
async function long(address, file) {
  const browser = await launch();
  const context = await browser.newContext(DESKTOP);
  const empty = await emptyBrowser(context);
  const page = await openWatched(context, address, null);
  await engineReady(page);
  // So that programs and students are there.
  await page.locator("#samples button").first().click();
  await idle(page);
  await page.waitForTimeout(5_000);
  const watched = watchMemory();
  const begun = Date.now();
  await page.locator("#file").setInputFiles(file);
  await page.locator(".lane .finals .time").first().waitFor();
  const first_ms = Date.now() - begun;
  await idle(page);
  const took_ms = Date.now() - begun;
  const { before, peak } = watched.stop();
  await page.waitForTimeout(15_000);
  const after = browserMemory();
  await page.locator("#samples button").first().click();
  await idle(page);
  await page.waitForTimeout(15_000);
  const used_again = browserMemory();
  // Watching takes memory itself.
  const tasks = await tasksWhile(page, async () => {
    await page.locator("#file").setInputFiles(file);
    const cancel = page.locator("#cancel");
    await cancel.waitFor();
    // A fast machine is done before.
    await cancel.waitFor({ state: "hidden", timeout: WATCHED_S * 1e3 }).catch(() => cancel.click());
    await idle(page);
  });
  report(`${file.split("/").at(-1)}, ${megabytes(statSync(file).size)}, all three`, {
    took: secs(took_ms),
    "first words": secs(first_ms),
    ...memoryTold({ "of an empty page": empty, before, peak, "after 15 s": after, "with the next clip": used_again }),
    ...tasksTold(tasks),
  });
  await browser.close();
}

const server = await serveSite();
try {
  const microphone = join(options.recordings, "spoken.wav");
  for (const name of parts.includes("visits") ? Object.keys(VISITS).filter((name) => name.includes(options.match)) : []) {
    for (const line of Object.keys(LINES)) {
      // The fake microphone plays its file once a browser.
      const browser = await launch({ microphone });
      await firstVisit(browser, server.address, name, line);
      await browser.close();
    }
  }
  const browser = await launch({ microphone });
  if (parts.includes("second")) await secondVisit(browser, server.address);
  if (parts.includes("live")) await live(browser, server.address);
  await browser.close();
  const files = readdirSync(options.recordings).filter((name) => name.startsWith("long") && name.includes(options.match));
  for (const file of parts.includes("long") ? files : []) await long(server.address, join(options.recordings, file));
  if (options.out) writeFileSync(options.out, `${JSON.stringify(rows, null, 1)}\n`);
} finally {
  server.close();
}
