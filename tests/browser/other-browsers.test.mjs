// Firefox and WebKit, as far as Debian has them: the smallest student hears a recording, as the native
// binary does, and nobody complains. No driver is needed: the visitor is a script (visitor.js) in the page.
//
// FLEDGE_BIN: the native binary. A browser that is not installed is passed over.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import * as native from "./native.mjs";
import { serve } from "./serve.mjs";
import { DEFAULT, MINUTE, SITE, SMALLEST, scratch, useSite } from "./site.mjs";

useSite();

const HERE = dirname(fileURLToPath(import.meta.url));
const [CLIP] = DEFAULT.named;

const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find(existsSync);
/** The small browser that comes with the library, in the folder of the machine's architecture. */
const MINI_BROWSER = readdirSync("/usr/lib")
  .flatMap((folder) => ["webkitgtk-6.0", "webkit2gtk-4.1"].map((version) => `/usr/lib/${folder}/${version}/MiniBrowser`))
  .find(existsSync);
const XVFB = ["/usr/bin/xvfb-run"].find(existsSync);

/** A profile without first steps. */
const FIREFOX_PREFERENCES = {
  "app.update.enabled": false,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
};

function startFirefox(url) {
  const profile = scratch("firefox");
  mkdirSync(profile);
  const lines = Object.entries(FIREFOX_PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});\n`);
  writeFileSync(join(profile, "user.js"), lines.join(""));
  return spawn(FIREFOX, ["--headless", "--no-remote", "--profile", profile, url], { detached: true, stdio: "ignore" });
}

function startWebKit(url) {
  return spawn(XVFB, ["-a", MINI_BROWSER, "--private", url], { detached: true, stdio: "ignore" });
}

/** Opens the page with the visitor in it; what the visitor told. */
async function visit(start) {
  let arrived;
  const told = new Promise((resolve) => (arrived = resolve));
  const script = `<script src="visitor.js" data-clip="samples/${CLIP.file}" data-student="${SMALLEST.name}"></script>`;
  const site = await serve(SITE, "/", {
    extra: { "visitor.js": readFileSync(join(HERE, "visitor.js"), "utf8"), told: "" },
    before: (name, request, response, bytes) => {
      if (name === "told") {
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", () => {
          response.end();
          arrived(JSON.parse(Buffer.concat(parts).toString()));
        });
        return true;
      }
      if (name !== "index.html") return false;
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(String(bytes).replace("<title>", `${script}<title>`));
      return true;
    },
  });
  const browser = start(`${site.url}?engine=cpu`);
  const ended = new Promise((_, reject) => browser.once("exit", (code) => reject(new Error(`the browser ended with ${code}`))));
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("the visitor told nothing")), 4 * MINUTE).unref());
  try {
    return await Promise.race([told, ended, late]);
  } finally {
    ended.catch(() => {});
    // With everything that it started.
    process.kill(-browser.pid);
    await site.close();
  }
}

function assertHeard(told) {
  assert.equal(told.failed, undefined, JSON.stringify(told));
  assert.equal(told.heard, native.transcribeWith(SMALLEST.lm, SMALLEST.folder, CLIP.path));
  assert.match(told.engine, /^Runs on the CPU/);
  assert.equal(told.shown, "");
  assert.deepEqual(told.complaints, []);
}

describe("another browser", () => {
  test("Firefox writes what the native binary writes", { timeout: 5 * MINUTE, skip: !FIREFOX && "firefox-esr is not installed" }, async (t) => {
    const told = await visit(startFirefox);
    t.diagnostic(told.agent);
    assertHeard(told);
  });

  test("WebKit writes what the native binary writes", { timeout: 5 * MINUTE, skip: !(MINI_BROWSER && XVFB) && "WebKitGTK's MiniBrowser is not installed" }, async (t) => {
    const told = await visit(startWebKit);
    t.diagnostic(told.agent);
    assertHeard(told);
  });
});
