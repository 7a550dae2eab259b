//! Files and sample clips: from a click to words.

use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Element, File, HtmlElement, Url};

use super::{
    app::{Activity, App},
    dom::{by_id, clear, create, create_text, listen, words_of},
    fetch,
    worker_client::Failure,
};
use crate::{
    catalog::{SampleClip, SampleIndex},
    figures,
    protocol::{Request, Response, WordErrors},
};

pub struct Clip {
    pub url: String,
    pub sample: SampleClip,
}

impl App {
    /// Fills the list of sample clips.
    pub async fn read_samples(self: &Rc<Self>) -> Result<(), String> {
        let words = |error: JsValue| words_of(&error);
        let index: SampleIndex =
            fetch::json(&fetch::resolve("samples/index.json").map_err(words)?).await?;
        let list: Element = by_id("samples").map_err(words)?;
        clear(&list);
        let note: HtmlElement = by_id("samples-note").map_err(words)?;
        note.set_text_content(Some(&index.note));
        for (number, sample) in index.clips.into_iter().enumerate() {
            let url = fetch::resolve(&format!("samples/{}", sample.file)).map_err(words)?;
            let label = match sample.secs {
                Some(secs) => format!("Clip {} · {secs:.1} s", number + 1),
                None => format!("Clip {}", number + 1),
            };
            self.add_clip_button(&list, number, &label).map_err(words)?;
            self.clips.borrow_mut().push(Clip { url, sample });
        }
        Ok(())
    }

    fn add_clip_button(
        self: &Rc<Self>,
        list: &Element,
        number: usize,
        label: &str,
    ) -> Result<(), JsValue> {
        let item = create("li", "")?;
        let button = create_text("button", "chip", label)?;
        button.set_attribute("type", "button")?;
        let app = self.clone();
        listen(&button, "click", move |_| {
            let app = app.clone();
            spawn_local(async move { app.transcribe_sample(number).await });
        });
        item.append_child(&button)?;
        list.append_child(&item)?;
        Ok(())
    }

    pub fn accept_file(self: Rc<Self>, file: File) {
        // The field is disabled then, but dropping always works.
        if self.activity() != Activity::Idle || self.students.borrow().is_empty() {
            self.show_error("The page is not ready for a file yet. Drop it again in a moment.");
            return;
        }
        spawn_local(async move {
            let name = file.name();
            // A player for an empty file would only complain.
            let url = (file.size() > 0.0)
                .then(|| Url::create_object_url_with_blob(&file).ok())
                .flatten();
            if let Some(old) = self.object_url.replace(url.clone()) {
                let _ = Url::revoke_object_url(&old);
            }
            self.show_player(url.as_deref());
            match JsFuture::from(file.array_buffer()).await {
                Ok(buffer) => {
                    let bytes = Uint8Array::new(&buffer);
                    self.transcribe(&name, bytes, None).await;
                }
                Err(error) => {
                    self.show_error(&format!("{name} could not be read: {}", words_of(&error)));
                }
            }
        });
    }

    async fn transcribe_sample(self: Rc<Self>, number: usize) {
        let Some((url, text)) = self
            .clips
            .borrow()
            .get(number)
            .map(|clip| (clip.url.clone(), clip.sample.text.clone()))
        else {
            return;
        };
        if self.activity() != Activity::Idle {
            return;
        }
        self.show_player(Some(&url));
        match fetch::bytes(&url).await {
            Ok(bytes) => {
                let name = format!("Clip {}", number + 1);
                self.transcribe(&name, bytes, Some(text)).await;
            }
            Err(error) => self.show_error(&error),
        }
    }

    fn show_player(&self, url: Option<&str>) {
        match url {
            Some(url) => self.ui.player.set_src(url),
            None => {
                let _ = self.ui.player.remove_attribute("src");
            }
        }
        self.ui.player.set_hidden(url.is_none());
    }

    /// Hides what belongs to the last result.
    pub fn begin_result(&self, placeholder: &str) {
        self.cancelled.set(false);
        self.show_error("");
        self.ui.view.reset(placeholder);
    }

    pub fn hide_player(&self) {
        self.show_player(None);
    }

    async fn transcribe(self: &Rc<Self>, name: &str, bytes: Uint8Array, truth: Option<String>) {
        if self.activity() != Activity::Idle {
            return;
        }
        self.set_activity(Activity::Working);
        self.begin_result("Listening to the clip…");
        let answer = self.transcribe_file(&bytes, truth.clone()).await;
        match answer {
            Ok((response, notices)) => {
                self.show_result(&response, truth.as_deref(), &notices);
            }
            Err(_) if self.cancelled.get() => self.ui.view.set_placeholder("Cancelled."),
            Err(failure) => {
                self.ui.view.set_placeholder("Words will appear here.");
                self.show_error(&format!("{name}: {}.", failure.message));
            }
        }
        if self.activity() == Activity::Working {
            self.set_activity(Activity::Idle);
        }
    }

    async fn transcribe_file(
        self: &Rc<Self>,
        bytes: &Uint8Array,
        reference: Option<String>,
    ) -> Result<(Response, Vec<String>), Failure> {
        self.show_work(None, "Reading the file");
        let audio = self.decode_file(bytes).await;
        self.hide_progress();
        let audio = audio?;
        let request = Request::Transcribe {
            sample_rate_hz: audio.sample_rate_hz,
            reference,
        };
        let answer = self
            .ask(self.selected.get(), &request, Some(&audio.samples))
            .await?;
        Ok((answer, audio.notices))
    }

    fn show_result(&self, response: &Response, truth: Option<&str>, notices: &[String]) {
        let Response::Transcribed {
            transcript,
            audio_secs,
            recognize_ms,
            errors,
            cancelled,
            ..
        } = response
        else {
            return;
        };
        let view = &self.ui.view;
        let shown = view.push_final(transcript).and_then(|()| match truth {
            Some(text) => view.show_truth(text, &verdict(errors.as_ref())),
            None => Ok(()),
        });
        if let Err(error) = shown {
            web_sys::console::error_1(&error);
        }
        let speed = audio_secs * 1e3 / recognize_ms.max(0.01);
        let cut = if *cancelled {
            "cancelled, so far: "
        } else {
            ""
        };
        view.set_note(&format!(
            "{cut}{audio_secs:.1} s of audio in {}, {} real time{}",
            figures::milliseconds(*recognize_ms),
            times(speed),
            told(notices)
        ));
        if transcript.text.is_empty() {
            view.set_placeholder("No words were heard.");
        }
    }
}

/// What the reader said of the file, as sentences after another.
fn told(notices: &[String]) -> String {
    notices
        .iter()
        .map(|notice| format!(". The file {notice}"))
        .collect()
}

/// `27×`, `0.4×`.
fn times(factor: f64) -> String {
    if factor < 9.95 {
        format!("{factor:.1}×")
    } else {
        format!("{factor:.0}×")
    }
}

fn verdict(errors: Option<&WordErrors>) -> String {
    match errors {
        Some(errors) if errors.errors == 0 => "Every word is right.".to_owned(),
        Some(errors) => format!(
            "{} of {} words wrong.",
            errors.errors, errors.reference_words
        ),
        None => String::new(),
    }
}
