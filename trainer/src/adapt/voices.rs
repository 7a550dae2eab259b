//! The free voices that are installed: those of espeak-ng and of flite.

use std::process::{Command, Stdio};

/// A program that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Formant synthesis: many voices, accents and speakers, none of them natural.
    EspeakNg,
    /// Cut from recordings of people: few voices, more natural.
    Flite,
}

impl Engine {
    /// Its name on the command line.
    pub fn program(self) -> &'static str {
        match self {
            Self::EspeakNg => "espeak-ng",
            Self::Flite => "flite",
        }
    }
}

/// A speaker, and the accents that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// What speaks.
    pub engine: Engine,
    /// As the engine calls it.
    pub name: String,
    /// As the engine calls them; none where it has no choice.
    pub accents: Vec<String>,
}

impl Voice {
    /// Names the speaker in manifests.
    pub fn speaker(&self) -> String {
        format!("{}-{}", self.engine.program(), self.name)
    }
}

/// Variants of espeak-ng that sound like no person: whispers, robots, effects.
const NO_PERSON: [&str; 14] = [
    "whisper",
    "whisperf",
    "croak",
    "Demonic",
    "announcer",
    "UniRobot",
    "anikaRobot",
    "fast",
    "Tweaky",
    "Storm",
    "kaukovalta",
    "klatt3",
    "klatt6",
    "grandma",
];

/// Voices of flite that do not say everything, or are others at half their sampling rate.
const NOT_ALL_WORDS: [&str; 2] = ["awb_time", "kal"];

/// Every voice that this machine has, in an order that does not change.
pub fn installed() -> Vec<Voice> {
    let mut voices = Vec::new();
    if let Some(accents) = output_of(Engine::EspeakNg, &["--voices=en"]) {
        let variants = output_of(Engine::EspeakNg, &["--voices=variant"]);
        voices.extend(espeak_voices(&accents, &variants.unwrap_or_default()));
    }
    if let Some(list) = output_of(Engine::Flite, &["-lv"]) {
        voices.extend(flite_voices(&list));
    }
    voices
}

/// What a program prints; `None` where it is not installed or fails.
fn output_of(engine: Engine, arguments: &[&str]) -> Option<String> {
    let output = Command::new(engine.program())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !text.trim().is_empty()).then_some(text)
}

/// From its two tables, whose columns are priority, language, age and gender, name, file, others.
fn espeak_voices(accents: &str, variants: &str) -> Vec<Voice> {
    let rows = accents.lines().skip(1);
    let own = rows.filter(|row| !row.contains(" mb/") && !row.contains("!v/"));
    let mut accents: Vec<String> = own
        .filter_map(|row| row.split_whitespace().nth(1))
        .filter(|language| language.starts_with("en"))
        .map(str::to_owned)
        .collect();
    accents.sort();
    accents.dedup();
    if accents.is_empty() {
        return Vec::new();
    }
    let files = variants.lines().filter_map(|row| row.split("!v/").nth(1));
    // A name may have spaces; the next column is further away.
    let names = files.map(|rest| rest.split("  ").next().unwrap_or(rest).trim());
    let is_person = |name: &&str| {
        !name.is_empty() && !NO_PERSON.contains(name) && !name.to_lowercase().contains("robo")
    };
    let mut names: Vec<String> = names.filter(is_person).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        names.push("m1".to_owned());
    }
    let voice = |name| Voice {
        engine: Engine::EspeakNg,
        name,
        accents: accents.clone(),
    };
    names.into_iter().map(voice).collect()
}

/// From `Voices available: kal awb_time ...`.
fn flite_voices(list: &str) -> Vec<Voice> {
    let names = list.split_once(':').map_or("", |(_, names)| names);
    let mut names: Vec<&str> = names
        .split_whitespace()
        .filter(|name| !NOT_ALL_WORDS.contains(name))
        .collect();
    names.sort_unstable();
    let voice = |name: &str| Voice {
        engine: Engine::Flite,
        name: name.to_owned(),
        accents: Vec::new(),
    };
    names.into_iter().map(voice).collect()
}

/// Voices by what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct Cast {
    /// They teach.
    pub train: Vec<Voice>,
    /// The threshold is found with them, and the best weights.
    pub dev: Vec<Voice>,
    /// The report's figures are theirs.
    pub test: Vec<Voice>,
}

impl Cast {
    /// Holds out every eighth speaker of espeak-ng for each of the two sets, or the last two of
    /// few voices. A single voice is all three.
    pub fn of(voices: Vec<Voice>) -> Self {
        let many = voices
            .iter()
            .filter(|v| v.engine == Engine::EspeakNg)
            .count();
        let mut cast = Self {
            train: Vec::new(),
            dev: Vec::new(),
            test: Vec::new(),
        };
        if many >= 16 {
            for (index, voice) in voices.into_iter().enumerate() {
                match (voice.engine, index % 8) {
                    (Engine::EspeakNg, 3) => cast.dev.push(voice),
                    (Engine::EspeakNg, 7) => cast.test.push(voice),
                    _ => cast.train.push(voice),
                }
            }
            return cast;
        }
        let from_end =
            |back: usize| voices[voices.len().saturating_sub(back).min(voices.len() - 1)].clone();
        if !voices.is_empty() {
            cast.dev.push(from_end(2));
            cast.test.push(from_end(1));
            cast.train = voices[..voices.len().saturating_sub(2).max(1)].to_vec();
        }
        cast
    }
}

/// `espeak-ng (99 voices, 8 accents) and flite (awb, kal16, rms, slt)`.
pub fn described(voices: &[Voice]) -> String {
    let of = |engine| voices.iter().filter(move |voice| voice.engine == engine);
    let mut parts = Vec::new();
    if let Some(first) = of(Engine::EspeakNg).next() {
        let (count, accents) = (of(Engine::EspeakNg).count(), first.accents.len());
        parts.push(format!("espeak-ng ({count} voices, {accents} accents)"));
    }
    let names: Vec<&str> = of(Engine::Flite).map(|voice| voice.name.as_str()).collect();
    if !names.is_empty() {
        parts.push(format!("flite ({})", names.join(", ")));
    }
    parts.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCENTS: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 3  en-uk           --/M      english-mb-en1     mb/mb-en1            (en-gb 3)(en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  variant         --/M      Storm              !v/Storm             (en-us 5)
";
    const VARIANTS: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  variant         --/M      Mr_Serious         !v/Mr serious        
 5  variant         --/M      Robosoft2          !v/robosoft2         
 5  variant         --/F      female2            !v/f2                
 5  variant         --/M      whisper            !v/whisper           
";

    #[test]
    fn people_and_accents_are_read_from_the_tables_of_espeak_ng() {
        let voices = espeak_voices(ACCENTS, VARIANTS);
        let names: Vec<&str> = voices.iter().map(|voice| voice.name.as_str()).collect();
        assert_eq!(names, ["Mr serious", "f2"]);
        assert_eq!(voices[0].accents, ["en-gb", "en-us"]);
        assert_eq!(espeak_voices("", VARIANTS), []);
        assert_eq!(espeak_voices(ACCENTS, "")[0].name, "m1");
    }

    #[test]
    fn flite_lists_its_voices_in_one_line() {
        let voices = flite_voices("Voices available: kal awb_time kal16 awb rms slt \n");
        assert_eq!(described(&voices), "flite (awb, kal16, rms, slt)");
        assert_eq!(flite_voices("nonsense"), []);
    }

    #[test]
    fn held_out_voices_teach_nothing_where_there_are_enough() {
        let voice = |engine, index: usize| Voice {
            engine,
            name: format!("v{index}"),
            accents: Vec::new(),
        };
        let mut voices: Vec<Voice> = (0..20).map(|i| voice(Engine::EspeakNg, i)).collect();
        voices.extend((20..24).map(|i| voice(Engine::Flite, i)));
        let cast = Cast::of(voices);
        assert_eq!(
            (cast.train.len(), cast.dev.len(), cast.test.len()),
            (19, 3, 2)
        );
        let held: Vec<&Voice> = cast.dev.iter().chain(&cast.test).collect();
        assert!(held.iter().all(|voice| voice.engine == Engine::EspeakNg));
        assert!(cast.train.iter().all(|voice| !held.contains(&voice)));
        for (count, sizes) in [(1, [1, 1, 1]), (2, [1, 1, 1]), (4, [2, 1, 1])] {
            let cast = Cast::of((0..count).map(|i| voice(Engine::Flite, i)).collect());
            assert_eq!([cast.train.len(), cast.dev.len(), cast.test.len()], sizes);
        }
    }
}
