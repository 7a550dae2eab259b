// Memory of the processes that a script started, with theirs: a browser is many. Linux only.

import { readFileSync, readdirSync } from "node:fs";

function descendants(ancestor) {
  const children = new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The name in brackets may hold anything.
      const parent = Number(readFileSync(`/proc/${name}/stat`, "latin1").split(") ").at(-1).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It has ended.
    }
  }
  const found = [];
  const open = [ancestor];
  while (open.length) {
    for (const child of children.get(open.pop()) ?? []) {
      found.push(child);
      open.push(child);
    }
  }
  return found;
}

/** Chromium's name for what a process does; its first process is the browser. */
function kindOf(pid) {
  const [, kind = "browser"] = readFileSync(`/proc/${pid}/cmdline`, "latin1").match(/--type=([a-z-]+)/) ?? [];
  return kind;
}

/** Bytes that the browser's processes hold, what they share counted once: `bytes` in all, and by the kind of process. */
export function browserMemory() {
  const kinds = {};
  for (const pid of descendants(process.pid)) {
    try {
      const [, kilobytes] = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1").match(/^Pss:\s+(\d+) kB/m);
      const kind = kindOf(pid);
      kinds[kind] = (kinds[kind] ?? 0) + Number(kilobytes) * 1024;
    } catch {
      // It has ended.
    }
  }
  return { bytes: Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0), kinds };
}

/** Watches the memory; `stop()` gives what there was before and when it was most, as `browserMemory`. */
export function watchMemory(interval_ms = 250) {
  const before = browserMemory();
  let peak = before;
  const timer = setInterval(() => {
    const now = browserMemory();
    if (now.bytes > peak.bytes) peak = now;
  }, interval_ms);
  return {
    stop() {
      clearInterval(timer);
      return { before, peak };
    },
  };
}
