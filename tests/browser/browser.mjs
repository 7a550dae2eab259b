// Headless Chromium, and a page on which nothing may go wrong unseen.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/**
 * @param {{webgpu?: boolean, microphone?: string}} options `microphone`: a wav file that a fake
 *   device plays once
 */
export async function launch({ webgpu = false, microphone } = {}) {
  const args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"];
  // Software WebGPU; it needs the GPU process, so --disable-gpu must not be there.
  if (webgpu) args.push("--enable-unsafe-webgpu");
  else args.push("--disable-features=WebGPU", "--disable-gpu");
  args.push("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream");
  if (microphone) args.push(`--use-file-for-fake-audio-capture=${microphone}%noloop`);
  const start = () => chromium.launch({ executablePath: EXECUTABLE, headless: true, args });
  // Rarely it crashes before it is there, which says nothing of the page.
  return start().catch(start);
}

/** A page that records what it asks for and everything it complains about. */
export async function openPage(browser, url, options = {}, prepare = async () => {}) {
  // Requests are watched and changed by the tests, which a page's service worker would hide.
  const context = await browser.newContext({ permissions: ["microphone"], serviceWorkers: "block", ...options });
  // The machine may be busy with other tests.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  context.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => {
    // A hint about speed, which a busy machine gives.
    if (/was preloaded using link preload but not used/.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`),
    );
  });
  await prepare(page);
  await page.goto(url);
  return { page, context, requests, complaints };
}

/** Nothing went wrong and nobody else was asked for anything. */
export function assertClean({ requests, complaints }, origin, expected = /^$/) {
  // The browser itself remarks on a missing or a software GPU; that is what is being tested.
  const remarks = /WebGPU|powerPreference|adapter|GPU stall|blocked by Playwright/i;
  const ours = complaints.filter((text) => !remarks.test(text) && !expected.test(text));
  assert.deepEqual(ours, []);
  const foreign = requests.filter((url) => !url.startsWith(origin) && !url.startsWith("blob:"));
  assert.deepEqual(foreign, []);
}

/** Waits until the first engine runs; the sentence that says which and why. */
export async function engineReady(page, timeout = 300_000) {
  await page.locator("#engine-status.ready").waitFor({ state: "attached", timeout });
  await idle(page, timeout);
  return page.locator("#engine-text").textContent();
}

/** Waits until nothing runs. */
export async function idle(page, timeout = 600_000) {
  await page.locator('body[data-state="idle"]').waitFor({ timeout });
}

/** Hears the page's clips, one after the other, until a student in `where` hears one with a fault. */
export async function heardWrongly(page, where = page) {
  for (const button of await page.locator("#samples button").all()) {
    await button.click();
    await idle(page);
    if (await where.locator("s.wrong").count()) return;
  }
  throw new Error("every clip was heard without a fault");
}

export async function state(page, name, timeout = 60_000) {
  await page.locator(`body[data-state="${name}"]`).waitFor({ timeout });
}

/** Waits until so many of the page's workers are left: one that is ended is told of a moment later. */
export async function workersLeft(page, count, timeout = 2_000) {
  const until = Date.now() + timeout;
  while (page.workers().length !== count && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  assert.equal(page.workers().length, count);
}

/** The error that the page shows, if it shows one. */
export async function errorOf(page) {
  return (await page.locator("#error").isVisible()) ? page.locator("#error").textContent() : "";
}

export function lane(page, name) {
  return page.locator(`.lane[aria-label="${name}"], .lane[aria-label^="${name},"]`);
}

/** The words that a student wrote: what is struck out with them, what they should have been not. */
export async function wordsOf(page, name) {
  return (await lane(page, name).locator(".word").allTextContents()).join(" ");
}

/** Transcribes a file in all lanes. */
export async function transcribeFile(page, file) {
  await page.locator("#file").setInputFiles(file);
  await idle(page);
  assert.equal(await errorOf(page), "");
}

export async function openSettings(page) {
  await page.locator("#settings").evaluate((details) => (details.open = true));
}

/** Switches all lanes off but these. */
export async function only(page, names) {
  await openSettings(page);
  for (const label of await page.locator("#lane-switches label").all()) {
    const name = (await label.textContent()).trim().match(/^[^ ,]+/)[0];
    await label.locator("input").setChecked(names.includes(name));
  }
  await idle(page);
}

/**
 * Gives the page `openWorker(script)`: one of the site's workers, spoken to directly. `ask(body,
 * payload, file)` answers `{ body, payload }`, `tell(body, payload)` has no answer; `started` is what the
 * worker said about itself, `heard` the segments of its live session.
 */
export async function teachWorkers(page) {
  await page.evaluate(() => {
    globalThis.openWorker = async (script) => {
      const base = document.baseURI;
      const program = await fetch(`${script.replace("-counted", "")}_bg.wasm`);
      const module = await WebAssembly.compile(await program.arrayBuffer());
      const worker = new Worker("worker.js", { type: "module" });
      worker.postMessage({ script: new URL(`${script}.js`, base).href, module });
      const waiting = new Map();
      worker.heard = [];
      const started = await new Promise((resolve, reject) => {
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data: { id, body, payload, counts } }) => {
          if (body.Live) worker.heard.push(...body.Live);
          else if (body.Ready || body.ReaderReady) resolve(body.Ready ?? body.ReaderReady);
          else if (body.Unusable || body.Crashed) reject(new Error(JSON.stringify(body)));
          else if (body.Failed) waiting.get(id)?.reject(Object.assign(new Error(body.Failed.message), body.Failed));
          else if (!body.Loading && !body.Transcribing && body !== "Taken") waiting.get(id)?.resolve({ body, payload, counts });
        };
      });
      let next = 1;
      const ask = (body, payload, file) =>
        new Promise((resolve, reject) => {
          const id = next++;
          waiting.set(id, { resolve, reject });
          worker.postMessage({ id, body, payload, file }, payload ? [payload] : []);
        });
      // What has no answer of its own.
      const tell = (body, payload) => worker.postMessage({ id: next++, body, payload }, [payload]);
      return { started, ask, tell, heard: worker.heard, close: () => worker.terminate() };
    };
  });
}

/** The log-probabilities that an engine gives for a clip, asked of its worker directly. */
export async function engineLogProbs(page, engine, model, clipUrl) {
  await teachWorkers(page);
  return page.evaluate(
    async ({ engine, model, clipUrl }) => {
      const reader = await openWorker("audio-file");
      const clip = await (await fetch(clipUrl)).blob();
      const opened = await reader.ask("OpenFile", undefined, clip);
      const block = await reader.ask("NextBlock");
      reader.close();
      const worker = await openWorker(engine);
      await worker.ask({ Load: { model_url: new URL(model, document.baseURI).href } });
      const { sample_rate_hz } = opened.body.Opened;
      const { payload } = await worker.ask({ LogProbs: { sample_rate_hz } }, block.payload);
      worker.close();
      return { started: worker.started, values: Array.from(new Float32Array(payload)) };
    },
    { engine, model, clipUrl },
  );
}
