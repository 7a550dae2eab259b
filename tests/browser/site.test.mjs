// The built site in a real browser: the same words as the native binary, on either engine, from a
// file and from a microphone, with nobody else asked for anything.
//
// FLEDGE_BIN: the native binary. FLEDGE_SITE: the built site (default www/dist).
// FLEDGE_SCREENSHOTS: a folder for pictures of the page (default: none are taken).

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { assertClean, engineLogProbs, engineReady, idle, launch, openPage, settled, transcript } from "./browser.mjs";
import * as native from "./native.mjs";
import { serve } from "./serve.mjs";
import { readWav, withSilence, writeWav } from "./wav.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const SITE = resolve(process.env.FLEDGE_SITE ?? join(HERE, "../../www/dist"));
const json = (path) => JSON.parse(readFileSync(join(SITE, path), "utf8"));
const MODELS = json("models/index.json").models.map(({ path, lm }) => {
  const manifest = json(`models/${path}/manifest.json`);
  const folder = join(SITE, "models", path);
  return { path, folder, name: manifest.name, parameters: manifest.parameters, lm: lm && join(SITE, "models", lm) };
});
const CLIPS = json("samples/index.json").clips.map((clip) => ({ ...clip, path: join(SITE, "samples", clip.file) }));
const SMALLEST = MODELS.reduce((a, b) => (b.parameters < a.parameters ? b : a));
const SHORTEST = CLIPS.reduce((a, b) => (readWav(b.path).samples.length < readWav(a.path).samples.length ? b : a));
const MINUTE = 60_000;

let site;
let scratch;
/** One browser for each set of launch options; every test has its own context in it. */
const browsers = new Map();
before(async () => {
  site = await serve(SITE, "/some/where/");
  scratch = mkdtempSync(join(tmpdir(), "fledge-browser-"));
});
after(async () => {
  for (const browser of browsers.values()) await (await browser).close();
  await site.close();
  rmSync(scratch, { recursive: true });
});

async function withPage({ query = "", context, ...options }, use) {
  const key = JSON.stringify(options);
  if (!browsers.has(key)) browsers.set(key, launch(options));
  const opened = await openPage(await browsers.get(key), site.url + query, context);
  try {
    await use(opened);
    assertClean(opened, site.origin);
  } finally {
    await opened.context.close();
  }
}

async function choose(page, model) {
  await page.locator("#students .option").nth(MODELS.indexOf(model)).click();
}

/** What the native binary hears where the page is left as it opens: with the language model, if there is one. */
function heardNatively({ folder, lm }, path) {
  return lm ? native.transcribeWith(lm, folder, path) : native.transcribe(folder, path);
}

async function transcribeFile(page, path) {
  await settled(page, () => page.locator("#file").setInputFiles(path));
  assert.equal(await page.locator("#error").isVisible(), false, await page.locator("#error").textContent());
  return transcript(page);
}

function assertClose(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
  assert.ok(worst <= tolerance, `largest difference ${worst}`);
  return worst;
}

describe("without WebGPU", () => {
  test("says that it runs on the CPU and why", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page, requests }) => {
      assert.match(await engineReady(page), /^Runs on the CPU: .*(WebGPU|GPU)/);
      assert.ok(!requests.some((url) => url.includes("webgpu")), "the GPU engine was fetched");
      assert.ok(!requests.some((url) => url.endsWith(".safetensors")), "weights were fetched unasked");
    });
  });

  for (const model of MODELS) {
    test(`${model.path} hears in every sample clip what the native binary hears`, { timeout: 10 * MINUTE }, async () => {
      await withPage({}, async ({ page }) => {
        await engineReady(page);
        await choose(page, model);
        for (const clip of CLIPS) {
          assert.equal(await transcribeFile(page, clip.path), heardNatively(model, clip.path), clip.file);
        }
        if (!model.lm) return;
        await page.locator("#lm").uncheck();
        for (const clip of CLIPS) {
          assert.equal(await transcribeFile(page, clip.path), native.transcribe(model.folder, clip.path), clip.file);
        }
      });
    });
  }

  test("a sample clip is transcribed by its button, with what was said", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await page.locator("#samples button").first().click();
      await page.locator("#truth:not([hidden])").waitFor({ timeout: MINUTE });
      assert.match(await page.locator("#truth").textContent(), new RegExp(CLIPS[0].text));
      assert.equal(await transcript(page), heardNatively(MODELS[0], CLIPS[0].path));
      assert.match(await page.locator("#result-note").textContent(), /s of audio in .* real time/);
    });
  });

  test("a 24-bit stereo 48 kHz file gives the native words", { timeout: 5 * MINUTE }, async () => {
    const wav = readWav(SHORTEST.path);
    // Three times the rate by repetition: an ugly sound, the same for both.
    const high = Array.from({ length: wav.samples.length * 3 }, (_, i) => wav.samples[Math.floor(i / 3)] * 256);
    const path = join(scratch, "stereo.wav");
    writeWav(path, wav.rate * 3, [high, high.map((value) => value >> 1)], 24);
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await choose(page, SMALLEST);
      assert.equal(await transcribeFile(page, path), heardNatively(SMALLEST, path));
    });
  });

  test("log-probabilities equal the native ones", { timeout: 5 * MINUTE }, async (t) => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      const url = `${site.url}samples/${SHORTEST.file}`;
      const { values } = await engineLogProbs(page, "engine-cpu", `models/${SMALLEST.path}`, url);
      const expected = native.logProbs(SMALLEST.folder, SHORTEST.path).flat();
      const worst = assertClose(values, expected, 1e-3);
      t.diagnostic(`largest difference ${worst}`);
    });
  });

  test("the microphone gives the words of the clip that it plays", { timeout: 5 * MINUTE }, async () => {
    // The clip that a model is surest of: live audio is normalised by what was heard so far, and
    // words on the edge may fall to either side.
    const sure = ([model, { path }]) => native.confidence(model.folder, path);
    const heard = MODELS.flatMap((model) => CLIPS.map((clip) => [model, clip]))
      .filter(([model, { path, text }]) => heardNatively(model, path) === text)
      .map((pair) => [sure(pair), ...pair])
      .sort(([a], [b]) => b - a)[0];
    assert.ok(heard, "no model hears a sample clip rightly");
    const [, model, clip] = heard;
    const expected = clip.text;
    const wav = withSilence(readWav(clip.path), 2, 30);
    const path = join(scratch, "microphone.wav");
    writeWav(path, wav.rate, [wav.samples]);
    await withPage({ microphone: path }, async ({ page }) => {
      await engineReady(page);
      await choose(page, model);
      await page.locator("#record").click();
      await page.locator('#record[aria-pressed="true"]').waitFor({ timeout: MINUTE });
      await page.locator("#finals p").first().waitFor({ timeout: MINUTE });
      await page.locator("#record").click();
      await idle(page);
      assert.equal(await page.locator("#record").getAttribute("aria-pressed"), "false");
      assert.equal(await transcript(page), expected);
      assert.equal(await page.locator("#placeholder").isVisible(), false);
      // Started again at once: what was still to be waited for of the first session must not end it.
      await page.locator("#record").click();
      await page.locator('#record[aria-pressed="true"]').waitFor({ timeout: MINUTE });
      await page.waitForTimeout(2_000);
      assert.equal(await page.locator("#record").getAttribute("aria-pressed"), "true");
      await page.locator("#record").click();
      await idle(page);
    });
  });

  test("a refused microphone is told in words", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
      });
      await engineReady(page);
      await page.locator("#record").click();
      await page.locator("#error:not([hidden])").waitFor({ timeout: MINUTE });
      assert.match(await page.locator("#error").textContent(), /not allowed/);
    });
  });

  test("files that are no audio are refused in words and the page goes on", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      for (const [name, buffer] of [
        ["empty.wav", Buffer.alloc(0)],
        ["text.wav", Buffer.from("this is only text, whatever its name says")],
        ["short.wav", readFileSync(SHORTEST.path).subarray(0, 44)],
      ]) {
        await settled(page, () => page.locator("#file").setInputFiles({ name, mimeType: "audio/wav", buffer }));
        assert.match(await page.locator("#error").textContent(), new RegExp(`^${name}: `));
      }
      assert.equal(await transcribeFile(page, SHORTEST.path), heardNatively(MODELS[0], SHORTEST.path));
    });
  });

  test("a file dropped too early is answered, and taken later", { timeout: 5 * MINUTE }, async () => {
    const drop = (page) =>
      page.evaluate(
        async ([name, base64]) => {
          const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
          document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        },
        ["clip.wav", readFileSync(SHORTEST.path).toString("base64")],
      );
    await withPage({}, async ({ page }) => {
      let list;
      await page.route("**/models/index.json", async (route) => {
        await new Promise((resolve) => (list = resolve));
        await route.continue();
      });
      await page.reload();
      await page.locator("#engine-status.ready").waitFor({ timeout: MINUTE });
      await drop(page);
      assert.match(await page.locator("#error").textContent(), /not ready/);
      list();
      await idle(page);
      await settled(page, () => drop(page));
      assert.equal(await page.locator("#error").isVisible(), false);
      assert.equal(await transcript(page), heardNatively(MODELS[0], SHORTEST.path));
    });
  });

  test("a language model gives the words of the native beam search", { timeout: 5 * MINUTE }, async () => {
    const lm = join(scratch, "sentences.bin");
    native.languageModel(CLIPS.map(({ text }) => text), lm);
    const greedy = CLIPS.map(({ path }) => native.transcribe(SMALLEST.folder, path));
    const expected = CLIPS.map(({ path }) => native.transcribeWith(lm, SMALLEST.folder, path));
    assert.notDeepEqual(expected, greedy, "the language model changes nothing: nothing is tested");
    await withPage({}, async ({ page }) => {
      await page.route("**/models/index.json", async (route) => {
        const response = await route.fetch();
        const index = await response.json();
        for (const model of index.models) model.lm = "lm/sentences.bin";
        await route.fulfill({ response, json: index });
      });
      await page.route("**/models/lm/sentences.bin", (route) => route.fulfill({ path: lm }));
      await page.reload();
      await engineReady(page);
      await choose(page, SMALLEST);
      await page.locator("#lm").check();
      const found = [];
      for (const { path } of CLIPS) found.push(await transcribeFile(page, path));
      assert.deepEqual(found, expected);
      await page.locator("#lm").uncheck();
      assert.equal(await transcribeFile(page, CLIPS[0].path), greedy[0]);
    });
  });

  test("a model folder with a flipped byte is refused", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await page.route("**/*.safetensors", async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        body[body.length - 5] ^= 1;
        await route.fulfill({ response, body });
      });
      await engineReady(page);
      await page.locator("#samples button").first().click();
      await page.locator("#error:not([hidden])").waitFor({ timeout: MINUTE });
      assert.match(await page.locator("#error").textContent(), /SHA-256/);
    });
  });

  test("the comparison measures every student", { timeout: 10 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await page.locator("#compare-run").click();
      await page.locator("#compare-status", { hasText: "runs each" }).waitFor({ timeout: 8 * MINUTE });
      const rows = page.locator("#compare-rows tr");
      assert.equal(await rows.count(), MODELS.length);
      for (let i = 0; i < MODELS.length; i += 1) {
        const cells = await rows.nth(i).locator("td").allTextContents();
        assert.ok(cells.slice(0, 7).every((text) => /\d/.test(text)), cells.join(" | "));
      }
      assert.equal(await page.locator("#plot-size circle").count(), MODELS.length);
      assert.equal(await page.locator("#plot-latency circle").count(), MODELS.length);
    });
  });
});

describe("with software WebGPU", () => {
  const gpu = { webgpu: true };

  test("a software adapter is passed over unless asked for", { timeout: 5 * MINUTE }, async () => {
    await withPage(gpu, async ({ page, requests }) => {
      assert.match(await engineReady(page), /^Runs on the CPU: .*software/);
      assert.ok(!requests.some((url) => url.includes("webgpu")), "the GPU engine was fetched");
    });
  });

  test("asked for, it transcribes a clip as the native binary does", { timeout: 25 * MINUTE }, async () => {
    await withPage({ ...gpu, query: "?engine=webgpu" }, async ({ page }) => {
      assert.match(await engineReady(page, 15 * MINUTE), /^Runs on the GPU/);
      await choose(page, SMALLEST);
      assert.equal(await transcribeFile(page, SHORTEST.path), heardNatively(SMALLEST, SHORTEST.path));
    });
  });

  test("log-probabilities equal the native ones", { timeout: 25 * MINUTE }, async (t) => {
    await withPage(gpu, async ({ page }) => {
      await engineReady(page);
      const url = `${site.url}samples/${SHORTEST.file}`;
      const { started, values } = await engineLogProbs(page, "engine-webgpu", `models/${SMALLEST.path}`, url);
      // A GPU multiplies int8 weights as the numbers that they stand for.
      const expected = native.logProbs(SMALLEST.folder, SHORTEST.path, "--expand-int8").flat();
      const worst = assertClose(values, expected, 1e-3);
      t.diagnostic(`largest difference ${worst}; self-test ${started.self_test_error} in ${started.start_ms} ms`);
    });
  });
});

describe("the page's looks", { skip: !process.env.FLEDGE_SCREENSHOTS }, () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1440]) {
      test(`${colorScheme} at ${width} px, without sideways scrolling`, { timeout: 10 * MINUTE }, async () => {
        const folder = process.env.FLEDGE_SCREENSHOTS;
        mkdirSync(folder, { recursive: true });
        const context = { colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" };
        await withPage({ context }, async ({ page }) => {
          await engineReady(page);
          await page.screenshot({ path: join(folder, `start-${colorScheme}-${width}.png`), fullPage: true });
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${overflow} px wider than the window`);
          await page.locator("#samples button").first().click();
          await page.locator("#truth:not([hidden])").waitFor({ timeout: MINUTE });
          await page.locator("#compare-run").click();
          await page.locator("#compare-status", { hasText: "runs each" }).waitFor({ timeout: 8 * MINUTE });
          await page.screenshot({ path: join(folder, `results-${colorScheme}-${width}.png`), fullPage: true });
        });
      });
    }
  }
});
