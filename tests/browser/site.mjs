// The built site, served once for a file of tests, and what is in it.
//
// FLEDGE_SITE: the built site (default www/dist).

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

import { assertClean, launch, openPage } from "./browser.mjs";
import { serve } from "./serve.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
export const SITE = resolve(process.env.FLEDGE_SITE ?? join(HERE, "../../www/dist"));
export const MINUTE = 60_000;

const json = (path) => JSON.parse(readFileSync(join(SITE, path), "utf8"));

/** Models in the order of the page: `{ path, folder, name, group, role, lm, largeLm, bytes, parameters }`. */
export const MODELS = json("models/index.json").models.map(({ path, group, role, lm, large_lm }) => {
  const { name, files, parameters } = json(`models/${path}/manifest.json`);
  const needed = files.filter((file) => !/\.md$|^lm\.bin$/.test(file.name));
  const bytes = needed.reduce((sum, file) => sum + file.bytes, 0);
  const at = (file) => file && join(SITE, "models", file);
  return { path, folder: at(path), name, group, role, lm: at(lm), largeLm: at(large_lm), bytes, parameters };
});
/** Its families: the models of each, and the clips that the page offers with them. */
export const FAMILIES = [...new Set(MODELS.map(({ group }) => group))].map((group) => {
  const { sets } = json("samples/index.json");
  const set = sets.find(({ groups }) => groups?.includes(group)) ?? sets.find(({ groups }) => !groups);
  const clips = set.clips.map((clip) => ({ ...clip, path: join(SITE, "samples", clip.file) }));
  const models = MODELS.filter((model) => model.group === group);
  const students = models.filter(({ role }) => role !== "teacher");
  return { group, models, students, clips, named: clips.filter(({ name }) => name) };
});
/** What the page opens with. */
export const DEFAULT = FAMILIES[0];
export const SMALLEST = DEFAULT.students.reduce((a, b) => (b.bytes < a.bytes ? b : a));

export const test_site = { site: undefined, scratch: undefined };
/** One browser for each set of launch options; every test has its own context in it. */
const browsers = new Map();

/** Serves the site during the tests of a file. */
export function useSite() {
  before(async () => {
    test_site.site = await serve(SITE, "/some/where/");
    test_site.scratch = mkdtempSync(join(tmpdir(), "fledge-browser-"));
  });
  after(async () => {
    for (const browser of browsers.values()) await (await browser).close();
    await test_site.site.close();
    rmSync(test_site.scratch, { recursive: true });
  });
}

export const scratch = (name) => join(test_site.scratch, name);

/**
 * Opens the page, uses it, and looks whether anything went wrong unseen. `query`, `context`: of the
 * page; `before(page)`: ahead of opening it; `complaints`: what the console may say.
 */
export async function withPage({ query = "", context, before: prepare, complaints, ...options }, use) {
  const key = JSON.stringify(options);
  if (!browsers.has(key)) {
    const launched = launch(options);
    browsers.set(key, launched);
    // The next test tries again, and there is nothing to close at the end.
    launched.catch(() => browsers.delete(key));
  }
  const { site } = test_site;
  const opened = await openPage(await browsers.get(key), site.url + query, context, prepare);
  try {
    await use(opened);
    assertClean(opened, site.origin, complaints);
  } finally {
    await opened.context.close();
  }
}
