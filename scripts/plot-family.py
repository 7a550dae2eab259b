#!/usr/bin/env python3
"""Draws the word error rates of model folders against what a browser downloads, as SVG.

    scripts/plot-family.py --set libri-test --lm www/models/lm/english.bin --out docs/english-wer.svg \
      www/models/english-{tiny,small,medium,teacher}

Everything comes from the folders' manifest.json: the bytes of their files and the error rates, with
95 % intervals, that `fledge evaluate --store` put there. With the language model its bytes count too.
"""

import argparse
import json
import math
import pathlib

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 56, 56
TICKS_MB = [0.3, 0.5, 1, 2, 3, 5, 8]
SERIES = [("greedy", "without a language model", "plain"), ("beam", "with the language model", "lm")]
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .quiet { fill: #57606a; }
  .ground { fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .plain { stroke: #0969da; fill: #0969da; }
  .lm { stroke: #bc4c00; fill: #bc4c00; }
  polyline { fill: none !important; stroke-width: 2; }
  .interval { stroke-width: 1.5; opacity: 0.6; }
  .key { stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .ground { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .plain { stroke: #4493f8; fill: #4493f8; }
    .lm { stroke: #f0883e; fill: #f0883e; }
  }
"""


def download_bytes(manifest):
    """What the page fetches with a student: the files of its manifest, a language model left out."""
    return sum(file["bytes"] for file in manifest["files"] if file["name"] != "lm.bin")


def read_points(folders, test_set, lm):
    """For each series, `(name, megabytes, wer, low, high)` of every folder, rates in percent."""
    points = {decoder: [] for decoder, _, _ in SERIES}
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text())
        for evaluation in manifest["evaluations"]:
            # A card may have figures with other language models, too.
            if evaluation["set"] == test_set and evaluation["lm"] in (None, lm.name):
                extra = lm.stat().st_size if evaluation["lm"] else 0
                rates = [100 * evaluation[key] for key in ("wer", "wer_low", "wer_high")]
                megabytes = (download_bytes(manifest) + extra) / 1e6
                points[evaluation["decoder"]].append((manifest["name"], megabytes, *rates))
    return {decoder: sorted(found, key=lambda point: point[1]) for decoder, found in points.items()}


def draw(points, test_set):
    every = [point for found in points.values() for point in found]
    low = 10 * math.floor(min(point[3] for point in every) / 10)
    high = 10 * math.ceil(max(point[4] for point in every) / 10)
    first, last = math.log(TICKS_MB[0] * 0.9), math.log(TICKS_MB[-1])

    def x(megabytes):
        return round(LEFT + (math.log(megabytes) - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(percent):
        return round(TOP + (high - percent) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    title = f"Word error rate on {test_set} against download size"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{title}</text>',
        f'<text class="quiet" x="{LEFT}" y="43">int8 weights; bars are 95 % intervals; lower and further left is better</text>',
    ]
    for percent in range(low, high + 1, 10):
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(percent)}" y2="{y(percent)}"/>')
        lines.append(f'<text class="quiet" x="{LEFT - 8}" y="{y(percent) + 4}" text-anchor="end">{percent} %</text>')
    for megabytes in TICKS_MB:
        lines.append(f'<line class="grid" x1="{x(megabytes)}" x2="{x(megabytes)}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}"/>')
        lines.append(f'<text class="quiet" x="{x(megabytes)}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{megabytes:g}</text>')
    lines.append(f'<text class="quiet" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">download, MB (logarithmic)</text>')
    for row, (decoder, label, style) in enumerate(SERIES):
        found = points[decoder]
        path = " ".join(f"{x(megabytes)},{y(wer)}" for _, megabytes, wer, _, _ in found)
        lines.append(f'<polyline class="{style}" points="{path}"/>')
        label_end = 0
        for name, megabytes, wer, wer_low, wer_high in found:
            place = f'x1="{x(megabytes)}" x2="{x(megabytes)}" y1="{y(wer_low)}" y2="{y(wer_high)}"'
            lines.append(f'<line class="interval {style}" {place}/>')
            lines.append(f'<circle class="{style}" cx="{x(megabytes)}" cy="{y(wer)}" r="4"/>')
            # Below the point where the label of the one before it would be in the way.
            rise = 19 if x(megabytes) < label_end else -6
            lines.append(f'<text x="{x(megabytes) + 9}" y="{y(wer) + rise}">{name} {wer:.1f}</text>')
            label_end = x(megabytes) + 70
        lines.append(f'<rect class="key {style}" x="{WIDTH - 230}" y="{TOP + 8 + 20 * row}" width="14" height="4"/>')
        lines.append(f'<text x="{WIDTH - 208}" y="{TOP + 15 + 20 * row}">{label}</text>')
    return "\n".join([*lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=pathlib.Path, nargs="+")
    parser.add_argument("--set", required=True, help="the test set, as the cards name it")
    parser.add_argument("--lm", type=pathlib.Path, required=True, help="the language model that they share")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    points = read_points(options.folders, options.set, options.lm)
    options.out.write_text(draw(points, options.set))


if __name__ == "__main__":
    main()
