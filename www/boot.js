// Starts the page's program, and says so where that fails: nothing else on the page could. Then has the
// page kept for visits without a network.

/** Has kept what came before there was anybody to keep it. */
function tellFetched() {
  const addresses = performance.getEntriesByType("resource").map(({ name }) => name);
  // What workers import is not among them.
  const imported = addresses.filter((address) => address.endsWith("_bg.wasm")).map((address) => address.replace("_bg.wasm", ".js"));
  navigator.serviceWorker.controller?.postMessage({ fetched: [...addresses, ...imported] });
}

async function keepForOffline() {
  const offer = document.querySelector("#update");
  if (!navigator.serviceWorker.controller) navigator.serviceWorker.addEventListener("controllerchange", tellFetched, { once: true });
  const registration = await navigator.serviceWorker.register("sw.js");
  const show = () => {
    // Without a controller this is the first visit, and there is nothing to change to.
    if (registration.waiting && navigator.serviceWorker.controller) offer.hidden = false;
  };
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", show));
  show();
  offer.querySelector("button").addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    registration.waiting?.postMessage("take over");
  });
}

/** Fetches beside the page's program what that will ask for first. */
function fetchAhead(path) {
  const link = document.createElement("link");
  Object.assign(link, { rel: "preload", as: "fetch", crossOrigin: "", fetchPriority: "low", href: path });
  document.head.append(link);
}
fetchAhead("models/catalog.json");
// Whoever has a GPU begins on the processor, too, unless told otherwise.
if (new URLSearchParams(location.search).get("engine") !== "webgpu") fetchAhead("engine-cpu_bg.wasm");

try {
  const { default: start } = await import("./page.js");
  await start({ module_or_path: new URL("page_bg.wasm", document.baseURI) });
} catch (error) {
  const place = document.querySelector("#error");
  place.textContent = `The page's program could not be started (${error?.message ?? error}). Reload the page; an old browser may lack WebAssembly or its vectors.`;
  place.hidden = false;
  document.querySelector("#status").textContent = "Not working.";
  console.error(error);
}

// Once the first engine is there, so that nothing competes with it for the line.
if (navigator.serviceWorker) {
  const status = document.querySelector("#engine-status");
  const whenReady = () => {
    if (!/ready|failed/.test(status.className)) return;
    watching.disconnect();
    keepForOffline().catch((error) => console.info(`The page is not kept for later: ${error.message}`));
  };
  const watching = new MutationObserver(whenReady);
  watching.observe(status, { attributes: true });
  whenReady();
}
