// A visitor who is a script of the page itself: for browsers that no driver of ours knows. The tests put
// it ahead of the page's own scripts, so that it hears every complaint. It chooses a recording, and tells
// the server what it saw.

const { clip, student } = document.currentScript.dataset;
const complaints = [];
const complain = (what, told) => complaints.push(`${what}: ${told}`);
addEventListener("error", ({ message }) => complain("error", message));
addEventListener("unhandledrejection", ({ reason }) => complain("unhandled", reason));
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => complain("policy", `${violatedDirective} by ${blockedURI}`));
for (const level of ["error", "warn"]) console[level] = (...told) => complain(level, told.join(" "));

const tell = (told) => fetch("told", { method: "POST", body: JSON.stringify(told) });
const find = (selector) => document.querySelector(selector);

async function until(what, holds, timeout_ms = 180_000) {
  for (const start = performance.now(); !holds(); ) {
    if (performance.now() - start > timeout_ms) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const state = (name) => until(`the state ${name}`, () => document.body.dataset.state === name);
const words = () => [...find(`.lane[aria-label="${student}"]`).querySelectorAll(".word")].map((word) => word.textContent).join(" ");

async function hear() {
  const bytes = await (await fetch(clip)).arrayBuffer();
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "clip"));
  find("#file").files = transfer.files;
  find("#file").dispatchEvent(new Event("change"));
  await state("working");
  await state("idle");
}

async function visit() {
  await until("an engine", () => find("#engine-status.ready, #engine-status.failed"));
  await state("idle");
  for (const label of document.querySelectorAll("#lane-switches label")) {
    const input = label.querySelector("input");
    if (input.checked !== label.textContent.trim().startsWith(student)) input.click();
  }
  await hear();
  const heard = words();
  return { heard, engine: find("#engine-text").textContent, shown: find("#error").hidden ? "" : find("#error").textContent };
}

addEventListener("DOMContentLoaded", () => {
  visit()
    .catch((error) => ({ failed: String(error.message), status: find("#status").textContent, shown: find("#error").textContent }))
    .then((told) => tell({ ...told, complaints, agent: navigator.userAgent }));
});
