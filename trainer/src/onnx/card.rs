//! The cards of the folders: whose model it is, and how each program runs it.

use std::fmt::Write as _;

use shared_model::bundle::{LoadedModel, Precision};

use super::GRAPH_FILE;
use super::folders::{Audience, waveform_file};

/// Programs that the cards show; `scripts/check-interchange.sh` runs them as the cards have them.
const SHERPA_PYTHON: &str = include_str!("examples/sherpa.py");
const SHERPA_C: &str = include_str!("examples/sherpa.c");
const SHERPA_NODE: &str = include_str!("examples/sherpa.cjs");
const OMNILINGUAL_PYTHON: &str = include_str!("examples/omnilingual.py");
const PIPELINE: &str = include_str!("examples/pipeline.mjs");

/// Bands of which programs need not be told.
const USUAL_BANDS: usize = 80;

/// The text of `README.md` in a folder that is called `name`.
pub(super) fn card(model: &LoadedModel, audience: Audience, name: &str, has_graph: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(&mut text, model, audience, name);
    let _ = match audience {
        Audience::Sherpa => write_sherpa(&mut text, model, has_graph),
        Audience::TransformersJs => write_transformers_js(&mut text, model, name),
    };
    let _ = write_measured(&mut text, model);
    text
}

fn write_head(
    out: &mut String,
    model: &LoadedModel,
    audience: Audience,
    name: &str,
) -> std::fmt::Result {
    let card = &model.card;
    // JSON strings are YAML strings.
    let quoted =
        |text: &str| serde_json::Value::from(text.split_whitespace().collect::<Vec<_>>().join(" "));
    let library = match audience {
        Audience::Sherpa => "sherpa-onnx",
        Audience::TransformersJs => "transformers.js",
    };
    writeln!(
        out,
        "---\nlicense: {}\nlanguage: {}",
        quoted(&card.license),
        quoted(&card.language)
    )?;
    writeln!(
        out,
        "library_name: {library}\npipeline_tag: automatic-speech-recognition\n---\n"
    )?;
    writeln!(out, "# {name}\n\n{}, for {library}.", card.description)?;
    let weights = match model.manifest.precision {
        Precision::Int8 => {
            "int8 with a scale for each output channel, expanded to f32 when the file is loaded"
        }
        Precision::F32 | Precision::F16 => "f32",
    };
    writeln!(
        out,
        "{} parameters, stored as {weights}. Input: 16 kHz mono.\n",
        model.manifest.parameters
    )
}

fn write_sherpa(out: &mut String, model: &LoadedModel, has_graph: bool) -> std::fmt::Result {
    let n_mels = model.model.n_mels;
    let told = |program: &str, usual: &str, other: &str| match n_mels {
        USUAL_BANDS => program.to_owned(),
        _ => program.replace(usual, &format!("{usual}{other}")),
    };
    let python = told(
        SHERPA_PYTHON,
        "num_threads=1",
        &format!(", feature_dim={n_mels}"),
    );
    let c = SHERPA_C.replace("feature_dim = 80", &format!("feature_dim = {n_mels}"));
    let features = format!("\n  featConfig: {{ sampleRate: 16000, featureDim: {n_mels} }},");
    let node = told(SHERPA_NODE, "createOfflineRecognizer({", &features);
    writeln!(
        out,
        "It is one of sherpa-onnx's `zipformer_ctc` models; 40 ms a frame, batches of any size.\n"
    )?;
    write_program(
        out,
        "Python",
        "pip install sherpa-onnx numpy\npython transcribe.py clip.wav",
        "python",
        &python,
    )?;
    writeln!(out, "## Command line of the C++ build\n")?;
    writeln!(
        out,
        "```sh\nsherpa-onnx-offline --zipformer-ctc-model=model.onnx --tokens=tokens.txt clip.wav\n```\n"
    )?;
    let build = "cc transcribe.c -I$SHERPA/include -L$SHERPA/lib -lsherpa-onnx-c-api -Wl,-rpath,$SHERPA/lib -o transcribe\n\
                 ./transcribe clip.wav";
    write_program(out, "C", build, "c", &c)?;
    writeln!(
        out,
        "`$SHERPA` is where the libraries are: in the Python package, the folder `sherpa_onnx`.\n"
    )?;
    let npm = "npm install sherpa-onnx\nnode transcribe.cjs clip.wav";
    write_program(out, "Node and browsers (WebAssembly)", npm, "js", &node)?;
    writeln!(
        out,
        "In the browser build, `new OfflineRecognizer(config, Module)` of `sherpa-onnx-asr.js` takes the same \
         configuration, with `model.onnx` and `tokens.txt` in the module's file system.\n"
    )?;
    if has_graph {
        writeln!(
            out,
            "## Language model\n\n`{GRAPH_FILE}` has the words that the language model knows, their likelihood after one \
             another, and CTC's rules. In Python pass `ctc_graph=\"{GRAPH_FILE}\"` to `from_zipformer_ctc`; in C set \
             `config.ctc_fst_decoder_config.graph = \"{GRAPH_FILE}\"` and `.max_active = 3000`; the command line has \
             `--ctc.graph={GRAPH_FILE}`. The WebAssembly builds have no such decoder.\n"
        )?;
    }
    write_level(out, model)
}

/// What sherpa-onnx does not do to the audio, and what helps.
fn write_level(out: &mut String, model: &LoadedModel) -> std::fmt::Result {
    if !model.features.level_gain {
        return Ok(());
    }
    writeln!(
        out,
        "## Level\n\nFledge brings a clip to one level before it listens: the loud frames of speech to an RMS of 0.1 \
         (-20 dBFS). sherpa-onnx does not, and very quiet speech loses words to the floor of the logarithm. For \
         that multiply the samples (they need not stay below 1), or use \
         the folder that `fledge export --format onnx --for transformers-js` writes: its file has the gain inside, and sherpa-onnx \
         runs it as `omnilingual`.\n"
    )
}

fn write_transformers_js(out: &mut String, model: &LoadedModel, name: &str) -> std::fmt::Result {
    let (file, _) = waveform_file(model.manifest.precision);
    writeln!(
        out,
        "`{file}` takes samples, f32 `[1, num_samples]`, and gives natural-log probabilities, f32 `[1, frames, {}]`, a \
         frame each 20 ms. Features and level are computed inside: bring nothing but 16 kHz.\n",
        model.model.vocab_size
    )?;
    let install = "npm install @huggingface/transformers";
    write_program(
        out,
        "transformers.js",
        install,
        "js",
        &PIPELINE.replace("NAME", name),
    )?;
    writeln!(
        out,
        "For a folder of your own, set `env.localModelPath` to the folder around this one and `env.allowRemoteModels` \
         to `false` first (`env` comes from the same package).\n"
    )?;
    let python = OMNILINGUAL_PYTHON.replace("MODEL_FILE", file);
    let install = "pip install sherpa-onnx numpy\npython transcribe.py clip.wav";
    writeln!(out, "sherpa-onnx runs the file as `omnilingual`.\n")?;
    write_program(out, "sherpa-onnx", install, "python", &python)
}

fn write_program(
    out: &mut String,
    title: &str,
    commands: &str,
    language: &str,
    program: &str,
) -> std::fmt::Result {
    writeln!(
        out,
        "## {title}\n\n```sh\n{commands}\n```\n\n```{language}\n{program}```\n"
    )
}

fn write_measured(out: &mut String, model: &LoadedModel) -> std::fmt::Result {
    let evaluations = &model.manifest.evaluations;
    if !evaluations.is_empty() {
        writeln!(
            out,
            "## Word error rate\n\nMeasured by Fledge, with its own engine and decoder.\n"
        )?;
        writeln!(
            out,
            "| test set | decoder | WER % | words |\n| --- | --- | ---: | ---: |"
        )?;
        for measured in evaluations {
            let lm = measured
                .lm
                .as_ref()
                .map_or(String::new(), |lm| format!(" with {lm}"));
            let (set, decoder, wer) = (&measured.set, &measured.decoder, 100.0 * measured.wer);
            writeln!(
                out,
                "| {set} | {decoder}{lm} | {wer:.2} | {} |",
                measured.words
            )?;
        }
        writeln!(out)?;
    }
    for (title, lines) in [("Data", &model.card.data), ("Limits", &model.card.limits)] {
        if !lines.is_empty() {
            writeln!(out, "## {title}\n")?;
            lines
                .iter()
                .try_for_each(|line| writeln!(out, "- {line}"))?;
            writeln!(out)?;
        }
    }
    writeln!(out, "## Licence\n\n{}", model.card.license)
}
