import { load } from "../fledge.js";

const find = (id) => document.querySelector(id);
const status = find("#status");

/** At most seven seconds and ten words to a subtitle. */
function cues(words) {
  const cues = [];
  for (const word of words) {
    const last = cues.at(-1);
    if (last && word.end - last[0].start < 7 && last.length < 10 && word.start - last.at(-1).end < 0.8) last.push(word);
    else cues.push([word]);
  }
  return cues;
}

const clock = (secs) => new Date(secs * 1000).toISOString().slice(11, 23);

find("#file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  status.textContent = "Fetching the model…";
  const recognizer = await load("english-medium");
  try {
    const onProgress = ({ done, total }) => (status.textContent = `Heard ${clock(done)}${total ? ` of ${clock(total)}` : ""}…`);
    const { words } = await recognizer.transcribe(file, { onProgress });
    const text = cues(words).map((cue) => `\n${clock(cue[0].start)} --> ${clock(cue.at(-1).end)}\n${cue.map((word) => word.text).join(" ")}\n`);
    const url = URL.createObjectURL(new Blob(["WEBVTT\n", ...text], { type: "text/vtt" }));
    const video = find("#video");
    video.src = URL.createObjectURL(file);
    video.innerHTML = `<track default kind="captions" srclang="en" label="English" src="${url}">`;
    find("#save").href = url;
    for (const id of ["#video", "#save"]) find(id).hidden = false;
    status.textContent = `${text.length} subtitles.`;
  } catch (error) {
    status.textContent = `No subtitles: ${error.message}.`;
  } finally {
    await recognizer.dispose();
  }
});
