// A line between browser and server: so many bits a second for everything that comes, and a round trip
// of so many milliseconds. It stands outside of the browser, so that workers and the service worker
// wait as the page does, which the browser's own throttling leaves out.
//
// A new connection costs one round trip, as TCP's does; its slow start and loss are not imitated.

import { connect, createServer } from "node:net";

const SLICE_BYTES = 1460;
const TICK_MS = 4;

/** What passes the line, in order: `{ at_ms (since the epoch), bytes }`, and the requests as `{ at_ms }`. */
class Traffic {
  received = [];
  requests = [];

  /** Bytes and requests up to a moment, since `from_ms`. */
  until(at_ms, from_ms = 0) {
    const within = (one) => one.at_ms >= from_ms && one.at_ms <= at_ms;
    return {
      bytes: this.received.filter(within).reduce((sum, { bytes }) => sum + bytes, 0),
      requests: this.requests.filter(within).length,
    };
  }
}

/**
 * @param {string} target the server's address, as `http://127.0.0.1:8080`
 * @param {{bits_per_s?: number, round_trip_ms?: number}} line without a rate: as fast as it comes
 */
export async function throttle(target, { bits_per_s = Infinity, round_trip_ms = 0 } = {}) {
  const { hostname, port } = new URL(target);
  const traffic = new Traffic();
  /** What waits for the line, a queue for each connection. */
  const queues = new Set();
  const sockets = new Set();
  const later = (ms, act) => (ms > 0 ? setTimeout(act, ms) : act());

  function deliver(queue, chunk) {
    traffic.received.push({ at_ms: Date.now() + round_trip_ms / 2, bytes: chunk.length });
    later(round_trip_ms / 2, () => queue.client.writable && queue.client.write(chunk));
  }

  /** Connections share the line: each sends a slice in turn. */
  let budget = 0;
  let last_ms = performance.now();
  const pump = setInterval(() => {
    const now_ms = performance.now();
    budget = Math.min(budget + ((now_ms - last_ms) * bits_per_s) / 8e3, (100 * bits_per_s) / 8e3);
    last_ms = now_ms;
    let waiting = [...queues].filter((queue) => queue.chunks.length);
    // An idle line saves nothing up.
    if (!waiting.length) budget = Math.min(budget, SLICE_BYTES);
    while (waiting.length && budget >= SLICE_BYTES) {
      for (const queue of waiting) {
        const [chunk] = queue.chunks;
        const slice = chunk.subarray(0, SLICE_BYTES);
        if (slice.length < chunk.length) queue.chunks[0] = chunk.subarray(SLICE_BYTES);
        else queue.chunks.shift();
        budget -= slice.length;
        deliver(queue, slice);
      }
      waiting = waiting.filter((queue) => queue.chunks.length);
    }
    for (const queue of queues) {
      if (!queue.ended || queue.chunks.length) continue;
      queues.delete(queue);
      later(round_trip_ms / 2 + TICK_MS, () => queue.client.end());
    }
  }, TICK_MS);

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const queue = { client, chunks: [], ended: false };
    queues.add(queue);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("close", () => {
      queues.delete(queue);
      upstream.destroy();
    });
    // What it sent may still wait for the line.
    upstream.on("close", () => (queue.ended = true));
    const opened_ms = performance.now();
    client.on("data", (chunk) => {
      if (/^(GET|HEAD|POST) /.test(chunk.toString("latin1", 0, 8))) traffic.requests.push({ at_ms: Date.now() });
      // The greeting of the connection goes there and back before its first request.
      const greeting_ms = Math.max(0, opened_ms + round_trip_ms - performance.now());
      later(greeting_ms + round_trip_ms / 2, () => upstream.writable && upstream.write(chunk));
    });
    upstream.on("data", (chunk) => (bits_per_s === Infinity ? deliver(queue, chunk) : queue.chunks.push(chunk)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    traffic,
    /** No network any more. */
    close() {
      clearInterval(pump);
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
