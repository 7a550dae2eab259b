// What another site gets: the module, the dictation field, the Web Speech shim and the examples, as the
// package brings them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { assertClean, launch, openPage } from "./browser.mjs";
import * as native from "./native.mjs";
import { serve } from "./serve.mjs";
import { DEFAULT, FAMILIES, MINUTE, SMALLEST } from "./site.mjs";
import { readWav, withSilence, writeWav } from "./wav.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const [CLIP] = DEFAULT.named;
const SPOKEN = FAMILIES.flatMap(({ clips }) => clips).find(({ file }) => file.includes("seven-two"));
let own;
let folder;
let home;
let elsewhere;
let browser;

before(async () => {
  own = mkdtempSync(join(tmpdir(), "fledge-package-"));
  folder = join(own, "package");
  execFileSync(join(ROOT, "scripts/package.sh"), [folder], { stdio: "ignore" });
  home = await serve(folder, "/fledge/", { headers: { "access-control-allow-origin": "*" } });
  elsewhere = await serve(folder, "/other/");
  const { rate, samples } = withSilence(readWav(SPOKEN.path), 4, 30);
  const microphone = join(own, "speaker.wav");
  writeWav(microphone, rate, [samples]);
  browser = await launch({ microphone });
});
after(async () => {
  await browser.close();
  await home.close();
  await elsewhere.close();
  rmSync(own, { recursive: true });
});

/** A page of the package's own origin, or of another one, in which `use(module address, argument)` runs. */
async function inPage(use, argument, { foreign = false, complaints } = {}) {
  const path = "examples/dictation.html";
  const opened = await openPage(browser, (foreign ? elsewhere : home).url + path);
  try {
    const result = await opened.page.evaluate(use, { module: `${home.url}fledge.js`, clip: clipBytes(), ...argument });
    const origins = new Set(opened.requests.filter((url) => url.startsWith("http")).map((url) => new URL(url).origin));
    for (const origin of origins) assert.ok([home.origin, elsewhere.origin].includes(origin), origin);
    assertClean({ ...opened, requests: [] }, "", complaints);
    return result;
  } finally {
    await opened.context.close();
  }
}

const clipBytes = () => readFileSync(CLIP.path).toString("base64");

describe("the package", () => {
  test("can be packed by npm, with types, sizes and licences", { timeout: MINUTE }, () => {
    const told = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", folder], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    const names = Object.values(told)[0].files?.map(({ path }) => path) ?? told[0].files.map(({ path }) => path);
    for (const name of ["fledge.js", "fledge.d.ts", "README.md", "models/catalog.json", "LICENSE-MIT"]) assert.ok(names.includes(name), name);
    assert.match(readFileSync(join(folder, "README.md"), "utf8"), /english-tiny \| \d+ kB/);
  });

  test("has examples of fewer than sixty lines, which use nothing else", () => {
    for (const name of readdirSync(join(folder, "examples"))) {
      const text = readFileSync(join(folder, "examples", name), "utf8");
      assert.ok(text.split("\n").length < 60, name);
      for (const [, from] of text.matchAll(/(?:from|src=|href=)\s*"([^"$]+)"/g)) {
        assert.match(from, /^\.\.\/fledge[a-z-]*\.js$|^[a-z]+\.(js|css)$/, `${name}: ${from}`);
      }
    }
  });
});

describe("the module", () => {
  for (const foreign of [false, true]) {
    test(`transcribes a file as the native binary does, from ${foreign ? "another" : "its own"} origin`, { timeout: 5 * MINUTE }, async () => {
      const use = async ({ module, clip, model }) => {
        const { load, listModels } = await import(module);
        const bytes = Uint8Array.from(atob(clip), (letter) => letter.charCodeAt(0));
        const progress = [];
        const recognizer = await load(model, { onProgress: ({ phase }) => progress.push(phase) });
        const result = await recognizer.transcribe(new Blob([bytes]));
        await recognizer.dispose();
        return { result, progress, cards: (await listModels()).map(({ id }) => id), card: recognizer.card };
      };
      const { result, progress, cards, card } = await inPage(use, { model: SMALLEST.path }, { foreign });
      assert.equal(result.text, native.transcribeWith(SMALLEST.lm, SMALLEST.folder, CLIP.path));
      assert.equal(result.words.map(({ text }) => text).join(" "), result.text);
      assert.ok(result.isFinal && result.metrics.rtf > 0 && result.metrics.backend === "cpu");
      assert.ok(progress.includes("download") && progress.includes("warmup"), progress.join());
      assert.deepEqual(cards, DEFAULT.models.map(({ path }) => path));
      assert.equal(card.bytes, SMALLEST.bytes);
    });
  }

  test("stops when its signal says so, and keeps the model", { timeout: 5 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load } = await import(module);
      const recognizer = await load(model, { languageModel: false });
      const noise = Float32Array.from({ length: 16_000 * 600 }, (_, i) => Math.sin(i * i * 1e-5) * 0.3);
      const controller = new AbortController();
      const long = recognizer.transcribe(noise, { sampleRate: 16_000, signal: controller.signal, onPartial: () => controller.abort() });
      const code = await long.then(() => "finished", (error) => error.code);
      const early = await recognizer.transcribe(noise, { sampleRate: 16_000, signal: AbortSignal.abort() }).catch((error) => error.code);
      const { text } = await recognizer.transcribe(noise.subarray(0, 16_000), { sampleRate: 16_000 });
      await recognizer.dispose();
      const late = await recognizer.transcribe(noise, { sampleRate: 16_000 }).catch((error) => error.code);
      return { code, early, late, text: typeof text };
    };
    assert.deepEqual(await inPage(use, { model: SMALLEST.path }), { code: "aborted", early: "aborted", late: "aborted", text: "string" });
  });

  test("names what is wrong by a code", { timeout: 5 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load, FledgeError } = await import(module);
      const code = (promise) => promise.then(() => "none", (error) => (error instanceof FledgeError ? error.code : String(error)));
      const recognizer = await load(model, { languageModel: false });
      const codes = [
        await code(load("nobody")),
        await code(load(model, { baseUrl: "/nowhere/" })),
        await code(recognizer.transcribe(new Blob(["no sound"]))),
        await code(recognizer.transcribe(new Float32Array(10))),
        await code(recognizer.transcribe("text")),
      ];
      await recognizer.dispose();
      return codes;
    };
    const codes = await inPage(use, { model: SMALLEST.path }, { complaints: /404/ });
    assert.deepEqual(codes, ["unsupported", "network", "bad-audio", "bad-audio", "bad-audio"]);
  });

  test("ends each segment with one final, also at its stop, and says nothing after an abort", { timeout: 5 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load } = await import(module);
      const recognizer = await load(model, { languageModel: false });
      const record = (session) => {
        const events = [];
        for (const type of ["state", "partial", "final", "error"]) {
          session.addEventListener(type, ({ detail }) => events.push([type, detail.id ?? detail.message ?? detail, detail.text]));
        }
        return events;
      };
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      // Two sessions with one microphone, of which one is stopped in the middle of speech.
      const [first, second] = [recognizer.live(), recognizer.live()];
      const [told, toldSecond] = [record(first), record(second)];
      await Promise.all([first.start(), second.start()]);
      while (!told.some(([type]) => type === "partial")) await wait(20);
      await first.stop();
      const atStop = told.length;
      second.abort();
      const atAbort = toldSecond.length;
      await wait(2_000);
      const again = await second.start().catch((error) => error.code);
      await recognizer.dispose();
      return { told, atStop, atAbort, toldSecond, again };
    };
    const { told, atStop, toldSecond, atAbort, again } = await inPage(use, { model: SMALLEST.path });
    const open = new Set();
    const closed = new Set();
    for (const [type, id] of told) {
      if (type === "partial") {
        assert.ok(!closed.has(id), "a partial after the final");
        open.add(id);
      }
      if (type === "final") {
        assert.ok(!closed.has(id), "a second final");
        closed.add(id);
      }
    }
    assert.ok(open.size > 0);
    for (const id of open) assert.ok(closed.has(id), `segment ${id} has no final`);
    assert.equal(told.length, atStop);
    assert.deepEqual(told.at(-1).slice(0, 2), ["state", "stopped"]);
    assert.equal(toldSecond.length, atAbort);
    assert.equal(again, "unsupported");
  });

  test("can be loaded and disposed of again and again", { timeout: 10 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load } = await import(module);
      const memory = async () => (await performance.measureUserAgentSpecificMemory?.())?.bytes ?? performance.memory.usedJSHeapSize;
      const cycle = async () => {
        const recognizer = await load(model, { languageModel: false });
        await recognizer.transcribe(new Float32Array(8_000), { sampleRate: 16_000 });
        await recognizer.dispose();
      };
      for (let i = 0; i < 10; i += 1) await cycle();
      const before = await memory();
      for (let i = 0; i < 100; i += 1) await cycle();
      return { before, after: await memory() };
    };
    const { before, after } = await inPage(use, { model: SMALLEST.path });
    assert.ok(after < before + 8e6, `${before} bytes became ${after}`);
  });
});

describe("the dictation field", () => {
  test("writes what is said where the cursor is, and tells the form", { timeout: 5 * MINUTE }, async () => {
    const { page, context } = await openPage(browser, `${home.url}examples/dictation.html`);
    try {
      const field = page.getByRole("textbox", { name: "Your note" });
      await field.fill("begin end");
      await field.evaluate((one) => one.setSelectionRange(5, 5));
      // Left with other words than it was entered with, a field tells of it: not when the button is pressed.
      await field.blur();
      await page.evaluate(() => {
        globalThis.events = [];
        for (const type of ["input", "change"]) document.querySelector("form").addEventListener(type, () => events.push(type));
      });
      const button = page.getByRole("button", { name: "Dictate into Your note" });
      await button.click();
      await page.waitForFunction(() => document.querySelector("#note").value !== "begin end", undefined, { timeout: 2 * MINUTE });
      await page.getByRole("button", { name: "Stop dictating" }).click();
      await button.waitFor();
      assert.match(await field.inputValue(), /^begin \S.* end$/);
      assert.ok((await page.evaluate(() => events)).join().startsWith("input,change"));
    } finally {
      await context.close();
    }
  });
});

describe("the Web Speech shim", () => {
  test("runs a script that was written for the browser's recognition", { timeout: 5 * MINUTE }, async () => {
    const { page, context } = await openPage(browser, `${home.url}examples/commands.html`);
    try {
      await page.evaluate(() => {
        globalThis.told = [];
        const { start } = SpeechRecognition.prototype;
        SpeechRecognition.prototype.start = function () {
          for (const type of ["start", "audiostart", "speechstart", "result", "speechend", "audioend", "end", "error"]) this.addEventListener(type, () => told.push(type));
          globalThis.running = this;
          return start.call(this);
        };
      });
      await page.getByRole("button", { name: "Listen" }).click();
      await page.locator("#status", { hasText: /Heard “.+”/ }).waitFor({ timeout: 2 * MINUTE });
      assert.equal(await page.evaluate(() => { try { running.start(); } catch (error) { return error.name; } }), "InvalidStateError");
      await page.evaluate(() => running.stop());
      await page.waitForFunction(() => told.at(-1) === "end");
      const told = await page.evaluate(() => told);
      const order = ["start", "audiostart", "speechstart", "result", "audioend", "end"].map((type) => told.indexOf(type));
      assert.ok(order.every((at, i) => at >= 0 && (i === 0 || at > order[i - 1])), told.join());
    } finally {
      await context.close();
    }
  });
});
