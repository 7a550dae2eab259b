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
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args });
}

/** A page that records what it asks for and everything it complains about. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ permissions: ["microphone"], ...options });
  // The machine may be busy with other tests.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  context.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`),
    );
  });
  await page.goto(url);
  return { page, context, requests, complaints };
}

/** Nothing went wrong and nobody else was asked for anything. */
export function assertClean({ requests, complaints }, origin) {
  // The browser itself remarks on a missing or a software GPU; that is what is being tested.
  const ours = complaints.filter((text) => !/WebGPU|powerPreference|adapter|GPU stall/i.test(text));
  assert.deepEqual(ours, []);
  const foreign = requests.filter((url) => !url.startsWith(origin) && !url.startsWith("blob:"));
  assert.deepEqual(foreign, []);
}

/**
 * Waits until an engine runs and files can be given, which needs the list of students; the sentence
 * that says which engine.
 */
export async function engineReady(page, timeout = 300_000) {
  await page.locator("#engine-status.ready").waitFor({ timeout });
  await idle(page, timeout);
  return page.locator("#engine-text").textContent();
}

/** Waits until the page is idle again after an action. */
export async function idle(page, timeout = 600_000) {
  await page.locator("#file:not([disabled])").waitFor({ state: "attached", timeout });
}

/** Does something that ends with a result or an error, and waits for that. */
export async function settled(page, action, timeout = 600_000) {
  await page.evaluate(() => {
    document.querySelector("#result-note").textContent = "";
    document.querySelector("#error").hidden = true;
  });
  await action();
  await page.waitForFunction(
    () => {
      const find = (id) => document.querySelector(id);
      return (find("#result-note").textContent || !find("#error").hidden) && !find("#file").disabled;
    },
    undefined,
    { timeout },
  );
}

export async function transcript(page) {
  const parts = await page.locator("#finals p").allTextContents();
  return parts.join(" ");
}

/**
 * Gives the page `openWorker(script)`: one of the site's workers, spoken to directly. `ask(body,
 * payload)` answers `{ body, payload }`; `started` is what the worker said about itself.
 */
export async function teachWorkers(page) {
  await page.evaluate(() => {
    globalThis.openWorker = async (script) => {
      const worker = new Worker(`${script}_loader.js`, { type: "module" });
      const waiting = new Map();
      const started = await new Promise((resolve, reject) => {
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data: { id, body, payload, counts } }) => {
          if (body.Ready || body.ReaderReady) resolve(body.Ready ?? body.ReaderReady);
          else if (body.Unusable || body.Crashed) reject(new Error(JSON.stringify(body)));
          else if (body.Failed) waiting.get(id)?.reject(new Error(body.Failed.message));
          else if (!body.Loading && !body.Transcribing) waiting.get(id)?.resolve({ body, payload, counts });
        };
      });
      let next = 1;
      const ask = (body, payload) =>
        new Promise((resolve, reject) => {
          const id = next++;
          waiting.set(id, { resolve, reject });
          worker.postMessage({ id, body, payload }, payload ? [payload] : []);
        });
      return { started, ask, close: () => worker.terminate() };
    };
  });
}

/** The log-probabilities that an engine gives for a clip, asked of its worker directly. */
export async function engineLogProbs(page, engine, model, clipUrl) {
  await teachWorkers(page);
  return page.evaluate(
    async ({ engine, model, clipUrl }) => {
      const reader = await openWorker("audio-file");
      const clip = await (await fetch(clipUrl)).arrayBuffer();
      const decoded = await reader.ask("DecodeFile", clip);
      reader.close();
      const worker = await openWorker(engine);
      await worker.ask({ Load: { model_url: new URL(model, document.baseURI).href } });
      const { sample_rate_hz } = decoded.body.Decoded;
      const { payload } = await worker.ask({ LogProbs: { sample_rate_hz } }, decoded.payload);
      worker.close();
      return { started: worker.started, values: Array.from(new Float32Array(payload)) };
    },
    { engine, model, clipUrl },
  );
}
