// Times the products of a block at the widths of three students: node --experimental-wasm-relaxed-simd run.mjs MODULE.wasm
import { readFileSync } from 'node:fs';

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const { prepare, error, ...kernels } = instance.exports;
const names = ['floats', 'fused_floats', 'pairs', 'quads'];
console.log('| rows x depth x columns | ' + names.map((name) => `${name}, G/s | error`).join(' | ') + ' |');
console.log('| --- |' + ' ---: | ---: |'.repeat(names.length));
for (const width of [64, 96, 144]) {
  for (const [depth, columns] of [[width, 3 * width], [3 * width, width]]) {
    // 5.1 s at 8x subsampling.
    const rows = 64;
    prepare(rows, depth, columns);
    const cells = names.map((name) => {
      const kernel = kernels[name];
      const repeats = Math.ceil(2e7 / (rows * depth * columns));
      let best = Infinity;
      for (let round = 0; round < 40; round += 1) {
        const started = performance.now();
        kernel(repeats);
        best = Math.min(best, (performance.now() - started) / repeats);
      }
      const rate = (2 * rows * depth * columns) / best / 1e6;
      return `${rate.toFixed(1)} | ${error().toExponential(0)}`;
    });
    console.log(`| ${rows} x ${depth} x ${columns} | ${cells.join(' | ')} |`);
  }
}
