// What another site gets: the module, the dictation field, the Web Speech shim and the examples, as the
// package brings them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { assertClean, launch, openPage } from "./browser.mjs";
import { ffmpeg } from "./ffmpeg.mjs";
import * as native from "./native.mjs";
import { serve } from "./serve.mjs";
import { DEFAULT, FAMILIES, MINUTE, SMALLEST } from "./site.mjs";
import { readWav, withSilence, writeWav } from "./wav.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const [CLIP] = DEFAULT.named;
const SPOKEN = FAMILIES.flatMap(({ clips }) => clips).find(({ file }) => file.includes("seven-two"));
/** A person who says "right". */
const RIGHT = join(ROOT, "tests/fixtures/right.wav");
let rightMicrophone;
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
  const right = readWav(RIGHT);
  rightMicrophone = join(own, "right.wav");
  writeWav(rightMicrophone, right.rate, [withSilence(right, 4, 30).samples]);
});
after(async () => {
  await browser.close();
  await home.close();
  await elsewhere.close();
  rmSync(own, { recursive: true });
});

/** A page of the package's own origin, or of another one, in which `use(module address, argument)` runs. */
async function inPage(use, argument, { foreign = false, complaints, inBrowser = browser } = {}) {
  const path = "examples/dictation.html";
  const opened = await openPage(inBrowser, (foreign ? elsewhere : home).url + path);
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

/** The same phrases as the native binary's, times and scores as far as two builds agree. */
function sameHeard(heard, expected) {
  const rounded = (value) => Math.round(value * 100) / 100;
  const shown = ({ settled, tags = [], start, end, score, ...same }) => ({ ...same, tags, start: rounded(start), end: rounded(end), score: rounded(score) });
  assert.deepEqual(heard.map(shown), expected.map(shown));
}

const clipBytes = () => readFileSync(CLIP.path).toString("base64");

describe("the package", () => {
  test("can be packed by npm, with types, sizes and licences", { timeout: MINUTE }, () => {
    const told = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", folder], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    const names = Object.values(told)[0].files?.map(({ path }) => path) ?? told[0].files.map(({ path }) => path);
    for (const name of ["fledge.js", "fledge.d.ts", "README.md", "models/catalog.json", "LICENSE-MIT"]) assert.ok(names.includes(name), name);
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    for (const row of [/english-tiny \| \d+ kB/, /language model, shared \| \d+ kB/, /the large one, .* \| \d+ kB/]) assert.match(readme, row);
  });

  test("has examples of fewer than sixty lines, which use nothing else", () => {
    const names = readdirSync(join(folder, "examples"), { recursive: true }).filter((name) => /\.\w+$/.test(name));
    assert.ok(names.includes(join("commands", "index.html")), names.join());
    for (const name of names) {
      const text = readFileSync(join(folder, "examples", name), "utf8");
      assert.ok(text.split("\n").length < 60, name);
      for (const [, from] of text.matchAll(/(?:from|src=|href=)\s*"([^"$]+)"/g)) {
        assert.match(from, /^(\.\.\/)+fledge[a-z-]*\.js$|^(\.\.\/)?[a-z-]+\.(js|css)$/, `${name}: ${from}`);
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

  test("writes with the large language model on request, and refuses one that is not there", { timeout: 5 * MINUTE }, async () => {
    const { folder: model, lm, largeLm, path } = SMALLEST;
    const words = (lm, clip) => native.transcribeWith(lm, model, clip.path);
    const apart = DEFAULT.clips.find((clip) => words(largeLm, clip) !== words(lm, clip));
    const use = async ({ module, clip, path }) => {
      const { load } = await import(module);
      const refused = (languageModel) => load(path, { languageModel }).catch(({ code, message }) => ({ code, message }));
      const recognizer = await load(path, { languageModel: "large" });
      const { text } = await recognizer.transcribe(new Blob([Uint8Array.from(atob(clip), (letter) => letter.charCodeAt(0))]));
      await recognizer.dispose();
      const unknown = await refused("huge");
      const { models } = await (await fetch(new URL("models/catalog.json", module))).json();
      globalThis.fetch = async () => Response.json({ models: models.map((model) => ({ ...model, large_lm: null })) });
      return { text, bytes: recognizer.card.largeLanguageModelBytes, unknown, missing: await refused("large") };
    };
    const { text, bytes, unknown, missing } = await inPage(use, { path, clip: readFileSync(apart.path).toString("base64") });
    assert.equal(text, words(largeLm, apart));
    assert.equal(bytes, statSync(largeLm).size);
    assert.deepEqual([unknown.code, missing.code], ["unsupported", "unsupported"]);
    assert.match(unknown.message, /languageModel is "huge"/);
    assert.match(missing.message, new RegExp(`no large language model for ${SMALLEST.path}`));
  });

  test("reads files that the browser knows by its own decoders, and refuses in words what they do not", { timeout: 5 * MINUTE }, async () => {
    const path = join(own, "clip.m4a");
    ffmpeg("-i", CLIP.path, "-c:a", "aac", "-b:a", "128k", path);
    const use = async ({ module, model, m4a }) => {
      const { load } = await import(module);
      let decoded_whole = false;
      for (const kind of [AudioContext, OfflineAudioContext]) kind.prototype.decodeAudioData = async () => ((decoded_whole = true), new AudioBuffer({ length: 16_000, sampleRate: 16_000 }));
      const recognizer = await load(model, { languageModel: false });
      const { text } = await recognizer.transcribe(new Blob([Uint8Array.from(atob(m4a), (letter) => letter.charCodeAt(0))]));
      const refused = await recognizer.transcribe(new Blob(["no sound"])).catch(({ code, message }) => ({ code, message }));
      await recognizer.dispose();
      return { text, refused, decoded_whole };
    };
    const { text, refused, decoded_whole } = await inPage(use, { model: SMALLEST.path, m4a: readFileSync(path).toString("base64") });
    assert.equal(text, native.transcribe(SMALLEST.folder, path));
    assert.equal(refused.code, "bad-audio");
    assert.match(refused.message, /is not audio that can be read/);
    assert.equal(decoded_whole, false);
  });

  test("hears a long file block by block, each word in one segment, and gives way at once", { timeout: 10 * MINUTE }, async () => {
    // A person, eleven minutes of nothing, and twice more: longer than what is heard with one level.
    const clip = join(own, "clip.wav");
    const said = native.surest(SMALLEST.folder, DEFAULT.named);
    ffmpeg("-i", said.path, "-ar", "16000", "-ac", "1", clip);
    const { rate, samples } = readWav(clip);
    const later = [0, 11 * 60, 14 * 60].map((secs) => secs * rate);
    const sound = new Int16Array(later.at(-1) + samples.length);
    for (const at of later) sound.set(samples, at);
    const path = join(folder, "long.wav");
    writeWav(path, rate, [sound]);
    const use = async ({ module, model, file, clip }) => {
      const { load } = await import(module);
      const sent = [];
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (message, ...more) {
        const { Transcribe, Piece } = message.body ?? {};
        if (Transcribe || Piece) sent.push(message.payload.byteLength);
        if (message.body?.Cancel) cancelled += 1;
        return postMessage.call(this, message, ...more);
      };
      let cancelled = 0;
      const long = await (await fetch(file)).blob();
      const short = new Blob([Uint8Array.from(atob(clip), (letter) => letter.charCodeAt(0))]);
      const recognizer = await load(model, { languageModel: false });
      const [segments, progress] = [[], []];
      const whole = await recognizer.transcribe(long, { onSegment: (one) => segments.push(one), onProgress: (one) => progress.push(one) });
      const blocks = sent.splice(0);
      const reason = (promise) => promise.then(() => "finished", ({ code }) => code);
      // Given up at its first words, while the rest is on its way.
      const controller = new AbortController();
      let late = 0;
      const stopped = reason(recognizer.transcribe(long, { signal: controller.signal, onSegment: () => (controller.signal.aborted ? (late += 1) : controller.abort()) }));
      const code = await stopped;
      const early = new AbortController();
      const opening = reason(recognizer.transcribe(long, { signal: early.signal }));
      early.abort();
      const answers = { whole, segments, progress, blocks, code, opening: await opening, cancelled };
      // Three at once, of two recognizers.
      const other = await load(model, { languageModel: false, onProgress() {} });
      const texts = await Promise.all([recognizer.transcribe(short), recognizer.transcribe(long), other.transcribe(short)].map(async (one) => (await one).text));
      const samples = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(await long.arrayBuffer());
      const fromMemory = (await recognizer.transcribe(samples)).text;
      const rejected = await reason(recognizer.transcribe(new Blob(["no sound"])));
      await Promise.all([recognizer.dispose(), other.dispose()]);
      return { ...answers, texts, fromMemory, rejected, late };
    };
    const told = await inPage(use, { model: SMALLEST.path, file: `${home.url}long.wav` });
    const expected = native.transcribe(SMALLEST.folder, path);
    assert.equal(told.whole.text, expected);
    assert.ok(told.segments.length > 2, String(told.segments.length));
    assert.equal(new Set(told.segments.map(({ id }) => id)).size, told.segments.length);
    assert.ok(told.segments.every(({ isFinal, text, words }) => isFinal && text === words.map((word) => word.text).join(" ")));
    assert.deepEqual(told.segments.flatMap(({ words }) => words), told.whole.words);
    const seconds = told.progress.map(({ done }) => done);
    assert.deepEqual(seconds, seconds.toSorted((a, b) => a - b));
    assert.ok(told.progress.every(({ total }) => Math.abs(total - sound.length / rate) < 1), JSON.stringify(told.progress[0]));
    // Never more than half a minute at once, and all of it once.
    assert.ok(Math.max(...told.blocks) <= 4 * 31 * 16_000, String(Math.max(...told.blocks)));
    assert.equal(told.blocks.reduce((sum, bytes) => sum + bytes, 0), 4 * sound.length);
    assert.deepEqual([told.code, told.opening, told.late, told.rejected], ["aborted", "aborted", 0, "bad-audio"]);
    assert.equal(told.cancelled, 1);
    const short = native.transcribe(SMALLEST.folder, CLIP.path);
    assert.deepEqual(told.texts, [short, expected, short]);
    assert.equal(told.fromMemory, expected);
  });

  test("stops when its signal says so, and keeps the model", { timeout: 5 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load } = await import(module);
      const recognizer = await load(model, { languageModel: false });
      const noise = Float32Array.from({ length: 16_000 * 600 }, (_, i) => Math.sin(i * i * 1e-5) * 0.3);
      const controller = new AbortController();
      const long = recognizer.transcribe(noise, { sampleRate: 16_000, signal: controller.signal, onProgress: () => controller.abort() });
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

  test("hears phrases as the native binary does, or none of them, and names a mistake by line and column", { timeout: 5 * MINUTE }, async () => {
    const list = ["[go] (up|down|left|right) [<digit:steps>]", "stop"];
    const boost = CLIP.text.split(" ").map((phrase) => ({ phrase, weight: 8 }));
    const use = async ({ module, clip: bytes, right, model, list, boost }) => {
      const { load, FledgeError } = await import(module);
      const recognizer = await load(model);
      const [clip, read] = [right, bytes].map((text) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));
      const mistake = (options) =>
        recognizer.transcribe(clip, options).then(
          () => "none",
          (error) => (error instanceof FledgeError ? [error.code, error.line, error.column, error.message] : String(error)),
        );
      const answers = {
        heard: await recognizer.transcribe(clip, { phrases: list }),
        text: await recognizer.transcribe(clip, { phrases: list.join("\n") }),
        none: await recognizer.transcribe(clip, { phrases: "stop the music" }),
        words: await recognizer.transcribe(clip),
        digits: await mistake({ phrases: ["stop", "set 5 minutes"] }),
        bracket: await mistake({ phrases: "turn (on|off" }),
        empty: await mistake({ phrases: [] }),
        threshold: await mistake({ phrases: list, threshold: 3 }),
        type: await mistake({ phrases: 7 }),
        checked: await recognizer.checkPhrases(["stop", "stops"]),
        plain: await recognizer.transcribe(read),
        boosted: await recognizer.transcribe(read, { boost }),
        both: await mistake({ phrases: list, boost: ["write"] }),
        unwritable: await mistake({ boost: ["write", "5"] }),
      };
      await recognizer.dispose();
      return answers;
    };
    const right = readFileSync(RIGHT).toString("base64");
    const { heard, text, none, words, ...told } = await inPage(use, { model: SMALLEST.path, right, list, boost });
    const file = join(own, "phrases.txt");
    writeFileSync(file, list.join("\n"));
    const expected = native.phrases(SMALLEST.folder, RIGHT, "--phrases", file);
    assert.equal(expected.length, 1);
    sameHeard(heard.phrases, expected);
    assert.deepEqual(heard.words.map(({ text }) => text), ["right"]);
    sameHeard(text.phrases, expected);
    assert.deepEqual([none.text, none.phrases, words.phrases], ["", [], undefined]);
    assert.deepEqual(told.digits.slice(0, 3), ["bad-grammar", 2, 5]);
    assert.match(told.digits[3], /^line 2, column 5: .*five/);
    assert.deepEqual(told.bracket.slice(0, 2), ["bad-grammar", 1]);
    assert.deepEqual(told.empty.slice(0, 3), ["bad-grammar", undefined, undefined]);
    assert.deepEqual([told.threshold[0], told.type[0]], ["bad-grammar", "bad-grammar"]);
    assert.deepEqual([told.both[0], told.unwritable[0]], ["bad-grammar", "bad-grammar"]);
    assert.match(told.unwritable[3], /line 2: .*five/);
    writeFileSync(file, boost.map((one) => `${one.phrase} :${one.weight}\n`).join(""));
    assert.equal(told.boosted.text, native.transcribeWith(SMALLEST.lm, SMALLEST.folder, CLIP.path, "--boost", file));
    assert.notEqual(told.boosted.text, told.plain.text);
    assert.equal(told.checked.phrases, 2);
    assert.match(told.checked.warnings[0].message, /sounds much like/);
  });

  test("tells of a live phrase once, before the final that has it", { timeout: 5 * MINUTE }, async () => {
    const use = async ({ module, model }) => {
      const { load } = await import(module);
      const recognizer = await load(model, { languageModel: false });
      const session = recognizer.live({ phrases: ["left", "right"] });
      const told = [];
      for (const type of ["phrase", "final"]) session.addEventListener(type, ({ detail }) => told.push([type, detail.text, detail.settled ?? detail.phrases.length]));
      await session.start();
      while (!told.some(([type]) => type === "final")) await new Promise((resolve) => setTimeout(resolve, 20));
      await session.stop();
      const wrong = recognizer.live({ phrases: "turn (on" });
      let asked = false;
      navigator.mediaDevices.getUserMedia = () => (asked = true);
      const mistake = await wrong.start().catch(({ code, line }) => [code, line]);
      await recognizer.dispose();
      return { told, mistake, asked };
    };
    const speaker = await launch({ microphone: rightMicrophone });
    try {
      const { told, mistake, asked } = await inPage(use, { model: SMALLEST.path }, { inBrowser: speaker });
      const heard = told.filter(([, text]) => text);
      assert.deepEqual(heard, [["phrase", "right", true], ["final", "right", 1]]);
      assert.deepEqual([mistake, asked], [["bad-grammar", 1], false]);
    } finally {
      await speaker.close();
    }
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
    const { page, context } = await openPage(browser, `${home.url}examples/web-speech.html`);
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

describe("the Web Speech shim", () => {
  test("hears nothing but the phrases of a grammar", { timeout: 5 * MINUTE }, async () => {
    const speaker = await launch({ microphone: rightMicrophone });
    try {
      const { page } = await openPage(speaker, `${home.url}examples/web-speech.html`);
      const told = await page.evaluate(async () => {
        const run = async (grammar) => {
          const recognition = new SpeechRecognition();
          recognition.continuous = true;
          recognition.grammars = new SpeechGrammarList();
          recognition.grammars.addFromString(grammar, 1);
          const event = await new Promise((resolve) => {
            for (const type of ["result", "nomatch", "error"]) recognition.addEventListener(type, resolve);
            recognition.start();
          });
          recognition.abort();
          return [event.type, event.results?.[0][0].transcript ?? event.error];
        };
        const ways = "#JSGF V1.0; grammar ways; public <way> = (left | right);";
        return [await run(ways), await run(ways.replace("right", "stop the music")), await run("#JSGF V1.0; grammar ways; public <way> = (left")];
      });
      assert.deepEqual(told, [["result", "right"], ["nomatch", undefined], ["error", "bad-grammar"]]);
    } finally {
      await speaker.close();
    }
  });
});

describe("the drawing that obeys", () => {
  test("does what is said and what is pressed", { timeout: 5 * MINUTE }, async () => {
    const speaker = await launch({ microphone: rightMicrophone });
    try {
      const { page } = await openPage(speaker, `${home.url}examples/commands/index.html`);
      const points = () => page.locator("polyline").getAttribute("points");
      await page.locator("#status", { hasText: /^Ready$/ }).waitFor();
      await page.getByRole("button", { name: "Down" }).focus();
      await page.keyboard.press("Enter");
      assert.equal(await points(), "50,30 50,35");
      const listen = page.getByRole("button", { name: "Listen" });
      await listen.click();
      await page.locator("#status", { hasText: "right 1" }).waitFor({ timeout: MINUTE });
      assert.equal(await points(), "50,30 50,35 55,35");
      await listen.click();
      await page.locator('#listen[aria-pressed="false"]').waitFor();
    } finally {
      await speaker.close();
    }
  });
});

describe("subtitles for a recording", () => {
  test("are made while the file is heard, shown and offered", { timeout: 5 * MINUTE }, async () => {
    const { page, context } = await openPage(browser, `${home.url}examples/subtitles.html`);
    try {
      await page.evaluate(() => {
        globalThis.told = [];
        const status = document.querySelector("#status");
        new MutationObserver(() => told.push(status.textContent)).observe(status, { childList: true });
      });
      await page.getByLabel("File").setInputFiles(CLIP.path);
      await page.locator("#status", { hasText: /^\d+ subtitles?\.$/ }).waitFor({ timeout: 3 * MINUTE });
      assert.ok((await page.evaluate(() => told)).some((text) => /^Heard 00:00:0\d\.\d+ of 00:00:0\d/.test(text)));
      const text = await page.locator("#save").evaluate(async (link) => (await fetch(link.href)).text());
      const { medium = SMALLEST } = Object.fromEntries(DEFAULT.students.map((student) => [student.name, student]));
      const words = native.transcribeWith(medium.lm, medium.folder, CLIP.path);
      assert.match(text, /^WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\n/);
      assert.equal(text.split("\n").filter((line) => line && !/-->|WEBVTT/.test(line)).join(" "), words);
      assert.ok(await page.locator("#video track").count());
      await page.locator("#file").evaluate((input) => {
        const files = new DataTransfer();
        files.items.add(new File(["no sound"], "no.mp3"));
        input.files = files.files;
        input.dispatchEvent(new Event("change"));
      });
      await page.locator("#status", { hasText: /^No subtitles: / }).waitFor({ timeout: MINUTE });
    } finally {
      await context.close();
    }
  });
});
