// The visitor's own words: engines hear phrases as the native binary does, and the page has a box for them.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { engineReady, errorOf, idle, lane, only, state, teachWorkers, transcribeFile, wordsOf } from "./browser.mjs";
import * as native from "./native.mjs";
import { DEFAULT, FAMILIES, MINUTE, MODELS, SMALLEST, scratch, useSite, withPage } from "./site.mjs";
import { readWav, withSilence, writeWav } from "./wav.mjs";

useSite();

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const HOME = join(ROOT, "recipes/phrases/home.jsgf");
/** A person who says "right". */
const RIGHT = join(ROOT, "tests/fixtures/right.wav");
const MODEL = MODELS.find(({ path }) => path === "quick-medium");
const CLIPS = FAMILIES.flatMap(({ clips }) => clips).filter(({ file }) => file.endsWith(".wav"));
const WAYS = "[go] (up|down|left|right) [<digit:steps>]\nstop";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** What axe finds, with the place of each. */
async function violations(page) {
  await page.evaluate(readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}

const rounded = (value) => Math.round(value * 100) / 100;

/** Of the wire and of the native binary in one form; times and scores as far as two builds agree. */
function common({ phrase, text, slots, tags = [], start, start_secs = start, end, end_secs = end, score }) {
  const named = Array.isArray(slots) ? Object.fromEntries(slots.map(([name, { Number, Text }]) => [name, Number ?? Text])) : slots;
  return { phrase, text, slots: named, tags, start: rounded(start_secs), end: rounded(end_secs), score: rounded(score) };
}

/** Opens the page and asks its CPU engine, with a model loaded: `use({ ask, tell, heard }, argument)`. */
async function withEngine(use, argument) {
  let result;
  await withPage({}, async ({ page }) => {
    await teachWorkers(page);
    await page.evaluate(async (model) => {
      globalThis.engine = await openWorker("engine-cpu");
      await engine.ask({ Load: { model_url: new URL(`models/${model}`, document.baseURI).href } });
    }, MODEL.path);
    result = await page.evaluate(use, argument);
  });
  return result;
}

const floats = (path) => {
  const { rate, samples } = readWav(path);
  return { rate, samples: Array.from(samples, (value) => value / 32_768) };
};

describe("an engine", () => {
  test("hears in every clip the phrases that the native binary hears, with slots and tags", { timeout: 10 * MINUTE }, async () => {
    const list = readFileSync(HOME, "utf8");
    for (const spot of [false, true]) {
      const use = ({ clips, list, spot }) =>
        Promise.all(
          clips.map(async ({ rate, samples }) => {
            const phrases = { list, inside_speech: spot };
            const { body } = await engine.ask({ Transcribe: { sample_rate_hz: rate, phrases } }, new Float32Array(samples).buffer);
            return body.Transcribed.transcript;
          }),
        );
      const found = await withEngine(use, { clips: CLIPS.map(({ path }) => floats(path)), list, spot });
      let slots = 0;
      found.forEach(({ text, phrases }, i) => {
        const expected = native.phrases(MODEL.folder, CLIPS[i].path, "--phrases", HOME, ...(spot ? ["--spot"] : []));
        assert.deepEqual(phrases.map(common), expected.map(common), CLIPS[i].file);
        assert.equal(text, expected.map(({ text }) => text).join(" "));
        slots += phrases.flatMap(({ slots }) => slots).length;
      });
      assert.ok(slots > 0, "no slot was filled");
      assert.ok(found.some(({ phrases }) => phrases.length === 0), "everything was a phrase");
    }
  });

  test("hears live what is in the file, and settles it soon", { timeout: 5 * MINUTE }, async () => {
    const clip = CLIPS.find(({ file }) => file.includes("timer"));
    const wav = readWav(clip.path);
    const path = scratch("live.wav");
    writeWav(path, wav.rate, [withSilence(wav, 1, 2).samples]);
    const use = async ({ rate, samples, list }) => {
      await engine.ask({ LiveStart: { sample_rate_hz: rate, phrases: { list } } });
      // The request before was the second one; its id names the session.
      const session = 2;
      for (let at = 0; at < samples.length; at += rate / 10) {
        engine.tell({ LivePush: { of: session } }, new Float32Array(samples.slice(at, at + rate / 10)).buffer);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await engine.ask({ LiveStop: { of: session } });
      return engine.heard;
    };
    const heard = await withEngine(use, { ...floats(path), list: readFileSync(HOME, "utf8") });
    const finals = heard.filter(({ is_final }) => is_final).flatMap(({ transcript }) => transcript.phrases);
    const [expected] = native.phrases(MODEL.folder, path, "--phrases", HOME);
    assert.equal(expected.slots.minutes, 5);
    assert.deepEqual(finals.map(common).map(({ text, slots }) => ({ text, slots })), [{ text: expected.text, slots: expected.slots }]);
    const settled = heard.find(({ is_final, transcript }) => !is_final && transcript.phrases.some(({ is_settled }) => is_settled));
    assert.ok(settled, "no partial result had it settled");
  });

  test("tells what is wrong with a list, and where", { timeout: 5 * MINUTE }, async () => {
    const use = async () => {
      const failure = ({ kind, message, at }) => ({ kind, message, at });
      const lists = ["stop\nset 5 minutes", "turn (on", "stop\nna\u00efve \u00df", " \n# nothing\n"];
      const told = [];
      for (const list of lists) told.push(await engine.ask({ CheckPhrases: { list } }).catch(failure));
      const checked = await engine.ask({ CheckPhrases: { list: "stop\nstop the music" } });
      return { told, checked: checked.body };
    };
    const { told, checked } = await withEngine(use);
    assert.deepEqual(told.map(({ kind }) => kind), Array(4).fill("Phrases"));
    assert.deepEqual(told.map(({ at }) => at && [at.line, at.column]), [[2, 5], [1, 6], [2, 1], undefined]);
    assert.match(told[0].message, /write "five"/);
    assert.deepEqual(checked, { PhrasesChecked: { phrases: 2, warnings: [], with_student: true } });
  });
});

/** Opens the box and types a list. */
async function typeList(page, list) {
  await page.locator("#phrases").evaluate((details) => (details.open = true));
  await page.locator("#phrases-text").fill(list);
}

const stateOf = (page) => page.locator("#phrases-state");
const listOf = (page) => page.locator("#phrases-text");

describe("the box of phrases", () => {
  test("is folded away, and what is typed there is heard at once, with slots and score, or none of it", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page, requests }) => {
      await engineReady(page);
      assert.equal(await page.locator("#phrases").evaluate((details) => details.open), false);
      await only(page, [SMALLEST.name]);
      await typeList(page, WAYS);
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await page.locator("#own-prompt").isVisible(), true);
      await transcribeFile(page, RIGHT);
      const phrase = lane(page, SMALLEST.name).locator(".phrase");
      assert.match(await phrase.textContent(), /^right score \d+ %$/);
      assert.equal(await lane(page, SMALLEST.name).locator(".verdict").textContent(), "1 phrase");
      // Phrases need no language model.
      assert.deepEqual(requests.filter((url) => url.endsWith("english.bin")), []);
      // A new list is heard at once, in what was given last.
      await typeList(page, "left\nturn <way:way>\n<way> = right | left");
      await lane(page, SMALLEST.name).locator(".verdict", { hasText: "none of these" }).waitFor();
      // What was heard in place of it, and how far the nearest phrase was.
      const none = lane(page, SMALLEST.name).locator(".none");
      assert.match(await none.textContent(), /^none of these: “.+” (no phrase is near|nearest: “.+”, score \d+ % of the 35 % needed)$/);
      assert.equal(await lane(page, SMALLEST.name).locator(".placeholder").isVisible(), false);
      await page.locator("#phrases-threshold").fill("1");
      await typeList(page, "right");
      await none.filter({ hasText: /nearest: “right”, score \d\d % of the 100 % needed$/ }).waitFor();
      await page.locator("#phrases-threshold").fill("");
      await typeList(page, "[turn] <way:way>\n<way> = right | left");
      await lane(page, SMALLEST.name).locator(".slot", { hasText: "way: right" }).waitFor();
      // Words can still be heard one by one.
      await lane(page, SMALLEST.name).locator(".word").first().click();
      assert.match(await page.locator("#word-info").textContent(), /^“right” of/);
      await page.locator("#phrases-clear").click();
      await idle(page);
      await page.locator("#own-prompt").waitFor({ state: "hidden" });
      await lane(page, SMALLEST.name).locator(".verdict", { hasText: /^$/ }).waitFor({ state: "attached" });
      assert.equal(await wordsOf(page, SMALLEST.name), native.transcribeWith(SMALLEST.lm, SMALLEST.folder, RIGHT));
    });
  });

  test("says where a list is wrong, and goes there by the keyboard", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await page.locator("#phrases summary").focus();
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      await page.keyboard.type("stop\nset 5 minutes");
      await page.locator("#phrases-error", { hasText: /^Line 2, column 5: .*five/ }).waitFor();
      assert.equal(await listOf(page).getAttribute("aria-invalid"), "true");
      assert.match(await listOf(page).getAttribute("aria-describedby"), /phrases-error/);
      assert.equal(await page.locator("#phrases-error").getAttribute("role"), "alert");
      assert.equal(await stateOf(page).textContent(), "cannot be used yet");
      assert.deepEqual(await violations(page), []);
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "phrases-go");
      await page.keyboard.press("Enter");
      const chosen = await listOf(page).evaluate((one) => one.value.slice(one.selectionStart, one.selectionEnd));
      assert.equal(chosen, "5");
      await page.keyboard.type("five");
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await page.locator("#phrases-error").isVisible(), false);
      assert.equal(await listOf(page).getAttribute("aria-invalid"), "false");
      await typeList(page, "stop\nstops");
      await page.locator("#phrases-note", { hasText: /Line 2, column 1: "stops" sounds much like "stop"/ }).waitFor();
    });
  });

  test("takes a file that is opened or dropped, and refuses what is no text", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await page.locator("#phrases-file").setInputFiles(HOME);
      await stateOf(page).filter({ hasText: /\d+ phrases/ }).waitFor();
      assert.equal(await listOf(page).inputValue(), readFileSync(HOME, "utf8"));
      const drop = (name, type, text) =>
        page.evaluate(
          ([name, type, text]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], name, { type }));
            document.querySelector("#phrases-text").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
          },
          [name, type, text],
        );
      await drop("ways.txt", "text/plain", WAYS);
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await listOf(page).inputValue(), WAYS);
      await drop("sound.bin", "", "a\0b");
      await page.locator("#phrases-error", { hasText: "no text" }).waitFor();
      assert.equal(await listOf(page).inputValue(), WAYS);
      assert.equal(await errorOf(page), "");
    });
  });

  test("keeps its list in this browser, and shares it by a link", { timeout: 5 * MINUTE }, async () => {
    const context = { permissions: ["microphone", "clipboard-read", "clipboard-write"] };
    await withPage({ context }, async ({ page }) => {
      await engineReady(page);
      await typeList(page, WAYS);
      await page.locator("#phrases-inside").check();
      await page.locator("#phrases-threshold").fill("0.4");
      await page.locator("#phrases-threshold").blur();
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      await page.reload();
      await engineReady(page);
      assert.equal(await listOf(page).inputValue(), WAYS);
      assert.equal(await page.locator("#phrases-threshold").inputValue(), "0.4");
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      await page.locator("#phrases summary").click();
      await page.locator("#phrases-link").click();
      await page.locator("#phrases-note", { hasText: "Copied." }).waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(link, page.url());
      assert.match(link, /#phrases=/);
      // Changed, the link no longer holds what is in the box.
      await typeList(page, "stop");
      await page.waitForFunction(() => location.hash === "");
      await typeList(page, "stop\n".repeat(2_000));
      await page.waitForTimeout(600);
      await page.locator("#phrases-link").click();
      await page.locator("#phrases-note", { hasText: "too long for a link" }).waitFor();
      await page.locator("#phrases-clear").click();
      assert.equal(await page.evaluate(() => localStorage.getItem("fledge-phrases")), null);
      // Somebody else opens the link.
      const other = await page.context().newPage();
      await other.goto(link);
      await stateOf(other).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await listOf(other).inputValue(), WAYS);
      assert.ok(await other.locator("#phrases-inside").isChecked());
      assert.ok(await other.locator("#phrases").evaluate((details) => details.open));
      await other.close();
    });
  });

  test("is heard by the microphone, too, each utterance a phrase or none of these", { timeout: 5 * MINUTE }, async () => {
    const right = readWav(RIGHT);
    const other = readWav(CLIPS.find(({ file }) => file.includes("seven-two")).path);
    assert.equal(right.rate, other.rate);
    const parts = [withSilence(right, 3, 2), withSilence(other, 0, 20)].map(({ samples }) => samples);
    const both = new Int16Array(parts[0].length + parts[1].length);
    both.set(parts[0]);
    both.set(parts[1], parts[0].length);
    const microphone = scratch("right.wav");
    writeWav(microphone, right.rate, [both]);
    await withPage({ microphone }, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await typeList(page, WAYS);
      await stateOf(page).filter({ hasText: "2 phrases" }).waitFor();
      await page.locator("#record").click();
      await state(page, "listening");
      await lane(page, SMALLEST.name).locator(".phrase", { hasText: "right" }).waitFor();
      await lane(page, SMALLEST.name).locator(".none", { hasText: "none of these" }).waitFor();
      await page.locator("#record").click();
      await idle(page);
    });
  });

  for (const [name, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desktop: { width: 1440, height: 900 } })) {
    for (const colorScheme of ["light", "dark"]) {
      test(`is accessible and has its picture: ${name}, ${colorScheme}`, { timeout: 5 * MINUTE }, async () => {
        await withPage({ context: { viewport, colorScheme, reducedMotion: "reduce" } }, async ({ page }) => {
          await engineReady(page);
          await page.locator("#phrases").evaluate((details) => (details.open = true));
          await page.locator("#phrases-example").click();
          await stateOf(page).filter({ hasText: "4 phrases" }).waitFor();
          await typeList(page, "[turn] <way:way>\n<way> = right | left");
          await page.locator("#boosts").evaluate((details) => (details.open = true));
          await page.locator("#boosts-example").click();
          await page.locator("#boosts-state", { hasText: "not used while your own phrases are all that is heard" }).waitFor();
          await transcribeFile(page, RIGHT);
          await page.waitForTimeout(600);
          await idle(page);
          assert.deepEqual(await violations(page), []);
          const folder = process.env.FLEDGE_SCREENSHOTS;
          if (folder) await page.screenshot({ path: join(folder, `phrases-${name}-${colorScheme}.png`), fullPage: true });
          await typeList(page, "left\nturn left");
          await lane(page, SMALLEST.name).locator(".none").waitFor();
          await idle(page);
          assert.deepEqual(await violations(page), []);
          await page.evaluate(() => scrollTo(0, 0));
          if (folder) await page.screenshot({ path: join(folder, `none-of-these-${name}-${colorScheme}.png`) });
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${wide} px wider than the window`);
        });
      });
    }
  }
});

describe("the box of names and terms", () => {
  const text = (page) => page.locator("#boosts-text");
  const told = (page) => page.locator("#boosts-state");

  async function type(page, list) {
    await page.locator("#boosts").evaluate((details) => (details.open = true));
    await text(page).fill(list);
  }

  test("makes them likelier at once, as the native binary does, unless phrases are all that is heard", { timeout: 5 * MINUTE }, async () => {
    const [clip] = DEFAULT.named;
    const list = clip.text.split(" ").map((word) => `${word} :8\n`).join("");
    const file = scratch("boosts.txt");
    writeFileSync(file, list);
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await page.locator("#samples button").first().click();
      await idle(page);
      const plain = await wordsOf(page, SMALLEST.name);
      await type(page, list);
      await told(page).filter({ hasText: `${clip.text.split(" ").length} phrases, likelier than other words` }).waitFor();
      await idle(page);
      const heard = native.transcribeWith(SMALLEST.lm, SMALLEST.folder, clip.path, "--boost", file);
      assert.equal(await wordsOf(page, SMALLEST.name), heard);
      assert.notEqual(heard, plain);
      await typeList(page, "stop the music");
      await told(page).filter({ hasText: "not used" }).waitFor();
      await lane(page, SMALLEST.name).locator(".verdict", { hasText: "none of these" }).waitFor();
      await page.locator("#phrases-clear").click();
      await lane(page, SMALLEST.name).locator(".verdict", { hasText: /wrong|right/ }).waitFor();
      assert.equal(await wordsOf(page, SMALLEST.name), heard);
      await page.locator("#boosts-clear").click();
      await page.waitForFunction((plain) => [...document.querySelectorAll(".lane:not([hidden]) .word")].map(({ textContent }) => textContent).join(" ") === plain, plain);
      assert.equal(await told(page).textContent(), "");
    });
  });

  test("says by the keyboard which line is wrong, and is kept and shared as phrases are", { timeout: 5 * MINUTE }, async () => {
    const context = { permissions: ["microphone", "clipboard-read", "clipboard-write"] };
    await withPage({ context }, async ({ page }) => {
      await engineReady(page);
      await page.locator("#boosts summary").focus();
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      await page.keyboard.type("quilter\nlinnell :many");
      await page.locator("#boosts-error", { hasText: /line 2: .*many/ }).waitFor();
      assert.equal(await text(page).getAttribute("aria-invalid"), "true");
      assert.deepEqual(await violations(page), []);
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "boosts-go");
      await page.keyboard.press("Enter");
      await page.keyboard.type("linnell");
      await page.keyboard.press("End");
      await page.keyboard.press("Shift+ArrowLeft");
      for (let i = 0; i < 3; i += 1) await page.keyboard.press("Shift+ArrowLeft");
      await page.keyboard.type("6");
      await told(page).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await text(page).inputValue(), "quilter\nlinnell :6");
      await page.reload();
      await engineReady(page);
      assert.equal(await text(page).inputValue(), "quilter\nlinnell :6");
      await told(page).filter({ hasText: "2 phrases" }).waitFor();
      await page.locator("#boosts summary").click();
      await page.locator("#boosts-link").click();
      await page.locator("#boosts-note", { hasText: "Copied." }).waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(link, /#boosts=/);
      await page.locator("#boosts-clear").click();
      await page.waitForFunction(() => location.hash === "");
      assert.equal(await page.evaluate(() => localStorage.getItem("fledge-boosts")), null);
      const other = await page.context().newPage();
      await other.goto(link);
      await told(other).filter({ hasText: "2 phrases" }).waitFor();
      assert.equal(await text(other).inputValue(), "quilter\nlinnell :6");
      assert.ok(await other.locator("#boosts").evaluate((details) => details.open));
      await other.close();
    });
  });
});
