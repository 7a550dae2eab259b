// Asks for each phrase, records it, plays it, sends it. The server names the files.
const part = (id) => document.getElementById(id);
let prompts = [];
let current = 0;
let recording = null;
let busy = false;

const say = (text) => { part('status').textContent = text; };

function show() {
  const prompt = prompts[current];
  const done = prompts.filter((one) => one.recorded).length;
  part('prompt').textContent = prompt.text;
  part('record').textContent = recording ? 'Stop' : prompt.recorded ? 'Record again' : 'Record';
  part('record').disabled = busy;
  part('play').disabled = part('delete').disabled = !prompt.recorded || Boolean(recording) || busy;
  part('back').disabled = part('next').disabled = Boolean(recording) || busy;
  part('prompts').replaceChildren(...prompts.map((one, index) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${one.text}${one.recorded ? ' (recorded)' : ''}`;
    button.disabled = Boolean(recording) || busy;
    if (index === current) button.setAttribute('aria-current', 'true');
    button.addEventListener('click', () => go(index));
    item.append(button);
    return item;
  }));
  document.title = `${done} of ${prompts.length} - Record phrases`;
}

function go(index) {
  current = (index + prompts.length) % prompts.length;
  show();
}

/** A WAV file of 16 bits, mono, at the microphone's own rate: the server brings it to 16 kHz. */
function wav(blocks, rate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF'); view.setUint32(4, 36 + 2 * length, true); text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, 'data'); view.setUint32(40, 2 * length, true);
  let at = 44;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true);
      at += 2;
    }
  }
  return view.buffer;
}

const LONGEST_SECS = 19;

async function start() {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  const started = { stream, context, blocks: [], length: 0 };
  try {
    await context.audioWorklet.addModule('capture.js');
    const node = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      started.blocks.push(data);
      started.length += data.length;
      part('level').value = Math.max(...data.map(Math.abs));
      if (started.length > LONGEST_SECS * context.sampleRate && recording === started) stop();
    };
    context.createMediaStreamSource(stream).connect(node);
  } catch (error) {
    close(started);
    throw error;
  }
  recording = started;
  say('Recording. Press Stop when you have said it.');
  show();
}

function close({ stream, context }) {
  stream.getTracks().forEach((track) => track.stop());
  context.close();
  part('level').value = 0;
}

async function send(index, method, body) {
  const answer = await fetch(`takes/${index}`, { method, body });
  if (!answer.ok) throw new Error(await answer.text());
}

async function stop() {
  const finished = recording;
  recording = null;
  close(finished);
  await send(current, 'PUT', wav(finished.blocks, finished.context.sampleRate));
  prompts[current].recorded = true;
  say(`Kept "${prompts[current].text}". Play it, record it again, or go on.`);
  const open = prompts.findIndex((one) => !one.recorded);
  if (open < 0) say('All phrases are recorded. You may close this page.');
}

/** One thing at a time; what fails is told and nothing is lost. */
function action(work) {
  return async () => {
    if (busy) return;
    busy = true;
    show();
    try {
      await work();
    } catch (error) {
      say(error.name === 'NotAllowedError'
        ? 'The microphone was refused: allow it for this page in the browser, then try again.'
        : `That did not work: ${error.message}`);
    }
    busy = false;
    show();
  };
}

part('record').addEventListener('click', action(() => (recording ? stop() : start())));
part('next').addEventListener('click', () => go(current + 1));
part('back').addEventListener('click', () => go(current - 1));
part('play').addEventListener('click', action(async () => {
  const answer = await fetch(`takes/${current}`);
  const url = URL.createObjectURL(await answer.blob());
  const audio = new Audio(url);
  audio.onended = () => URL.revokeObjectURL(url);
  await audio.play();
}));
part('delete').addEventListener('click', action(async () => {
  await send(current, 'DELETE');
  prompts[current].recorded = false;
  say('Deleted.');
}));

prompts = await (await fetch('prompts')).json();
current = Math.max(0, prompts.findIndex((one) => !one.recorded));
show();
