// "Check our numbers": what it measures, and what can be done with that.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { engineReady } from "./browser.mjs";
import * as native from "./native.mjs";
import { DEFAULT, MINUTE, SMALLEST, useSite, withPage } from "./site.mjs";

useSite();

const CHECKED = DEFAULT.clips.filter(({ evaluation_set }) => evaluation_set);

test("every student is measured with each decoder, beside its card, and the results can be kept and shared", { timeout: 20 * MINUTE }, async () => {
  const context = { permissions: ["microphone", "clipboard-read", "clipboard-write"] };
  await withPage({ context }, async ({ page, requests }) => {
    await engineReady(page);
    // What is published is drawn before any run, and the button says what a run fetches.
    assert.equal(await page.locator("#plot-size .ring").count(), DEFAULT.models.length);
    assert.match(await page.locator("#check").textContent(), new RegExp(`${CHECKED.length} clips, \\d+ kB to fetch`));
    assert.ok(CHECKED.reduce((sum, { bytes }) => sum + bytes, 0) < 3e6);
    assert.ok(!requests.some((url) => url.endsWith(".mp3")), "clips were fetched unasked");
    await page.locator("#check").click();
    await page.locator("#check-status", { hasText: /^Done\./ }).waitFor({ timeout: 15 * MINUTE });
    const rows = page.locator("#check-rows tr");
    assert.equal(await rows.count(), 2 * DEFAULT.models.length);
    assert.equal(await page.locator("#plot-size .dot").count(), DEFAULT.models.length);
    assert.equal(await page.locator("#plot-time .dot").count(), DEFAULT.models.length);
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#check-json").click()]);
    const report = JSON.parse(readFileSync(await download.path(), "utf8"));
    const row = report.rows.find(({ student, decoder }) => student === SMALLEST.name && decoder === "beam");
    assert.equal(row.clips, CHECKED.length);
    assert.equal(row.errors, native.wordErrors(SMALLEST.lm, SMALLEST.folder, CHECKED));
    assert.ok(row.wer_low < row.wer && row.wer < row.wer_high && row.published_wer > 0);
    assert.ok(row.least_ms <= row.median_ms && row.median_ms <= row.most_ms && row.first_ms > 0);
    await page.locator("#check-copy").click();
    await page.locator("#check-status", { hasText: "Copied." }).waitFor();
    const table = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(table, /^Read English, libri-test .*\n\n\| Student \| Decoder \| Engine \|/);
    await page.locator("#check-link").click();
    await page.waitForFunction(() => location.hash.startsWith("#check="));
    const shown = await rows.allTextContents();
    await page.reload();
    await engineReady(page);
    assert.deepEqual(await rows.allTextContents(), shown);
  });
});
