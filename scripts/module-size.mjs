// What takes the space in a WebAssembly module that still has its names (before wasm-bindgen):
//   node scripts/module-size.mjs FILE.wasm [functions to list]
// Bytes of code by crate, of data, and of the other sections; and the whole through gzip -9.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const [file, top = '0'] = process.argv.slice(2);
const bytes = readFileSync(file);
let at = 8;

function leb() {
  let result = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    result += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return result;
  }
}

function text() {
  const length = leb();
  at += length;
  return bytes.toString('utf8', at - length, at);
}

let imported = 0;
const sizes = [];
const names = new Map();
const sections = new Map();
while (at < bytes.length) {
  const id = bytes[at++];
  const length = leb();
  const end = at + length;
  let name = ['', 'type', 'import', 'function', 'table', 'memory', 'global', 'export', 'start', 'element', 'code', 'data', 'data count', 'tag'][id];
  if (id === 0) {
    name = text();
    if (name === 'name') {
      while (at < end) {
        const kind = bytes[at++];
        const next = leb() + at;
        if (kind === 1) for (let count = leb(); count > 0; count--) { const index = leb(); names.set(index, text()); }
        at = next;
      }
    }
  } else if (id === 2) {
    for (let count = leb(); count > 0; count--) {
      text();
      text();
      const kind = bytes[at++];
      if (kind === 0) { imported++; leb(); }
      else if (kind === 1) { at++; if (leb() & 1) { leb(); } leb(); }
      else if (kind === 2) { if (leb() & 1) { leb(); } leb(); }
      else if (kind === 3) at += 2;
      else throw new Error(`import of kind ${kind}`);
    }
  } else if (id === 10) {
    for (let count = leb(); count > 0; count--) { const size = leb(); sizes.push(size); at += size; }
  }
  sections.set(name, (sections.get(name) ?? 0) + length);
  at = end;
}

/** The crate that a function belongs to; of an implementation, the first that is not std's. */
function crateOf(name) {
  const inside = name.replace(/^_ZN\d+/, '').split(/\$LT\$|\$u20\$|\$RF\$|\$C\$|\$u5b\$|\$u7b\$|\d{1,3}(?=[a-z_])|Cs[0-9A-Za-z]+_\d*/);
  const found = inside
    .map((part) => part.match(/^_*([a-z][a-z0-9_]*?)(?=\.\.|\d+[a-z_$]|::|$)/)?.[1])
    .filter((crate) => crate && CRATES.has(crate));
  return found.find((crate) => !STD.includes(crate)) ?? found[0] ?? 'other';
}
const STD = ['core', 'alloc', 'std'];
const lock = readFileSync(new URL('../Cargo.lock', import.meta.url), 'utf8');
const CRATES = new Set([...STD, ...[...lock.matchAll(/^name = "(.*)"$/gm)].map((match) => match[1].replaceAll('-', '_'))]);

const crates = new Map();
const functions = sizes.map((size, index) => [size, names.get(imported + index) ?? '?']);
for (const [size, name] of functions) {
  const crate = crateOf(name);
  crates.set(crate, (crates.get(crate) ?? 0) + size);
}
const kilobytes = (count) => (count / 1000).toFixed(1).padStart(9);
console.log(`${kilobytes(bytes.length)} kB, gzip -9 ${kilobytes(gzipSync(bytes, { level: 9 }).length)} kB  ${file}`);
console.log('sections, kB');
for (const [name, size] of [...sections].sort((a, b) => b[1] - a[1])) if (size > 500) console.log(kilobytes(size), name);
console.log(`code by crate, kB (${functions.length} functions)`);
for (const [crate, size] of [...crates].sort((a, b) => b[1] - a[1]).slice(0, 40)) console.log(kilobytes(size), crate);
for (const [size, name] of functions.sort((a, b) => b[0] - a[0]).slice(0, Number(top))) console.log(kilobytes(size), name);
