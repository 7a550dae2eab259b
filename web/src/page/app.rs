//! The page as a whole: its parts, what it is doing, and what each control makes of them.

mod own_words;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AudioContext, Blob, HtmlButtonElement, HtmlElement, HtmlInputElement};

use super::{
    check::Check,
    dom::{by_id, document, listen, set_note, window},
    drop_target,
    engines::Engines,
    event::{ListeningEvent, PageEvents},
    fetch,
    hearing::Hearing,
    lanes::{self, Job},
    listening::Listening,
    microphone::Microphone,
    offer::Offer,
    own_words::{Use, WordBox},
    recording::{Recording, Sound},
    said::Said,
    samples,
    settings::Settings,
    storage::Storage,
    stored,
    toolbar::Toolbar,
    turn::{Turn, Turns},
};
use crate::{catalog::SampleSet, engine_choice::Wish};

/// What the page is doing. Nothing is ever locked: whatever the visitor does next takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The list of students is on its way.
    Starting,
    Idle,
    /// The browser asks the visitor for the microphone.
    Asking,
    Listening,
    /// Loading or transcribing.
    Working,
}

pub struct App {
    state: Cell<State>,
    turns: Turns,
    /// What was given last.
    recording: RefCell<Option<Rc<Recording>>>,
    offer: Rc<Offer>,
    engines: Rc<Engines>,
    hearing: Hearing,
    listening: Rc<Listening>,
    said: Said,
    toolbar: Rc<Toolbar>,
    check: Rc<Check>,
    settings: Settings,
    phrases: Rc<WordBox>,
    boosts: Rc<WordBox>,
    storage: Rc<Storage>,
    file: HtmlInputElement,
    cancel: HtmlButtonElement,
    error: HtmlElement,
    status: HtmlElement,
}

impl App {
    pub fn start() -> Result<(), JsValue> {
        let search = window()?.location().search()?;
        let parameters = web_sys::UrlSearchParams::new_with_str(&search)?;
        let wish = parameters.get("engine");
        let wish = wish.map_or(Wish::Automatic, |name| Wish::from_name(&name));
        let family = parameters.get("family");
        let events = PageEvents::default();
        let said = Said::new()?;
        let engines = Rc::new(Engines::new()?);
        let app = Rc::new(Self {
            state: Cell::new(State::Starting),
            turns: Turns::default(),
            recording: RefCell::default(),
            offer: Rc::new(Offer::new()),
            check: Check::new(engines.clone())?,
            engines,
            hearing: Hearing::default(),
            listening: Listening::new(events.clone())?,
            toolbar: Toolbar::new(said.player.clone())?,
            said,
            settings: Settings::new(parameters.get("lm"))?,
            phrases: WordBox::new(Use::Phrases)?,
            boosts: WordBox::new(Use::Boosts)?,
            storage: Rc::new(Storage::new()?),
            file: by_id("file")?,
            cancel: by_id("cancel")?,
            error: by_id("error")?,
            status: by_id("status")?,
        });
        let page = Rc::downgrade(&app);
        events.connect(move |event| {
            if let Some(page) = page.upgrade() {
                page.on_listening(event);
            }
        });
        app.settings.engine.set_value(wish.name());
        app.bind()?;
        app.set_state(State::Starting);
        spawn_local(async move { app.begin_page(wish, family).await });
        Ok(())
    }

    fn bind(self: &Rc<Self>) -> Result<(), JsValue> {
        let app = self.clone();
        listen(&self.listening.button, "click", move |_| app.on_record());
        let app = self.clone();
        listen(&self.cancel, "click", move |_| app.on_cancel());
        let app = self.clone();
        listen(&self.file, "change", move |_| {
            let file = app.file.files().and_then(|files| files.get(0));
            // The same file may be chosen again.
            app.file.set_value("");
            if let Some(file) = file {
                app.accept_file(&file.name(), &file);
            }
        });
        let app = self.clone();
        drop_target::bind(move |file, target| {
            let is_text = file.type_().starts_with("text/") || file.name().ends_with(".jsgf");
            let is_over = |one: &WordBox| target.as_ref().is_some_and(|target| one.holds(target));
            if is_over(&app.boosts) {
                app.boosts.take_file(file.into());
            } else if is_text || is_over(&app.phrases) {
                app.phrases.take_file(file.into());
            } else {
                app.accept_file(&file.name(), &file);
            }
        })?;
        for words in [&self.phrases, &self.boosts] {
            let app = self.clone();
            words.bind(move || {
                let app = app.clone();
                spawn_local(async move { app.on_own_words().await });
            })?;
        }
        self.bind_settings();
        Ok(())
    }

    fn bind_settings(self: &Rc<Self>) {
        let app = self.clone();
        listen(&self.settings.engine, "change", move |_| {
            let app = app.clone();
            spawn_local(async move { app.change_engine().await });
        });
        let app = self.clone();
        listen(&self.settings.lm.group, "change", move |event| {
            app.settings.lm.take(event);
            app.on_choice();
        });
        let app = self.clone();
        listen(&self.settings.family, "change", move |_| {
            let family = app.settings.family.value();
            app.turns.begin();
            app.show_family(&family);
            app.on_choice();
        });
        let app = self.clone();
        listen(&self.storage.clear_button, "click", move |_| {
            let app = app.clone();
            spawn_local(async move {
                stored::clear().await;
                app.refresh_storage();
            });
        });
    }

    async fn begin_page(self: Rc<Self>, wish: Wish, family: Option<String>) {
        let (choosing, sampling, listing) = (self.clone(), self.clone(), self.clone());
        lanes::all(vec![
            Box::pin(async move {
                choosing.engines.choose(wish).await;
                // Beside the lists; a failure shows where the engine is started.
                let engines = choosing.engines.clone();
                spawn_local(async move {
                    let _ = engines.module(engines.kind()).await;
                });
            }),
            Box::pin(async move { sampling.offer.read_samples().await }),
            Box::pin(async move {
                if let Err(message) = listing.offer.read_students().await {
                    listing.show_error(&message);
                }
            }),
        ])
        .await;
        let families = self.offer.families();
        let is_there = |name: &String| families.contains(name);
        let family = family.filter(is_there).or(families.first().cloned());
        let Some(family) = family else {
            return;
        };
        if let Err(error) = self.settings.show_families(&families, &family) {
            web_sys::console::error_1(&error);
        }
        self.show_family(&family);
        // Something may have begun by now.
        if self.state.get() == State::Starting {
            self.set_state(State::Idle);
        }
        self.settings.refresh_devices().await;
        self.warm_up().await;
    }

    /// Starts the engine of the lane that will answer first; a failure shows where the engine does.
    async fn warm_up(&self) {
        if let Some(lane) = self.offer.racing().await.first() {
            let _ = lane.host.client().await;
        }
        self.check_own_words().await;
    }

    fn show_family(self: &Rc<Self>, name: &str) {
        if let Err(error) = self.try_show_family(name) {
            web_sys::console::error_1(&error);
        }
        self.refresh_storage();
    }

    fn try_show_family(self: &Rc<Self>, name: &str) -> Result<(), JsValue> {
        let family = self.offer.family(name);
        let lanes = self.offer.show(&family, &self.engines)?;
        self.offer.reset_lanes("Words will appear here.");
        let app = self.clone();
        self.settings.show_lanes(&lanes, move |lane| {
            lanes::arrange(&app.offer.lanes());
            if lane.is_on.get() {
                app.on_choice();
            } else {
                lane.host.cancel();
                app.refresh_storage();
            }
        })?;
        self.toolbar.set_lanes(&lanes)?;
        let clips = family.clips.clone();
        self.check.offer(family);
        if let Some(set) = clips {
            let (app, clips) = (self.clone(), set.clone());
            samples::show(&set, move |number| app.transcribe_sample(&clips, number))?;
        }
        Ok(())
    }

    fn set_state(&self, state: State) {
        self.state.set(state);
        let (name, text) = match state {
            State::Starting => ("starting", "Looking for students…"),
            State::Idle => ("idle", "Ready."),
            State::Asking => (
                "asking",
                "Your browser asks for the microphone: allow it there.",
            ),
            State::Listening => ("listening", "Listening. Press again to stop."),
            State::Working => ("working", "Working…"),
        };
        if let Some(body) = document().ok().and_then(|document| document.body()) {
            let _ = body.set_attribute("data-state", name);
        }
        self.say(text);
        self.show_cancel(matches!(state, State::Asking | State::Working));
    }

    fn show_cancel(&self, is_shown: bool) {
        let focused = document()
            .ok()
            .and_then(|document| document.active_element());
        let has_focus = focused.is_some_and(|one| one.is_same_node(Some(&self.cancel)));
        // Hidden, it would lose the focus to nowhere.
        if has_focus && !is_shown {
            let _ = self.listening.button.focus();
        }
        let _ = self
            .cancel
            .class_list()
            .toggle_with_force("absent", !is_shown);
    }

    fn say(&self, text: &str) {
        self.status.set_text_content(Some(text));
    }

    /// An empty message takes the last one away.
    fn show_error(&self, message: &str) {
        set_note(&self.error, message);
    }

    fn refresh_storage(&self) {
        let (offer, storage) = (self.offer.clone(), self.storage.clone());
        let lm = self.decoding().needed_lm();
        spawn_local(async move { storage.refresh(&offer.racing().await, lm).await });
    }

    /// Begins something: whatever runs gives way.
    fn begin(&self, state: State) -> Turn {
        let turn = self.turns.begin();
        self.listening.cancel();
        for lane in self.offer.lanes() {
            lane.host.cancel();
        }
        self.show_error("");
        self.set_state(state);
        turn
    }

    /// Something came to its end, unless something else took its place.
    fn finish(self: &Rc<Self>, turn: &Turn) {
        if turn.is_current() {
            self.set_state(State::Idle);
            let recording = self.recording.borrow().clone();
            let can_play = recording.is_some_and(|recording| self.said.show(&recording));
            self.toolbar.show(can_play);
            self.refresh_storage();
            let app = self.clone();
            spawn_local(async move { app.check_own_words().await });
        }
    }

    fn on_cancel(self: &Rc<Self>) {
        let turn = self.begin(State::Idle);
        for lane in self.offer.lanes() {
            lane.give_up();
        }
        self.finish(&turn);
        self.say("Cancelled.");
    }

    /// A setting changed: what was given last is transcribed again with it.
    fn on_choice(self: &Rc<Self>) {
        self.refresh_storage();
        let recording = self.recording.borrow().clone();
        if let (State::Idle | State::Working, Some(recording)) = (self.state.get(), recording) {
            self.transcribe(recording);
        }
    }

    async fn change_engine(self: &Rc<Self>) {
        let wish = Wish::from_name(&self.settings.engine.value());
        self.engines.choose(wish).await;
        self.warm_up().await;
        self.on_choice();
    }

    fn accept_file(self: &Rc<Self>, name: &str, file: &Blob) {
        self.transcribe(Rc::new(Recording {
            name: name.to_owned(),
            truth: None,
            sound: Sound::File(file.clone()),
        }));
    }

    fn transcribe_sample(self: &Rc<Self>, set: &Rc<SampleSet>, number: usize) {
        if number >= set.clips.len() {
            return;
        }
        let turn = self.begin(State::Working);
        let (app, set) = (self.clone(), set.clone());
        spawn_local(async move {
            let clip = &set.clips[number];
            let fetched = match samples::clip_url(&clip.file) {
                Ok(url) => fetch::blob(&url).await,
                Err(error) => Err(error),
            };
            if !turn.is_current() {
                return;
            }
            match fetched {
                Ok(file) => app.transcribe(Rc::new(Recording {
                    name: clip.name.as_ref().unwrap_or(&clip.file).clone(),
                    truth: Some(clip.text.clone()),
                    sound: Sound::File(file),
                })),
                Err(error) => {
                    app.finish(&turn);
                    app.show_error(&end_of(&error));
                }
            }
        });
    }

    /// Lets every lane hear a recording.
    fn transcribe(self: &Rc<Self>, recording: Rc<Recording>) {
        let turn = self.begin(State::Working);
        self.offer.reset_lanes("Waiting…");
        let can_play = self.said.show(&recording);
        self.toolbar.show(can_play);
        *self.recording.borrow_mut() = Some(recording.clone());
        let app = self.clone();
        spawn_local(async move {
            let racing = app.offer.racing().await;
            let decoding = app.decoding();
            let heard = app.hearing.hear(&recording, racing, &decoding, &turn).await;
            if !turn.is_current() {
                return;
            }
            app.finish(&turn);
            let told = match heard {
                Ok(notices) => notices,
                Err(failure) => {
                    app.offer.reset_lanes("Words will appear here.");
                    app.toolbar.show(false);
                    return app.show_error(&format!(
                        "{}: {}",
                        recording.name,
                        end_of(&failure.message)
                    ));
                }
            };
            let told = told
                .iter()
                .map(|notice| format!("{} {}", recording.name, end_of(notice)));
            app.show_error(&told.collect::<Vec<_>>().join(" "));
        });
    }

    fn on_record(self: &Rc<Self>) {
        match self.state.get() {
            State::Listening => self.listening.stop(),
            State::Asking => self.on_cancel(),
            State::Starting | State::Idle | State::Working => {
                // Before anything is awaited: the browser ties sound to the visitor's action.
                match Microphone::context() {
                    Ok(context) => self.listen(context),
                    Err(message) => self.show_error(&message),
                }
            }
        }
    }

    /// Asks for the microphone, and has the students fetched meanwhile.
    fn listen(self: &Rc<Self>, context: AudioContext) {
        let turn = self.begin(State::Asking);
        self.offer.reset_lanes("");
        self.said.show_listening();
        self.toolbar.show(false);
        let decoding = self.decoding();
        let (offer, fetching) = (self.offer.clone(), turn.clone());
        spawn_local(async move {
            for lane in offer.racing().await {
                lane.prepare(&decoding, &fetching).await;
            }
        });
        let app = self.clone();
        spawn_local(async move { app.listen_on(context, &turn).await });
    }

    async fn listen_on(self: &Rc<Self>, context: AudioContext, turn: &Turn) {
        let device = self.settings.device();
        let sound = match self.listening.start(context, device, turn).await {
            Ok(Some(sound)) => sound,
            Ok(None) => return,
            Err(message) => {
                if turn.is_current() {
                    self.turns.begin();
                    self.offer.reset_lanes("Words will appear here.");
                    self.set_state(State::Idle);
                    self.show_error(&message);
                }
                return;
            }
        };
        self.set_state(State::Listening);
        *self.recording.borrow_mut() = Some(Rc::new(Recording {
            name: "your microphone".to_owned(),
            truth: None,
            sound: Sound::Microphone(sound.clone()),
        }));
        let decoding = self.decoding();
        let jobs = self.offer.racing().await.into_iter().map(|lane| {
            let (sound, decoding, turn) = (sound.clone(), decoding.clone(), turn.clone());
            Box::pin(async move { lane.listen(&sound, &decoding, &turn).await }) as Job
        });
        lanes::all(jobs.collect()).await;
        self.finish(turn);
        // What was changed meanwhile holds for what was just said, too.
        if turn.is_current() && decoding != self.decoding() {
            self.on_choice();
        }
        self.settings.refresh_devices().await;
    }

    fn on_listening(&self, event: ListeningEvent) {
        let is_listening = self.state.get() == State::Listening;
        match event {
            ListeningEvent::Clock(secs) if is_listening => self.said.show_clock(secs),
            ListeningEvent::Stopped if is_listening => {
                self.set_state(State::Working);
                self.say("Finishing…");
            }
            ListeningEvent::Clock(_) | ListeningEvent::Stopped => {}
            ListeningEvent::Warning(message) => self.show_error(&message),
        }
    }
}

/// The rest of a sentence, with its full stop.
fn end_of(message: &str) -> String {
    format!("{}.", message.trim_end_matches('.'))
}
