import { load } from "../../fledge.js";

const phrases = ["[go] <way:way> [<digit:steps>]", "stop", "<way> = up | down | left | right"];
const WAYS = { up: [0, -5], down: [0, 5], left: [-5, 0], right: [5, 0] };
const find = (selector) => document.querySelector(selector);
const [line, pen, button, status] = ["polyline", "circle", "#listen", "#status"].map(find);
let [x, y] = [50, 30];

function draw(way, steps = 1) {
  x = Math.min(100, Math.max(0, x + WAYS[way][0] * steps));
  y = Math.min(60, Math.max(0, y + WAYS[way][1] * steps));
  line.setAttribute("points", `${line.getAttribute("points")} ${x},${y}`);
  pen.setAttribute("cx", x);
  pen.setAttribute("cy", y);
  status.textContent = `${way} ${steps}`;
}
for (const way of Object.keys(WAYS)) find(`#${way}`).addEventListener("click", () => draw(way));

try {
  const recognizer = await load("english-small", { languageModel: false });
  status.textContent = "Ready";
  button.disabled = false;
  let session;
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-pressed") === "true") return session.stop();
    session = recognizer.live({ phrases });
    session.addEventListener("phrase", ({ detail: { text, slots } }) => (text === "stop" ? session.stop() : draw(slots.way, Number(slots.steps ?? 1))));
    session.addEventListener("final", ({ detail }) => detail.phrases.length || (status.textContent = "None of these"));
    session.addEventListener("state", ({ detail }) => button.setAttribute("aria-pressed", String(detail !== "stopped")));
    session.start().catch((error) => (status.textContent = error.message));
  });
} catch (error) {
  status.textContent = error.message;
}
