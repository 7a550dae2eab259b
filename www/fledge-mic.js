// A microphone for a text field, in one line:
//
//   <script type="module" src="fledge/fledge-mic.js"></script>
//   <textarea id="note"></textarea> <fledge-mic for="note"></fledge-mic>
//
// Attributes: `for`, the id of a text field (default: the field before it); `model` (default
// "english-small"); `base-url`, the folder of models; `language-model`, "none", "small" (default) or
// "large". What is said goes where the cursor is. The field fires `input` and `change` as if it were
// typed, so forms and frameworks notice.

import { load } from "./fledge.js";

const STYLE = `
  :host { display: inline-flex; align-items: center; gap: 0.5em; }
  button { font: inherit; min-width: 44px; min-height: 44px; border: 1px solid currentColor; border-radius: 50%; background: transparent; color: inherit; cursor: pointer; }
  button[aria-pressed="true"] { background: #b3331f; color: #fff; border-color: #b3331f; }
  button:focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
  svg { width: 1.4em; height: 1.4em; fill: none; stroke: currentColor; stroke-width: 3; stroke-linecap: round; vertical-align: middle; }
  span:empty { display: none; }
`;
const ICON = `<svg viewBox="0 0 48 48" aria-hidden="true"><rect x="18" y="7" width="12" height="22" rx="6"/><path d="M12 23v1a12 12 0 0 0 24 0v-1M24 36v6M17 42h14"/></svg>`;

/** Recognizers by model: every microphone of a page shares them. */
const recognizers = new Map();

class FledgeMic extends HTMLElement {
  #button;
  #status;
  #session;

  connectedCallback() {
    if (this.#button) return;
    const root = this.attachShadow({ mode: "open" });
    // A style sheet of the element's own, which a strict policy allows.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = `<button type="button" aria-pressed="false">${ICON}</button><span role="status"></span>`;
    this.#button = root.querySelector("button");
    this.#status = root.querySelector("span");
    this.#button.addEventListener("click", () => (this.#session ? this.stop() : this.start()));
    this.#label();
  }

  disconnectedCallback() {
    this.#session?.abort();
    this.#session = undefined;
  }

  /** The text field that is written to. */
  get field() {
    const name = this.getAttribute("for");
    return name ? this.getRootNode().getElementById(name) : this.previousElementSibling;
  }

  #label() {
    const name = this.field?.labels?.[0]?.textContent.trim() || this.field?.getAttribute("aria-label") || "the field";
    this.#button.setAttribute("aria-label", this.#session ? "Stop dictating" : `Dictate into ${name}`);
    this.#button.setAttribute("aria-pressed", String(Boolean(this.#session)));
  }

  #say(text) {
    this.#status.textContent = text;
  }

  async #recognizer() {
    const model = this.getAttribute("model") ?? "english-small";
    const baseUrl = this.getAttribute("base-url") ?? undefined;
    const languageModel = this.getAttribute("language-model") ?? "small";
    const key = JSON.stringify([model, baseUrl, languageModel]);
    if (!recognizers.has(key)) recognizers.set(key, load(model, { baseUrl, languageModel }));
    const loading = recognizers.get(key);
    loading.catch(() => recognizers.delete(key));
    return loading;
  }

  async start() {
    this.#say("Getting ready…");
    try {
      const session = (await this.#recognizer()).live();
      this.#session = session;
      session.addEventListener("final", ({ detail }) => this.#write(detail.text));
      session.addEventListener("error", ({ detail }) => this.#say(detail.message));
      session.addEventListener("state", ({ detail }) => detail === "stopped" && this.#ended(session));
      await session.start();
      this.#say("Listening");
      this.#label();
    } catch (error) {
      this.#ended(this.#session);
      this.#say(error.message);
    }
  }

  async stop() {
    this.#say("");
    await this.#session?.stop();
  }

  #ended(session) {
    if (session !== this.#session) return;
    this.#session = undefined;
    if (this.#status.textContent === "Listening") this.#say("");
    this.#label();
  }

  /** At the cursor, with a space where words would touch. */
  #write(text) {
    const { field } = this;
    if (!text || !field || field.disabled || field.readOnly) return;
    const start = field.selectionStart ?? field.value.length;
    const end = field.selectionEnd ?? start;
    const before = field.value.slice(0, start);
    const after = field.value.slice(end);
    const gap = /\S$/.test(before) ? " " : "";
    const rest = /^\S/.test(after) ? " " : "";
    field.setRangeText(gap + text + rest, start, end, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText", data: text }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

customElements.define("fledge-mic", FledgeMic);
