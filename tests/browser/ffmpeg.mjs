// Files of other kinds, made by a program that is not ours.

import { execFileSync } from "node:child_process";

export function ffmpeg(...args) {
  execFileSync("ffmpeg", ["-loglevel", "error", "-y", ...args], { stdio: ["ignore", "ignore", "inherit"] });
}
