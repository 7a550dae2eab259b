import { install } from "../fledge-speech.js";

install({ model: "english-small" });

const STEPS = { up: [0, -10], down: [0, 10], left: [-10, 0], right: [10, 0] };
const dot = document.querySelector("#field circle");
const status = document.querySelector("#status");

function move([x, y]) {
  const place = (name, by, most) => dot.setAttribute(name, Math.min(most, Math.max(0, Number(dot.getAttribute(name)) + by)));
  place("cx", x, 100);
  place("cy", y, 60);
}

const recognition = new SpeechRecognition();
recognition.lang = "en-US";
recognition.continuous = true;
recognition.onstart = () => (status.textContent = "Listening");
recognition.onend = () => (status.textContent = "");
recognition.onerror = ({ error, message }) => (status.textContent = `${error}: ${message}`);
recognition.onresult = ({ results, resultIndex }) => {
  const { transcript } = results[resultIndex][0];
  status.textContent = `Heard “${transcript}”`;
  for (const word of transcript.split(" ")) if (STEPS[word]) move(STEPS[word]);
};

document.querySelector("#listen").addEventListener("click", () => recognition.start());
