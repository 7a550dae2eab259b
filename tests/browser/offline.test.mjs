// The site without a network, on a bad one, and when it changes.

import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { assertClean, engineReady, idle, lane, launch, openPage, only, openSettings, transcribeFile, wordsOf } from "./browser.mjs";
import { serve } from "./serve.mjs";
import { DEFAULT, MINUTE, SITE, SMALLEST, scratch, useSite, withPage } from "./site.mjs";

useSite();

const kept = { serviceWorkers: "allow" };

/** Waits until the page is kept. */
async function controlled(page) {
  await page.waitForFunction(() => navigator.serviceWorker.controller, undefined, { timeout: 2 * MINUTE });
}

describe("without a network", () => {
  test("the page opens, and the students that were used answer", { timeout: 5 * MINUTE }, async () => {
    const complaints = /ERR_INTERNET_DISCONNECTED|Failed to fetch|ERR_FAILED/;
    await withPage({ context: kept, complaints }, async ({ page, context }) => {
      // As soon as there is something to press: before anything could be kept.
      await page.locator("#samples button").first().click();
      await engineReady(page);
      const words = await wordsOf(page, SMALLEST.name);
      await controlled(page);
      await page.waitForFunction(() => caches.match(new URL("audio-file.js", document.baseURI)), undefined, { timeout: MINUTE });
      assert.equal(await page.locator("#fetch-note").textContent(), "Stored on this device.");
      await context.setOffline(true);
      await page.reload();
      await engineReady(page);
      await page.locator("#samples button").first().click();
      await idle(page);
      assert.equal(await wordsOf(page, SMALLEST.name), words);
      for (const { name } of DEFAULT.students) assert.notEqual(await lane(page, name).getAttribute("data-state"), "failed");
    });
  });

  test("a student that was never fetched says so", { timeout: 5 * MINUTE }, async () => {
    await withPage({ context: kept, complaints: /ERR_INTERNET_DISCONNECTED|Failed to fetch|ERR_FAILED/ }, async ({ page, context }) => {
      await engineReady(page);
      await controlled(page);
      await only(page, [SMALLEST.name]);
      await page.locator("#samples button").first().click();
      await idle(page);
      await context.setOffline(true);
      const [other] = DEFAULT.students.filter(({ name }) => name !== SMALLEST.name);
      await openSettings(page);
      await page.locator("#lane-switches label", { hasText: other.name }).locator("input").check();
      await idle(page);
      assert.match(await lane(page, other.name).locator(".placeholder").textContent(), /could not be fetched/);
      assert.notEqual(await wordsOf(page, SMALLEST.name), "");
    });
  });
});

describe("what was fetched", () => {
  test("is asked of the server once", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page, requests }) => {
      await engineReady(page);
      await page.locator("#samples button").first().click();
      await idle(page);
      const models = () => requests.filter((url) => /safetensors$|english\.bin$|config\.json$|tokens\.txt$/.test(url)).length;
      const first = models();
      await page.reload();
      await engineReady(page);
      await page.locator("#samples button").first().click();
      await idle(page);
      assert.equal(models(), first);
    });
  });

  test("is told, and can be removed", { timeout: 5 * MINUTE }, async () => {
    await withPage({}, async ({ page }) => {
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await transcribeFile(page, DEFAULT.named[0].path);
      assert.match(await page.locator("#stored-note").textContent(), /^[1-9]\d* files are stored\.$/);
      await page.locator("#clear-stored").click();
      await page.locator("#stored-note", { hasText: "None are stored." }).waitFor();
      await page.locator("#fetch-note", { hasText: "to fetch first" }).waitFor();
    });
  });
});

describe("a connection", () => {
  test("that breaks goes on where it broke", { timeout: 5 * MINUTE }, async () => {
    const ranges = [];
    let broken = 0;
    const site = await serve(SITE, "/", {
      before: (name, request, response, bytes) => {
        if (!name.endsWith(".safetensors") || !name.includes(SMALLEST.path)) return false;
        if (request.headers.range) ranges.push(request.headers.range);
        else if ((broken += 1) === 1) {
          response.writeHead(200, { "content-length": bytes.length, "content-type": "application/octet-stream" });
          response.write(bytes.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 200));
          return true;
        }
        return false;
      },
    });
    const browser = await launch();
    try {
      const opened = await openPage(browser, site.url);
      const { page } = opened;
      await engineReady(page);
      await only(page, [SMALLEST.name]);
      await transcribeFile(page, DEFAULT.named[0].path);
      assert.notEqual(await wordsOf(page, SMALLEST.name), "");
      assert.deepEqual(ranges, ["bytes=100000-"]);
      assertClean(opened, site.origin, /ERR_|net::/);
    } finally {
      await browser.close();
      await site.close();
    }
  });
});

describe("a new version of the site", () => {
  test("is offered, and taken when the visitor wants it", { timeout: 5 * MINUTE }, async () => {
    const folder = scratch("changing");
    cpSync(SITE, folder, { recursive: true });
    const site = await serve(folder, "/");
    const browser = await launch();
    try {
      const { page } = await openPage(browser, site.url, kept);
      await engineReady(page);
      await controlled(page);
      // Another text, and the list of files that the build would have written for it.
      const { createHash } = await import("node:crypto");
      const html = readFileSync(join(folder, "index.html"), "utf8").replace("How small can", "How very small can");
      writeFileSync(join(folder, "index.html"), html);
      const digest = createHash("sha256").update(html).digest("hex");
      const script = readFileSync(join(folder, "sw.js"), "utf8").replace(/("index\.html":\[")[0-9a-f]+/, `$1${digest}`);
      writeFileSync(join(folder, "sw.js"), script);
      await page.reload();
      assert.match(await page.locator("h1").textContent(), /^How small/);
      await page.locator("#update:not([hidden])").waitFor({ timeout: 2 * MINUTE });
      await page.locator("#update button").click();
      await page.locator("h1", { hasText: "How very small" }).waitFor({ timeout: MINUTE });
      await engineReady(page);
    } finally {
      await browser.close();
      await site.close();
    }
  });
});
