// The built site in a real browser: the same words as the native binary, on either engine, from a
// file and from a microphone, with nobody else asked for anything.
//
// FLEDGE_BIN: the native binary.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";

import {
  engineLogProbs,
  engineReady,
  errorOf,
  idle,
  lane,
  only,
  openSettings,
  state,
  transcribeFile,
  wordsOf,
} from "./browser.mjs";
import { ffmpeg } from "./ffmpeg.mjs";
import * as native from "./native.mjs";
import { DEFAULT, FAMILIES, MINUTE, MODELS, SMALLEST, scratch, test_site, useSite, withPage } from "./site.mjs";
import { readWav, withSilence, writeWav } from "./wav.mjs";

useSite();

/** What the native binary hears where the page is left as it opens: with the language model, if there is one. */
function heardNatively({ folder, lm }, path) {
  return lm ? native.transcribeWith(lm, folder, path) : native.transcribe(folder, path);
}

const WAVS = FAMILIES.flatMap(({ clips }) => clips).filter(({ file }) => file.endsWith(".wav"));
const SYNTHETIC = WAVS[0];
/** What log-probabilities are compared on. */
const SHORTEST = WAVS.reduce((a, b) => (b.bytes < a.bytes ? b : a));
const FEWEST_PARAMETERS = MODELS.reduce((a, b) => (b.parameters < a.parameters ? b : a));

function assertClose(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
  assert.ok(worst <= tolerance, `largest difference ${worst}`);
  return worst;
}

describe("without WebGPU", () => {
  test("says that it runs on the CPU and why, and fetches nothing that was not asked for", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page, requests }) => {
      assert.match(await engineReady(page), /^Runs on the CPU: .*(WebGPU|GPU)/);
      for (const unasked of [/webgpu/, /safetensors$/, /english.*\.bin$/, /README/, /audio-file/, /samples\/.*\.(mp3|ogg|wav)$/]) {
        assert.deepEqual(requests.filter((url) => unasked.test(url)), []);
      }
    });
  });

  for (const { group, students, named } of FAMILIES) {
    test(`each student of “${group}” writes what the native binary writes`, { timeout: 15 * MINUTE }, async () => {
      await withPage({ query: `?family=${encodeURIComponent(group)}` }, async ({ page }) => {
        await engineReady(page);
        for (const clip of named) {
          await transcribeFile(page, clip.path);
          for (const model of students) {
            assert.equal(await wordsOf(page, model.name), heardNatively(model, clip.path), `${model.path}, ${clip.file}`);
          }
        }
        if (!students[0].lm) return;
        await openSettings(page);
        await page.locator("#lm-none").check();
        await idle(page);
        for (const model of students) {
          assert.equal(await wordsOf(page, model.name), native.transcribe(model.folder, named.at(-1).path), model.path);
        }
      });
    });
  }

  test("the teacher is there to compare with, once it is asked for", { timeout: 5 * MINUTE }, async () => {
    const teacher = DEFAULT.models.find(({ role }) => role === "teacher");
    await withPage({}, async ({ page, requests }) => {
      await engineReady(page);
      assert.equal(await lane(page, teacher.name).isVisible(), false);
      await only(page, [teacher.name]);
      await transcribeFile(page, DEFAULT.named[0].path);
      assert.equal(await wordsOf(page, teacher.name), heardNatively(teacher, DEFAULT.named[0].path));
      for (const { path } of DEFAULT.students) assert.ok(!requests.some((url) => url.includes(path)), path);
    });
  });

  test("a 24-bit stereo 48 kHz file gives the native words", { timeout: 5 * MINUTE }, async () => {
    const wav = readWav(SYNTHETIC.path);
    // Three times the rate by repetition: an ugly sound, the same for both.
    const high = Array.from({ length: wav.samples.length * 3 }, (_, i) => wav.samples[Math.floor(i / 3)] * 256);
    const path = scratch("stereo.wav");
    writeWav(path, wav.rate * 3, [high, high.map((value) => value >> 1)], 24);
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await transcribeFile(page, path);
      assert.equal(await wordsOf(page, SMALLEST.name), heardNatively(SMALLEST, path));
    });
  });

  test("files of every kind give the native words", { timeout: 5 * MINUTE }, async () => {
    const kinds = {
      "mp4.m4a": "aac",
      "lossless.m4a": "alac",
      "opus.ogg": "libopus",
      "opus.webm": "libopus",
      "adts.aac": "aac",
      "samples.aiff": "pcm_s16be",
      "samples.caf": "pcm_s16le",
      "vorbis.ogg": "libvorbis",
      "clip.flac": "flac",
    };
    const clip = native.surest(SMALLEST.folder, DEFAULT.named);
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      for (const [name, codec] of Object.entries(kinds)) {
        const path = scratch(name);
        ffmpeg("-i", clip.path, "-c:a", codec, path);
        await transcribeFile(page, path);
        assert.equal(await wordsOf(page, SMALLEST.name), heardNatively(SMALLEST, path), name);
      }
    });
  });

  test("log-probabilities equal the native ones", { timeout: 5 * MINUTE }, async (t) => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      const url = `${test_site.site.url}samples/${SHORTEST.file}`;
      const { values } = await engineLogProbs(page, "engine-cpu", `models/${FEWEST_PARAMETERS.path}`, url);
      const expected = native.logProbs(FEWEST_PARAMETERS.folder, SHORTEST.path).flat();
      const worst = assertClose(values, expected, 1e-3);
      t.diagnostic(`largest difference ${worst}`);
    });
  });

  test("the microphone gives the words of the clip that it plays, and can be used again at once", { timeout: 5 * MINUTE }, async () => {
    // The clip that a student is surest of: live audio is normalised by what was heard so far, and
    // words on the edge may fall to either side.
    const [family] = FAMILIES.filter(({ clips }) => clips.includes(SYNTHETIC));
    const heard = family.students
      .flatMap((model) => family.named.map((clip) => ({ model, ...clip })))
      .filter(({ model, path, text }) => heardNatively(model, path) === text)
      .map((pair) => ({ ...pair, sure: native.confidence(pair.model.folder, pair.path) }))
      .sort((a, b) => b.sure - a.sure)[0];
    assert.ok(heard, "no student hears a sample clip rightly");
    const wav = withSilence(readWav(heard.path), 2, 30);
    const path = scratch("microphone.wav");
    writeWav(path, wav.rate, [wav.samples]);
    await withPage({ microphone: path, query: `?family=${encodeURIComponent(family.group)}` }, async ({ page }) => {
      await engineReady(page);
      // So that the students are there when the sound begins.
      await transcribeFile(page, heard.path);
      await page.locator("#record").click();
      await state(page, "listening");
      assert.equal(await page.locator("#record").getAttribute("aria-pressed"), "true");
      await lane(page, heard.model.name).locator(".finals p").first().waitFor({ timeout: MINUTE });
      assert.match(await lane(page, heard.model.name).locator(".lane-facts").textContent(), /after the last word/);
      await page.locator("#record").click();
      await idle(page);
      assert.equal(await page.locator("#record").getAttribute("aria-pressed"), "false");
      assert.equal(await wordsOf(page, heard.model.name), heard.text);
      assert.equal(await page.locator("#status").textContent(), "Ready.");
      // What was said can be heard again, and every student heard the same.
      assert.ok(await page.locator("#player").isVisible());
      // Started again at once: what was still to be waited for of the first session must not end it.
      await page.locator("#record").click();
      await state(page, "listening");
      await page.waitForTimeout(2_000);
      await state(page, "listening");
      await page.locator("#record").click();
      await idle(page);
    });
  });

  test("a language model gives the words of the native beam search", { timeout: 5 * MINUTE }, async () => {
    const clips = DEFAULT.named.slice(0, 3);
    const lm = scratch("sentences.bin");
    native.languageModel(clips.map(({ text }) => text), lm);
    const greedy = clips.map(({ path }) => native.transcribe(SMALLEST.folder, path));
    const expected = clips.map(({ path }) => native.transcribeWith(lm, SMALLEST.folder, path));
    assert.notDeepEqual(expected, greedy, "the language model changes nothing: nothing is tested");
    const before = async (page) => {
      await page.route("**/models/catalog.json", async (route) => {
        const response = await route.fetch();
        const catalog = await response.json();
        for (const model of catalog.models) model.lm = { url: "lm/sentences.bin" };
        await route.fulfill({ response, json: catalog });
      });
      await page.route("**/models/lm/sentences.bin", (route) => route.fulfill({ path: lm }));
    };
    await withPage({ before }, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      const found = [];
      for (const { path } of clips) {
        await transcribeFile(page, path);
        found.push(await wordsOf(page, SMALLEST.name));
      }
      assert.deepEqual(found, expected);
    });
  });

  test("files that are no audio are refused in words and the page goes on", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      for (const [name, buffer] of [
        ["empty.wav", Buffer.alloc(0)],
        ["text.wav", Buffer.from("this is only text, whatever its name says")],
        ["short.wav", readFileSync(SYNTHETIC.path).subarray(0, 44)],
      ]) {
        await page.locator("#file").setInputFiles({ name, mimeType: "audio/wav", buffer });
        await idle(page);
        assert.match(await errorOf(page), new RegExp(`^${name}: .*\\.$`));
      }
      await transcribeFile(page, DEFAULT.named[0].path);
      assert.equal(await wordsOf(page, SMALLEST.name), heardNatively(SMALLEST, DEFAULT.named[0].path));
    });
  });

  test("a WAV file that was cut short gives the words that are there", { timeout: 5 * MINUTE }, async () => {
    const whole = readFileSync(SYNTHETIC.path);
    const path = scratch("cut.wav");
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * 0.8)));
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await page.locator("#file").setInputFiles(path);
      await idle(page);
      assert.match(await errorOf(page), /^cut\.wav is cut short: \d+\.\d\d of \d+\.\d\d seconds are there\.$/);
      assert.equal(await wordsOf(page, SMALLEST.name), heardNatively(SMALLEST, path));
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
      await only(page, [SMALLEST.name]);
      await transcribeFile(page, SYNTHETIC.path);
      assert.equal(await wordsOf(page, SMALLEST.name), heardNatively(SMALLEST, SYNTHETIC.path));
    });
  });

  test("log-probabilities equal the native ones", { timeout: 25 * MINUTE }, async (t) => {
    await withPage(gpu, async ({ page }) => {
      await engineReady(page);
      const url = `${test_site.site.url}samples/${SHORTEST.file}`;
      const { started, values } = await engineLogProbs(page, "engine-webgpu", `models/${FEWEST_PARAMETERS.path}`, url);
      // A GPU multiplies int8 weights as the numbers that they stand for.
      const expected = native.logProbs(FEWEST_PARAMETERS.folder, SHORTEST.path, "--expand-int8").flat();
      const worst = assertClose(values, expected, 1e-3);
      t.diagnostic(`largest difference ${worst}; self-test ${started.self_test_error} in ${started.start_ms} ms`);
    });
  });
});
