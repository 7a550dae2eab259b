//! A lane on the page: the student, its words as they come, and how right and how fast it was.

use std::cell::{Cell, RefCell};

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement};

use super::{
    dom::{append_text, clear, create, create_text, document},
    phrase_view::{other_paragraph, phrase_paragraph},
};
use crate::{
    export, figures,
    protocol::{Aligned, OtherSpeech, Phrase, Word},
};

/// Words below this confidence are marked as unsure.
const UNSURE: f32 = 0.5;
/// From this length on paragraphs have the time before them.
const TIMED_SECS: f32 = 60.0;

pub struct LaneView {
    pub root: HtmlElement,
    text: HtmlElement,
    placeholder: HtmlElement,
    finals: HtmlElement,
    partial: HtmlElement,
    verdict: HtmlElement,
    facts: HtmlElement,
    bar: HtmlElement,
    words: RefCell<Vec<Word>>,
    num_phrases: Cell<usize>,
    /// The first words that stand in paragraphs which will not change.
    num_settled: Cell<usize>,
}

impl LaneView {
    /// `share`: its size beside that of the largest lane, 0 to 1.
    pub fn new(name: &str, note: &str, size: &str, share: f64) -> Result<Self, JsValue> {
        let element = |tag, class: &str| create(tag, class).map(JsCast::unchecked_into);
        let root: HtmlElement = element("article", "lane")?;
        root.set_attribute("aria-label", &format!("{name}{note}"))?;
        let head = create("div", "lane-head")?;
        append_text(&head, "h3", "", name)?;
        append_text(&head, "p", "lane-size", &format!("{size}{note}"))?;
        let bar: HtmlElement = element("div", "size-bar")?;
        bar.style()
            .set_property("--share", &figures::fixed(share, 3))?;
        head.append_child(&bar)?;

        let text: HtmlElement = element("div", "lane-text")?;
        text.set_tab_index(0);
        text.set_attribute("role", "group")?;
        let hint = "arrow keys go from word to word, Enter plays one";
        text.set_attribute("aria-label", &format!("Words of {name}; {hint}"))?;
        let placeholder: HtmlElement = element("p", "placeholder")?;
        let finals: HtmlElement = element("div", "finals")?;
        let partial: HtmlElement = element("p", "partial")?;
        for part in [&placeholder, &finals, &partial] {
            text.append_child(part)?;
        }
        let result = create("p", "lane-result")?;
        let verdict: HtmlElement = element("strong", "verdict")?;
        let facts: HtmlElement = element("span", "lane-facts")?;
        result.append_child(&verdict)?;
        result.append_child(&facts)?;
        for part in [&head, text.as_ref(), &result] {
            root.append_child(part)?;
        }
        Ok(Self {
            root,
            text,
            placeholder,
            finals,
            partial,
            verdict,
            facts,
            bar,
            words: RefCell::default(),
            num_phrases: Cell::default(),
            num_settled: Cell::default(),
        })
    }

    /// Finished text is read to people who do not see it, of one lane only: three would talk at once.
    pub fn announce(&self) {
        let _ = self.finals.set_attribute("role", "log");
        let _ = self.finals.set_attribute("aria-live", "polite");
        let _ = self.finals.set_attribute("aria-label", "Finished text");
    }

    /// Empties everything; `placeholder` stands where the words will be.
    pub fn reset(&self, placeholder: &str) {
        clear(&self.finals);
        self.words.take();
        self.num_phrases.set(0);
        self.num_settled.set(0);
        self.set_partial("");
        self.set_placeholder(placeholder);
        self.set_verdict("");
        self.set_facts("");
        self.set_state("");
        self.set_loaded(None);
        self.set_long(false);
    }

    pub fn set_placeholder(&self, text: &str) {
        self.placeholder.set_text_content(Some(text));
        self.placeholder.set_hidden(text.is_empty());
    }

    pub fn set_verdict(&self, text: &str) {
        self.verdict.set_text_content(Some(text));
    }

    pub fn set_facts(&self, text: &str) {
        self.facts.set_text_content(Some(text));
    }

    /// `failed`, or nothing.
    pub fn set_state(&self, state: &str) {
        let _ = self.root.set_attribute("data-state", state);
    }

    /// How much of the student is here, 0 to 1, while it is on its way.
    pub fn set_loaded(&self, share: Option<f64>) {
        let loaded = share.map_or_else(String::new, |share| figures::fixed(share, 3));
        let _ = self.bar.style().set_property("--loaded", &loaded);
        let _ = self
            .bar
            .toggle_attribute_with_force("data-loading", share.is_some());
    }

    /// A long transcript has more room.
    pub fn set_long(&self, is_long: bool) {
        let _ = self.root.toggle_attribute_with_force("data-long", is_long);
    }

    /// A sentence in place of words.
    pub fn fail(&self, message: &str) {
        self.set_state("failed");
        self.set_facts("");
        self.set_loaded(None);
        self.set_placeholder(message);
    }

    pub fn words(&self) -> Vec<Word> {
        self.words.borrow().clone()
    }

    pub fn num_phrases(&self) -> usize {
        self.num_phrases.get()
    }

    /// Whether nothing that was heard is shown.
    pub fn is_empty(&self) -> bool {
        self.finals.child_element_count() == 0
    }

    pub fn set_partial(&self, text: &str) {
        if !text.is_empty() {
            self.set_placeholder("");
        }
        self.partial.set_text_content(Some(text));
        self.follow();
    }

    /// A finished segment, as a paragraph of its own.
    pub fn push_segment(&self, words: &[Word]) -> Result<(), JsValue> {
        if words.is_empty() {
            return Ok(());
        }
        self.set_placeholder("");
        let first = self.words.borrow().len();
        self.words.borrow_mut().extend_from_slice(words);
        self.num_settled.set(first + words.len());
        let paragraph = paragraph(words, first, false)?;
        self.finals.append_child(&paragraph)?;
        self.follow();
        Ok(())
    }

    /// More words of a recording; paragraphs end where it pauses.
    pub fn push_words(&self, words: &[Word], is_long: bool) -> Result<(), JsValue> {
        if words.is_empty() {
            return Ok(());
        }
        self.set_placeholder("");
        self.words.borrow_mut().extend_from_slice(words);
        let words = self.words.borrow();
        // The last paragraph is still open, and is made anew.
        if let Some(last) = self.finals.last_element_child()
            && last.has_attribute("data-open")
        {
            last.remove();
        }
        let mut start = self.num_settled.get();
        while start < words.len() {
            let length = export::paragraph(&words[start..]).max(1);
            let paragraph = paragraph(&words[start..start + length], start, is_long)?;
            self.finals.append_child(&paragraph)?;
            start += length;
            if start < words.len() {
                self.num_settled.set(start);
            } else {
                paragraph.set_attribute("data-open", "")?;
            }
        }
        drop(words);
        self.follow();
        Ok(())
    }

    /// More phrases, a line each; the words are theirs.
    pub fn push_phrases(
        &self,
        words: &[Word],
        phrases: &[Phrase],
        is_long: bool,
    ) -> Result<(), JsValue> {
        let mut rest = words;
        for phrase in phrases {
            self.set_placeholder("");
            let (own, later) = rest.split_at(phrase.num_words().min(rest.len()));
            let first = self.words.borrow().len();
            let line = paragraph(own, first, is_long)?;
            phrase_paragraph(&line, phrase)?;
            self.finals.append_child(&line)?;
            self.words.borrow_mut().extend_from_slice(own);
            self.num_phrases.set(self.num_phrases.get() + 1);
            rest = later;
        }
        self.follow();
        Ok(())
    }

    /// Something was said that is no phrase.
    pub fn push_other(&self, other: &OtherSpeech) -> Result<(), JsValue> {
        self.set_placeholder("");
        let paragraph = other_paragraph(other)?;
        self.finals.append_child(&paragraph)?;
        self.follow();
        Ok(())
    }

    /// Something was said of which no letter was heard.
    pub fn push_none(&self) -> Result<(), JsValue> {
        let last = self.finals.last_element_child();
        if last.is_none_or(|last| last.class_name() != "none") {
            self.set_placeholder("");
            append_text(&self.finals, "p", "none", "none of these")?;
            self.follow();
        }
        Ok(())
    }

    /// All that was heard of a short recording, in the order it was said.
    pub fn show_phrases(
        &self,
        words: &[Word],
        phrases: &[Phrase],
        others: &[OtherSpeech],
    ) -> Result<(), JsValue> {
        clear(&self.finals);
        self.words.take();
        self.num_phrases.set(0);
        let (mut rest, mut others) = (words, others.iter().peekable());
        for phrase in phrases {
            while let Some(other) = others.next_if(|other| other.start_secs < phrase.start_secs) {
                self.push_other(other)?;
            }
            let (own, later) = rest.split_at(phrase.num_words().min(rest.len()));
            self.push_phrases(own, std::slice::from_ref(phrase), false)?;
            rest = later;
        }
        others.try_for_each(|other| self.push_other(other))
    }

    /// The words beside what was said: a wrong one struck out, and what it should have been after it.
    pub fn show_compared(&self, words: &[Word], alignment: &[Aligned]) -> Result<(), JsValue> {
        clear(&self.finals);
        *self.words.borrow_mut() = words.to_vec();
        self.set_placeholder("");
        let line = create("p", "")?;
        let mut rest = alignment;
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|one| one.is_right == first.is_right);
            let (run, later) = rest.split_at(same.count());
            if first.is_right {
                append_words(&line, words, run)?;
                line.append_with_str_1(" ")?;
            } else {
                append_wrong(&line, words, run)?;
            }
            rest = later;
        }
        self.finals.append_child(&line)?;
        Ok(())
    }

    /// The box scrolls to what came last.
    fn follow(&self) {
        self.text.set_scroll_top(self.text.scroll_height());
    }

    /// Goes to another word by the keyboard: `by` words on, from the one that has the focus.
    pub fn move_focus(&self, by: i32) {
        let Ok(found) = self.finals.query_selector_all(".word") else {
            return;
        };
        let focused = document()
            .ok()
            .and_then(|document| document.active_element());
        let words: Vec<HtmlElement> = (0..found.length())
            .filter_map(|index| found.get(index)?.dyn_into().ok())
            .collect();
        let here = words.iter().position(|word| {
            focused
                .as_ref()
                .is_some_and(|focused| word.is_same_node(Some(focused)))
        });
        let next = match here {
            Some(here) => here as i32 + by,
            None if by < 0 => words.len() as i32 - 1,
            None => 0,
        };
        if let Some(word) = usize::try_from(next).ok().and_then(|next| words.get(next)) {
            word.set_tab_index(-1);
            let _ = word.set_attribute("role", "button");
            let _ = word.focus();
        }
    }
}

fn paragraph(words: &[Word], first: usize, is_long: bool) -> Result<Element, JsValue> {
    let paragraph = create("p", "")?;
    let start_secs = words.first().map_or(0.0, |word| word.start_secs);
    if is_long || start_secs > TIMED_SECS {
        let time = figures::clock(f64::from(start_secs));
        append_text(&paragraph, "span", "time", &time)?;
    }
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            paragraph.append_with_str_1(" ")?;
        }
        let word = word_element(word, first + index)?;
        paragraph.append_child(&word)?;
    }
    Ok(paragraph)
}

fn word_element(word: &Word, index: usize) -> Result<Element, JsValue> {
    let is_unsure = word.confidence < UNSURE;
    let class = if is_unsure { "word unsure" } else { "word" };
    let element = create_text("span", class, &word.text)?;
    element.set_attribute("data-word", &index.to_string())?;
    Ok(element)
}

fn append_words(line: &Element, words: &[Word], run: &[Aligned]) -> Result<(), JsValue> {
    let heard = run.iter().filter_map(|one| one.heard);
    for (index, number) in heard.enumerate() {
        if index > 0 {
            line.append_with_str_1(" ")?;
        }
        if let Some(word) = words.get(number) {
            let word = word_element(word, number)?;
            line.append_child(&word)?;
        }
    }
    Ok(())
}

fn append_wrong(line: &Element, words: &[Word], run: &[Aligned]) -> Result<(), JsValue> {
    if run.iter().any(|one| one.heard.is_some()) {
        let wrong = create("s", "wrong")?;
        append_text(&wrong, "span", "visually-hidden", "heard wrongly: ")?;
        append_words(&wrong, words, run)?;
        line.append_child(&wrong)?;
        line.append_with_str_1(" ")?;
    }
    let said = export::spaced(run.iter().filter_map(|one| one.said.as_deref()));
    if !said.is_empty() {
        let right = create("ins", "right")?;
        append_text(&right, "span", "visually-hidden", "was: ")?;
        right.append_with_str_1(&said)?;
        line.append_child(&right)?;
        line.append_with_str_1(" ")?;
    }
    Ok(())
}
