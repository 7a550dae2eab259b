// Keeps the page's own files, so that it opens without a network. Models are kept by the engines, each
// under its digest; this script never touches them, nor anything that is not the site's.
//
// `FILES` gives each file's SHA-256 and whether it is kept from the first visit on. The build writes it,
// so a new build is a new script: its files are fetched and checked beside the old ones, and taken all
// at once when no tab uses those any more, or when a visitor asks for them.

const FILES = {};

const VERSION = `fledge-site-${Object.values(FILES).map(([digest]) => digest.slice(0, 4)).join("")}`;
const CLIPS = "fledge-clips";
const BASE = new URL("./", self.location);

/** Of a file of this site; of others there is none. */
function pathOf(url) {
  if (!url.href.startsWith(BASE.href)) return undefined;
  return decodeURIComponent(url.pathname.slice(BASE.pathname.length)) || "index.html";
}

async function sha256(buffer) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A file of this version from the server; what is not this version is an error. */
async function fetchFile(path) {
  for (const cache of ["no-cache", "reload"]) {
    const response = await fetch(new URL(path, BASE), { cache });
    if (response.ok && (await sha256(await response.clone().arrayBuffer())) === FILES[path][0]) return response;
  }
  throw new Error(`${path} is not of this version`);
}

/** A copy that an earlier version kept, if the file did not change. */
async function keptFile(path) {
  for (const name of await caches.keys()) {
    if (!name.startsWith("fledge-site-")) continue;
    const response = await (await caches.open(name)).match(new URL(path, BASE));
    if (response && (await sha256(await response.clone().arrayBuffer())) === FILES[path][0]) return response;
  }
  return undefined;
}

async function keep(cache, path) {
  const response = (await keptFile(path)) ?? (await fetchFile(path));
  await cache.put(new URL(path, BASE), response.clone());
  return response;
}

async function install() {
  const cache = await caches.open(VERSION);
  const first = Object.entries(FILES).filter(([, [, isKept]]) => isKept);
  await Promise.all(first.map(([path]) => keep(cache, path)));
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("fledge-site-") && name !== VERSION) await caches.delete(name);
  }
  await self.clients.claim();
}

async function answer(path, request) {
  const cache = await caches.open(VERSION);
  const kept = await cache.match(new URL(path, BASE));
  if (kept) return kept;
  try {
    return await keep(cache, path);
  } catch {
    return fetch(request);
  }
}

/** Clips are small, and their names say nothing of their bytes: the server's are better than ours. */
async function answerClip(request) {
  const cache = await caches.open(CLIPS);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}

/** What a page fetched before this script was there: it works without a network, too. */
async function keepFetched(addresses) {
  for (const address of addresses) {
    const path = pathOf(new URL(address));
    // Whatever fails here is kept with its next use.
    if (Object.hasOwn(FILES, path)) await answer(path, address).catch(() => {});
    else if (path?.startsWith("samples/")) await answerClip(address).catch(() => {});
  }
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
  else if (event.data.fetched) event.waitUntil(keepFetched(event.data.fetched));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = pathOf(new URL(request.url));
  if (request.method !== "GET" || path === undefined) return;
  if (Object.hasOwn(FILES, path)) event.respondWith(answer(path, request));
  else if (path.startsWith("samples/")) event.respondWith(answerClip(request));
});
