// The pictures of README.md: the page on a desktop and on a phone, and the race as an animation.
//
//   node pictures.mjs --site DIR --microphone FILE.wav --out DIR     (scripts/pictures.sh)

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { engineReady, idle, launch, openPage, state } from "./browser.mjs";
import { serve } from "./serve.mjs";

const { values: options } = parseArgs({
  options: { site: { type: "string" }, microphone: { type: "string" }, out: { type: "string" } },
});
const MAX_ANIMATION_BYTES = 500_000;
/** Fewer frames than the browser draws: words come at a reader's pace. */
const FRAME_MS = 120;

/** Opens the page with all students loaded, by one clip. */
async function openUsed(browser, url, context) {
  const opened = await openPage(browser, url, context);
  await engineReady(opened.page);
  await pressSample(opened.page, 0);
  return opened;
}

async function pressSample(page, number) {
  await page.locator("#samples button").nth(number).click();
  await idle(page);
  // Neither the pointer nor the focus is what the picture is about.
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement.blur());
}

async function still(browser, url, name, context) {
  const { page, context: opened } = await openUsed(browser, url, { deviceScaleFactor: 1, ...context });
  await pressSample(page, 1);
  await page.screenshot({ path: join(options.out, name) });
  await opened.close();
}

/** Frames of the page while `act` runs: `{ png, at_ms }`, the same picture once. */
async function record(page, act) {
  const session = await page.context().newCDPSession(page);
  const frames = [];
  session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
    const at_ms = metadata.timestamp * 1e3;
    if (data !== frames.at(-1)?.data) {
      // What stood for less than a frame is replaced.
      if (frames.length > 1 && at_ms - frames.at(-1).at_ms < FRAME_MS) frames.at(-1).data = data;
      else frames.push({ data, at_ms });
    }
    session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
  });
  await session.send("Page.startScreencast", { format: "png" });
  await act();
  const end_ms = Date.now();
  await session.send("Page.stopScreencast");
  return frames.map(({ data, at_ms }, i) => ({ png: Buffer.from(data, "base64"), ms: Math.round((frames[i + 1]?.at_ms ?? end_ms) - at_ms) }));
}

/** A voice, and what three students made of it; then the microphone, and their words as they come. */
async function race(browser, url) {
  const context = { viewport: { width: 1200, height: 640 }, deviceScaleFactor: 1, colorScheme: "light" };
  const { page } = await openUsed(browser, url, context);
  // As high as the lanes: what follows them is not the race.
  const height = await page.locator("#race").evaluate((race) => document.querySelector("#lanes").getBoundingClientRect().bottom - race.getBoundingClientRect().top);
  await page.setViewportSize({ width: context.viewport.width, height: Math.ceil(height) + 12 });
  await page.evaluate(() => scrollTo({ top: document.querySelector("#race").offsetTop - 12, behavior: "instant" }));
  const frames = await record(page, async () => {
    await page.waitForTimeout(800);
    await pressSample(page, 1);
    await page.waitForTimeout(3_000);
    await page.locator("#record").click();
    await page.mouse.move(0, 0);
    await state(page, "listening");
    await page.waitForTimeout(9_000);
    await page.locator("#record").click();
    await idle(page);
    await page.mouse.move(0, 0);
    await page.waitForTimeout(2_500);
  });
  const folder = mkdtempSync(join(tmpdir(), "fledge-pictures-"));
  try {
    const parts = frames.flatMap(({ png, ms }, i) => {
      const path = join(folder, `${i}.png`);
      writeFileSync(path, png);
      return ["-d", String(Math.max(ms, 20)), path];
    });
    const path = join(options.out, "race.webp");
    execFileSync("img2webp", ["-loop", "0", "-lossy", "-q", "40", "-m", "6", ...parts, "-o", path]);
    const { size } = statSync(path);
    console.log(`${path}: ${frames.length} frames, ${size} bytes`);
    if (size > MAX_ANIMATION_BYTES) throw new Error(`the animation is larger than ${MAX_ANIMATION_BYTES} bytes`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const site = await serve(options.site, "/");
const browser = await launch({ microphone: options.microphone });
try {
  await still(browser, site.url, "page.png", { viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  await still(browser, site.url, "page-phone.png", { viewport: { width: 390, height: 1300 }, colorScheme: "dark" });
  await race(browser, site.url);
} finally {
  await browser.close();
  await site.close();
}
