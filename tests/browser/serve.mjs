// The built site on a random port of this machine, under a sub-path, without any special header:
// what a plain static host does. It knows ranges, and can be told to misbehave.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".mp3": "audio/mpeg",
  ".ogg": "audio/ogg",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".wav": "audio/wav",
  ".webmanifest": "application/manifest+json",
};

/**
 * @param {string} folder the site
 * @param {string} base the path it appears under, with slashes at both ends
 * @param {{headers?: object, before?: Function, extra?: object}} options `headers`: of every answer;
 *   `before(name, request, response, bytes)`: answers in the server's place, if it gives true; `extra`:
 *   files that are not in the folder, their texts by name
 */
export async function serve(folder, base, { headers = {}, before = () => false, extra = {} } = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    // Browsers ask every host for it.
    if (path === "/favicon.ico") {
      response.writeHead(204).end();
      return;
    }
    if (!path.startsWith(base)) {
      response.writeHead(404).end();
      return;
    }
    const name = normalize(path.slice(base.length) || "index.html");
    try {
      if (name.startsWith("..")) throw new Error("outside of the site");
      const bytes = name in extra ? Buffer.from(extra[name]) : await readFile(join(folder, name));
      if (before(name, request, response, bytes)) return;
      const type = { "content-type": TYPES[extname(name)] ?? "application/octet-stream", ...headers };
      const start = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
      if (start > 0 && start < bytes.length) {
        response.writeHead(206, { ...type, "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
      } else response.writeHead(200, type);
      response.end(start < bytes.length ? bytes.subarray(start) : bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, url: origin + base, close: () => new Promise((resolve) => server.close(resolve)) };
}
