// What a visitor sees first, on a desktop and on a phone, with and without JavaScript.
//
// FLEDGE_SCREENSHOTS: a folder for pictures of every state (default: none are taken).

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";

import { assertClean, engineReady, heardWrongly, idle, lane, launch, openPage, openSettings, state, transcribeFile } from "./browser.mjs";
import { serve } from "./serve.mjs";
import { DEFAULT, FAMILIES, MINUTE, MODELS, SITE, SMALLEST, useSite, withPage } from "./site.mjs";

useSite();

const SCREENS = { phone: { width: 390, height: 844 }, desktop: { width: 1440, height: 900 } };

describe("the first screen", () => {
  for (const [name, viewport] of Object.entries(SCREENS)) {
    test(`has the microphone and something to say on a ${name}`, { timeout: 5 * MINUTE }, async () => {
      await withPage({ context: { viewport } }, async ({ page }) => {
        await engineReady(page);
        for (const selector of ["#record", "#prompt"]) {
          const box = await page.locator(selector).boundingBox();
          assert.ok(box.y + box.height <= viewport.height, `${selector} ends at ${box.y + box.height} of ${viewport.height}`);
        }
        assert.match(await page.locator("#prompt").textContent(), /^Press and say: “.+”$/);
        assert.match(await page.locator("#fetch-note").textContent(), /MB to fetch/);
      });
    });
  }

  test("has all lanes on a desktop, from the start and with words", { timeout: 5 * MINUTE }, async () => {
    await withPage({ context: { viewport: SCREENS.desktop } }, async ({ page }) => {
      await engineReady(page);
      const bottom = async () => {
        const box = await lane(page, DEFAULT.students.at(-1).name).boundingBox();
        return box.y + box.height;
      };
      assert.ok((await bottom()) <= SCREENS.desktop.height, `the last lane ends at ${await bottom()}`);
      await transcribeFile(page, DEFAULT.named[0].path);
      assert.ok((await bottom()) <= SCREENS.desktop.height, `the last lane ends at ${await bottom()}`);
    });
  });

  test("opens with people who read, and with the students that they are for", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      assert.equal(DEFAULT.group, "Read English");
      assert.deepEqual(await page.locator(".lane:visible h3").allTextContents(), DEFAULT.students.map(({ name }) => name));
      assert.equal(await page.locator("#samples button").count(), DEFAULT.named.length);
      await openSettings(page);
      assert.match(await page.locator("#samples-note").textContent(), /LibriSpeech.*CC BY 4\.0/s);
      // Freshly trained students are a family of their own.
      assert.deepEqual(await page.locator("#family option").allTextContents(), FAMILIES.map(({ group }) => group));
    });
  });

  test("says of the smallest student what is true", () => {
    assert.ok(SMALLEST.bytes > 0.28e6 && SMALLEST.bytes < 0.4e6, `a third of a megabyte: ${SMALLEST.bytes}`);
  });

  for (const [name, viewport] of Object.entries({ ...SCREENS, narrow: { width: 320, height: 640 } })) {
    test(`never scrolls sideways nor cuts anything off: ${name}, and with text twice as large`, { timeout: 5 * MINUTE }, async () => {
      await withPage({ context: { viewport } }, async ({ page }) => {
        await engineReady(page);
        await openSettings(page);
        await transcribeFile(page, DEFAULT.named[0].path);
        for (const size of ["100%", "200%"]) {
          await page.evaluate((size) => (document.documentElement.style.fontSize = size), size);
          const overflow = await page.evaluate(() => {
            const scrolls = (one) => one && (/auto|scroll/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
            const is_wide = (one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".visually-hidden, audio") && !scrolls(one.parentElement);
            const wide = [...document.querySelectorAll("body *")].filter(is_wide);
            return { pixels: document.documentElement.scrollWidth - innerWidth, wide: wide.map((one) => one.getAttribute("class") || one.tagName).slice(0, 5) };
          });
          assert.ok(overflow.pixels <= 0, `${size}: ${overflow.pixels} px wider than the window: ${overflow.wide}`);
          assert.deepEqual(overflow.wide, [], `${size}: cut off at the right`);
        }
      });
    });
  }

  test("is a readable page without JavaScript", { timeout: 5 * MINUTE }, async () => {
    await withPage({ context: { javaScriptEnabled: false } }, async ({ page }) => {
      assert.match(await page.locator("h1").textContent(), /How small/);
      const rows = await page.locator("#accuracy tbody tr").allTextContents();
      assert.equal(rows.length, MODELS.length);
      for (const row of rows) assert.match(row, /[kM]B.*\d %/s);
      assert.match(await page.locator("noscript").textContent(), /needs JavaScript/);
    });
  });

  test("says so where its program is missing", { timeout: 5 * MINUTE }, async () => {
    const before = (page) => page.route("**/page_bg.wasm", (route) => route.fulfill({ status: 404 }));
    await withPage({ before, complaints: /404|wasm|WebAssembly/i }, async ({ page }) => {
      await page.locator("#error:not([hidden])").waitFor({ timeout: MINUTE });
      assert.match(await page.locator("#error").textContent(), /could not be started/);
      assert.equal(await page.locator("#status").textContent(), "Not working.");
    });
  });

  test("says so where an engine's program is missing", { timeout: 5 * MINUTE }, async () => {
    const before = (page) => page.route("**/engine-cpu_bg.wasm", (route) => route.fulfill({ status: 404 }));
    await withPage({ before, complaints: /404/ }, async ({ page }) => {
      await page.locator("#engine-status.failed").waitFor({ state: "attached", timeout: MINUTE });
      await page.locator("#samples button").first().click();
      await idle(page);
      assert.match(await lane(page, SMALLEST.name).textContent(), /No engine could be started/);
    });
  });

  test("works where the host sends the policy, too", { timeout: 5 * MINUTE }, async () => {
    const policy = readFileSync(join(SITE, "index.html"), "utf8").match(/Content-Security-Policy" content="([^"]+)"/)[1];
    const site = await serve(SITE, "/", { headers: { "content-security-policy": policy } });
    const browser = await launch();
    try {
      const opened = await openPage(browser, site.url);
      await engineReady(opened.page);
      await opened.page.locator("#samples button").first().click();
      await idle(opened.page);
      assert.match(await lane(opened.page, SMALLEST.name).locator(".verdict").textContent(), /wrong|right/);
      assertClean(opened, site.origin);
    } finally {
      await browser.close();
      await site.close();
    }
  });

  for (const [name, viewport] of Object.entries(SCREENS)) {
    test(`moves little while words come: ${name}`, { timeout: 5 * MINUTE }, async (t) => {
      await withPage({ context: { viewport } }, async ({ page }) => {
        await page.addInitScript(() => {
          globalThis.shift = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) globalThis.shift += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
        });
        await page.reload();
        await engineReady(page);
        await transcribeFile(page, DEFAULT.named[0].path);
        await page.locator("#record").click();
        await state(page, "listening");
        await page.waitForTimeout(2_000);
        await page.locator("#record").click();
        await idle(page);
        const shift = await page.evaluate(() => globalThis.shift);
        t.diagnostic(`layout shift ${shift.toFixed(4)}`);
        assert.ok(shift < 0.05, `layout shift ${shift}`);
      });
    });
  }
});

describe("every state", () => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

  /** What axe finds, with the place of each. */
  async function violations(page) {
    await page.evaluate(readFileSync(axe, "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
  }

  for (const colorScheme of ["light", "dark"]) {
    for (const [name, viewport] of Object.entries(SCREENS)) {
      test(`is accessible and has its picture: ${name}, ${colorScheme}`, { timeout: 10 * MINUTE }, async () => {
        const context = { colorScheme, viewport, reducedMotion: "reduce" };
        const folder = process.env.FLEDGE_SCREENSHOTS;
        if (folder) mkdirSync(folder, { recursive: true });
        await withPage({ context }, async ({ page }) => {
          const look = async (what, fullPage = false) => {
            if (folder) await page.screenshot({ path: join(folder, `${what}-${name}-${colorScheme}.png`), fullPage });
            assert.deepEqual(await violations(page), [], what);
          };
          await engineReady(page);
          await look("start");
          await page.locator("#samples button").first().click();
          await idle(page);
          await look("words");
          await page.locator("#record").click();
          await state(page, "listening");
          await page.waitForTimeout(1_500);
          await look("listening");
          await page.locator("#record").click();
          await idle(page);
          await page.locator("#file").setInputFiles({ name: "letter.wav", mimeType: "audio/wav", buffer: Buffer.from("Dear all,") });
          await idle(page);
          await openSettings(page);
          await look("error-and-settings", true);
        });
      });
    }
  }

  test("shows its controls, what is pressed and the sizes in the system's own colours, too", { timeout: 5 * MINUTE }, async () => {
    const context = { forcedColors: "active", viewport: SCREENS.desktop };
    await withPage({ context }, async ({ page }) => {
      await engineReady(page);
      await heardWrongly(page);
      const style = (selector, name) => page.locator(selector).first().evaluate((one, name) => getComputedStyle(one)[name], name);
      assert.notEqual(await style("s.wrong", "textDecorationLine"), "none");
      const resting = await style("#record", "borderStyle");
      await page.locator("#record").click();
      await state(page, "listening");
      assert.deepEqual([resting, await style("#record", "borderStyle")], ["solid", "double"]);
      await page.locator("#record").click();
      await idle(page);
      assert.notEqual(await style(".size-bar", "backgroundColor"), await style("body", "backgroundColor"));
      assert.deepEqual(await violations(page), []);
      const folder = process.env.FLEDGE_SCREENSHOTS;
      if (folder) await page.screenshot({ path: join(folder, "forced-colours.png") });
    });
  });
});
