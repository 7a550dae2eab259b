"""Holds exported models in other programs against Fledge; see scripts/check-interchange.sh."""
import argparse, hashlib, json, re, subprocess, sys, time, wave
from pathlib import Path

import numpy as np, onnxruntime, sherpa_onnx, soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/python"))
import log_probs as numpy_reader

LOG_PROB_TOLERANCE = 1e-4
WER_TOLERANCE = 0.005
START_TOLERANCE_SECS = 0.040
MOST_EXTRA_BYTES = 40_000
WINDOW_SECS = 20.0  # longer clips are heard in several windows by Fledge, in one by the others
RATE_HZ = 16_000

parser = argparse.ArgumentParser()
for name in ("fledge", "model", "manifest", "lm", "out", "node-modules"):
    parser.add_argument(f"--{name}", type=Path, required=True)
parser.add_argument("--limit", type=int)
ARGS = parser.parse_args()
OUT = ARGS.out
failures = []


def check(holds, what):
    """A line of the report; one that does not hold ends the script with an error."""
    print(f"- {'ok' if holds else '**FAILED**'}: {what}", flush=True)
    if not holds:
        failures.append(what)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"error: {command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def write_clips():
    """16-bit WAV files of the manifest's utterances, and a manifest of them: the same samples for all."""
    folder = OUT / "clips"
    folder.mkdir()
    clips = []
    for at, entry in enumerate(lines(ARGS.manifest.read_text())[: ARGS.limit]):
        source = next(p for p in (ARGS.manifest.parent, ARGS.manifest.parent.parent) if (p / entry["audio_filepath"]).exists())
        with soundfile.SoundFile(source / entry["audio_filepath"]) as audio:
            if audio.samplerate != RATE_HZ:
                continue
            audio.seek(round(entry.get("offset", 0) * RATE_HZ))
            samples = audio.read(round(entry["duration"] * RATE_HZ), dtype="float32", always_2d=True).mean(1)
        path = (folder / f"{at:04}.wav").resolve()
        with wave.open(str(path), "wb") as out:
            out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            out.writeframes(np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes())
        clips.append({"audio_filepath": str(path), "duration": len(samples) / RATE_HZ, "text": entry["text"]})
    (OUT / "clips.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    (OUT / "clips.txt").write_text("".join(clip["audio_filepath"] + "\n" for clip in clips))
    return clips


def read(path):
    with wave.open(str(path)) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), np.int16).astype(np.float32) / 32768


def without_gain(folder):
    """A copy of a model folder that takes audio at the level it has, as sherpa-onnx does."""
    copy = OUT / "without-gain"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    config["features"]["level_gain"] = False
    (copy / "config.json").write_text(json.dumps(config))
    manifest = json.loads((copy / "manifest.json").read_text())
    content = (copy / "config.json").read_bytes()
    for entry in manifest["files"]:
        if entry["name"] == "config.json":
            entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    # The manifest's own digest is taken with zeros in its place.
    manifest["manifest_sha256"] = "0" * 64
    sealed = json.dumps(manifest, indent=2, ensure_ascii=False)
    digest = hashlib.sha256(sealed.encode()).hexdigest()
    (copy / "manifest.json").write_text(sealed.replace("0" * 64, digest))
    return copy


def evaluate(model, *options):
    hypotheses = OUT / "hypotheses.jsonl"
    report = json.loads(run(ARGS.fledge, "evaluate", "--model", model, "--manifest", OUT / "clips.jsonl", "--json",
                            "--device", "cpu", "--quiet", "--hypotheses", hypotheses, *options))
    return [entry["pred_text"] for entry in lines(hypotheses.read_text())], report["real_time_factor"]


def in_sherpa(recognizer, clips, batch=1):
    """Texts, token times and real-time factor."""
    results, spent, heard = [], 0.0, 0.0
    for at in range(0, len(clips), batch):
        samples = [read(clip["audio_filepath"]) for clip in clips[at : at + batch]]
        start = time.perf_counter()
        streams = [recognizer.create_stream() for _ in samples]
        for stream, clip in zip(streams, samples):
            stream.accept_waveform(RATE_HZ, clip)
        recognizer.decode_streams(streams)
        spent += time.perf_counter() - start
        heard += sum(map(len, samples)) / RATE_HZ
        results += [stream.result for stream in streams]
    return results, spent / heard


def normalized(text):
    """As `fledge evaluate` writes hypotheses: no apostrophes around words."""
    words = (word.strip("'") for word in text.split())
    return " ".join(word for word in words if word)


def texts(results):
    return [normalized(result.text) for result in results]


def in_node(script, folder, clips, *more):
    output = lines(run("node", ROOT / "scripts/interchange" / script, folder, OUT / "clips.txt", *more))
    spent = sum(line["ms"] for line in output) / 1e3
    return [normalized(line["text"]) for line in output], spent / sum(clip["duration"] for clip in clips)


def word_errors(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        row, above = [i], row
        for j, other in enumerate(hypothesis, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def wer(clips, hypotheses):
    pairs = [(clip["text"].split(), text.split()) for clip, text in zip(clips, hypotheses)]
    return sum(word_errors(*pair) for pair in pairs) / sum(len(reference) for reference, _ in pairs)


def equal(name, clips, ours, theirs):
    """How many texts are the same; those of clips that Fledge hears in one window have to be."""
    other = [at for at, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]]
    short = [at for at in other if clips[at]["duration"] <= WINDOW_SECS]
    check(not short, f"{name}: {len(ours) - len(other)} of {len(ours)} texts as Fledge's; {len(short)} of clips up to "
                     f"{WINDOW_SECS:.0f} s differ")
    for at in short[:3]:
        print(f"  - {clips[at]['audio_filepath']}: \"{ours[at]}\" / \"{theirs[at]}\"")


def check_log_probs(clips):
    """onnxruntime and the NumPy reader on Fledge's own features."""
    clip = max((c for c in clips if c["duration"] <= WINDOW_SECS), key=lambda c: c["duration"])
    for folder in (ARGS.model, OUT / "model-f32", OUT / "model-f16"):
        run(ARGS.fledge, "transcribe", clip["audio_filepath"], "--model", folder, "--device", "cpu", "--quiet",
            "--expand-int8", "--log-probs", OUT / "ours.json", "--features", OUT / "features.json")
        ours = np.array(json.loads((OUT / "ours.json").read_text()))
        features = np.array(json.loads((OUT / "features.json").read_text()), np.float32)
        worst = np.abs(numpy_reader.log_probs(*numpy_reader.read(folder), features) - ours).max()
        check(worst <= LOG_PROB_TOLERANCE, f"NumPy reader on {folder.name}: log-probabilities differ by {worst:.1e} at most")
        if folder == ARGS.model:
            file = str(OUT / "int8" / sherpa_folder() / "model.onnx")
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            found, _ = session.run(None, {"x": features[None], "x_lens": np.array([len(features)])})
            worst = np.abs(found[0, :: len(found[0]) // len(ours)] - ours).max()
            check(worst <= LOG_PROB_TOLERANCE, f"onnxruntime: log-probabilities differ by {worst:.1e} at most")


def sherpa_folder():
    return f"{ARGS.model.resolve().name}-sherpa"


def waveform_folder():
    return f"{ARGS.model.resolve().name}-transformers-js"


def waveform_model(precision):
    return next((OUT / precision / waveform_folder() / "onnx").glob("*.onnx"))


def check_sizes():
    for precision, stored in (("int8", ARGS.model), ("f32", OUT / "model-f32")):
        ours = next(stored.glob("*.safetensors")).stat().st_size
        for file in (OUT / precision / sherpa_folder() / "model.onnx", waveform_model(precision)):
            size = file.stat().st_size
            check(size <= ours + MOST_EXTRA_BYTES, f"{precision} {file.name}: {size:,} bytes, {size - ours:,} more than the safetensors")
    graph = OUT / "int8" / sherpa_folder() / "HLG.fst"
    print(f"- {graph.name}: {graph.stat().st_size:,} bytes")


def check_starts(clips, results, ours):
    """Where words begin, in clips with the same text."""
    differences = []
    for clip, result, text in zip(clips, results, ours):
        if normalized(result.text) != text or result.text.split() != text.split() or clip["duration"] > WINDOW_SECS or not text:
            continue
        heard = json.loads(run(ARGS.fledge, "transcribe", clip["audio_filepath"], "--model", OUT / "without-gain", "--json",
                               "--device", "cpu", "--quiet", "--decoder", "greedy"))
        starts, begins = [], True
        for token, secs in zip(result.tokens, result.timestamps):
            if token.strip() and begins:
                starts.append(secs)
            begins = not token.strip()
        differences += [abs(word["start"] - secs) for word, secs in zip(heard["words"], starts, strict=True)]
        if len(differences) > 500:
            break
    worst = max(differences)
    check(worst <= START_TOLERANCE_SECS + 1e-3, f"sherpa-onnx: {len(differences)} words begin within {worst * 1e3:.0f} ms of Fledge's")


def check_examples(clips):
    """The programs of the cards, as the cards have them."""
    clip, n = clips[0]["audio_filepath"], {}
    folder = OUT / "int8" / sherpa_folder()
    package = Path(sherpa_onnx.__file__).parent
    expected = run("python", "-c", code(folder, "python"), clip, cwd=folder).strip()
    (OUT / "transcribe.c").write_text(code(folder, "c"))
    run("cc", OUT / "transcribe.c", f"-I{package}/include", f"-L{package}/lib", "-lsherpa-onnx-c-api",
        f"-Wl,-rpath,{package}/lib", "-o", OUT / "transcribe")
    (OUT / "transcribe.cjs").write_text(code(folder, "js"))
    n["C"] = run(OUT / "transcribe", clip, cwd=folder).strip()
    n["Node"] = run("node", OUT / "transcribe.cjs", clip, cwd=folder).strip()
    other = OUT / "int8" / waveform_folder()
    waveform = run("python", "-c", code(other, "python"), clip, cwd=other).strip()
    check(expected and all(text == expected for text in n.values()), f"the cards' programs in Python, C and Node write \"{expected}\"")
    check(bool(waveform), f"the card's program for omnilingual writes \"{waveform}\"")


def code(folder, language):
    return re.search(rf"```{language}\n(.*?)```", (folder / "README.md").read_text(), re.S).group(1)


def main():
    clips = write_clips()
    hours = sum(clip["duration"] for clip in clips) / 3600
    print(f"# {ARGS.model.name} in other programs\n\n{len(clips)} clips of {ARGS.manifest}, {60 * hours:.1f} minutes\n")
    check_sizes()
    check_log_probs(clips)
    check_examples(clips)
    plain, _ = evaluate(without_gain(ARGS.model), "--expand-int8")
    ours, speed = evaluate(ARGS.model)
    expanded, _ = evaluate(ARGS.model, "--expand-int8")
    with_lm, lm_speed = evaluate(ARGS.model, "--lm", ARGS.lm)
    rows = [("Fledge, greedy", ours, speed)]
    folder = OUT / "int8" / sherpa_folder()
    files = dict(model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"))
    recognizer = sherpa_onnx.OfflineRecognizer.from_zipformer_ctc(**files)
    results, rtf = in_sherpa(recognizer, clips)
    rows.append(("sherpa-onnx, zipformer_ctc", texts(results), rtf))
    equal("sherpa-onnx without our gain", clips, plain, texts(results))
    together, _ = in_sherpa(recognizer, clips, batch=8)
    same = sum(a == b for a, b in zip(texts(together), texts(results)))
    check(same == len(clips), f"sherpa-onnx: {same} of {len(clips)} texts the same in batches of 8")
    check_starts(clips, results, plain)
    text, rtf = in_node("transcribe.cjs", folder, clips)
    rows.append(("sherpa-onnx, WebAssembly", text, rtf))
    equal("sherpa-onnx in WebAssembly", clips, texts(results), text)
    waves = OUT / "int8" / waveform_folder()
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(model=str(waveform_model("int8")), tokens=files["tokens"])
    results, rtf = in_sherpa(recognizer, clips)
    rows.append(("sherpa-onnx, omnilingual", texts(results), rtf))
    equal("sherpa-onnx from the waveform", clips, expanded, texts(results))
    text, rtf = in_node("transcribe.mjs", waves, clips, ARGS.node_modules)
    rows.append(("transformers.js", text, rtf))
    equal("transformers.js", clips, expanded, text)
    rows.append(("Fledge, beam search with language model", with_lm, lm_speed))
    graph = sherpa_onnx.OfflineRecognizer.from_zipformer_ctc(**files, ctc_graph=str(folder / "HLG.fst"))
    results, rtf = in_sherpa(graph, clips)
    rows.append(("sherpa-onnx with HLG.fst", texts(results), rtf))
    rates = [wer(clips, hypotheses) for _, hypotheses, _ in rows]
    for (name, _, _), rate in zip(rows[1:5], rates[1:5]):
        check(abs(rate - rates[0]) <= WER_TOLERANCE, f"{name}: WER {100 * (rate - rates[0]):+.2f} points from Fledge's")
    print("\n| program | WER % | real-time factor, one thread |\n| --- | ---: | ---: |")
    for (name, _, speed), rate in zip(rows, rates):
        print(f"| {name} | {100 * rate:.2f} | {speed:.4f} |")
    if failures:
        sys.exit(f"error: {len(failures)} of the checks above failed")


main()
