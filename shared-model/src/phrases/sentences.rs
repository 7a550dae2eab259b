//! Sentences that a list allows, drawn so that each of its alternatives comes its turn.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::grammar::{Expr, PhraseError, Rule, Source, builtin_rules};

/// Most repetitions of a part that may be repeated.
const MAX_REPEATS: usize = 6;
/// A sentence of more words is given up: a rule that uses itself need never end.
const MAX_WORDS: usize = 60;
/// Expressions inside each other.
const MAX_LEVELS: usize = 1_000;
/// More ways to say something than this count as this many.
const MAX_WAYS: f64 = 1e12;

/// Draws `count` sentences; those that did not end are left out.
pub(super) fn draw(source: &Source, count: usize, seed: u64) -> Result<Vec<String>, PhraseError> {
    let builtin = builtin_rules()?;
    let rules = builtin.iter().chain(&source.rules);
    let mut drawer = Drawer {
        rules: rules.map(|rule| (rule.name.as_str(), rule)).collect(),
        ways: HashMap::new(),
        turns: HashMap::new(),
        rng: Xoshiro256PlusPlus::seed_from_u64(seed),
    };
    let bodies: Vec<&Expr> = source.phrases.iter().map(|phrase| &phrase.body).collect();
    let weights: Vec<f64> = bodies.iter().map(|body| drawer.weight(body)).collect();
    let mut turns = Turns::new(weights);
    let mut sentences = Vec::with_capacity(count);
    for _ in 0..count {
        let body = bodies[turns.next(&mut drawer.rng)];
        let mut words = Vec::new();
        if drawer.say(body, 0, &mut words) {
            sentences.push(words.join(" ").to_lowercase());
        }
    }
    Ok(sentences)
}

/// Whose turn it is: each as often as its weight says, none twice long before another.
struct Turns {
    weights: Vec<f64>,
    taken: Vec<f64>,
}

impl Turns {
    fn new(weights: Vec<f64>) -> Self {
        let taken = vec![0.0; weights.len()];
        Self { weights, taken }
    }

    fn next(&mut self, rng: &mut Xoshiro256PlusPlus) -> usize {
        let mut soonest = (0, f64::INFINITY);
        for (index, (taken, weight)) in self.taken.iter().zip(&self.weights).enumerate() {
            let due = (taken + rng.random_range(0.0..1.0)) / weight;
            if due < soonest.1 {
                soonest = (index, due);
            }
        }
        if let Some(taken) = self.taken.get_mut(soonest.0) {
            *taken += 1.0;
        }
        soonest.0
    }
}

struct Drawer<'a> {
    rules: HashMap<&'a str, &'a Rule>,
    /// Ways to say a rule, once counted; none while they are counted.
    ways: HashMap<&'a str, Option<f64>>,
    /// Of choices, by where they are in memory: the same choice is met again and again.
    turns: HashMap<*const Expr, Turns>,
    rng: Xoshiro256PlusPlus,
}

impl<'a> Drawer<'a> {
    /// How often an alternative comes: more often the more there is to say, yet not as much more, or
    /// a list with one number in it would be nothing but numbers.
    fn weight(&mut self, expr: &'a Expr) -> f64 {
        1.0 + self.ways(expr, 0).max(1.0).ln()
    }

    fn ways(&mut self, expr: &'a Expr, level: usize) -> f64 {
        if level > MAX_LEVELS {
            return 1.0;
        }
        let below = level + 1;
        let ways = match expr {
            Expr::Nothing | Expr::Word { .. } => 1.0,
            Expr::Sequence(parts) => parts.iter().map(|part| self.ways(part, below)).product(),
            Expr::Choice(parts) => parts.iter().map(|part| self.ways(part, below)).sum(),
            Expr::Optional(part) => 1.0 + self.ways(part, below),
            // Counting two repetitions is enough for a weight.
            Expr::AnyTimes(part) | Expr::Repeated(part) => self.ways(part, below).powi(2),
            Expr::Tagged(part, _) => self.ways(part, below),
            Expr::Rule { name, .. } => {
                match (self.ways.get(name.as_str()), self.rules.get(name.as_str())) {
                    (Some(known), _) => known.unwrap_or(1.0),
                    (None, None) => 1.0,
                    (None, Some(&rule)) => {
                        self.ways.insert(&rule.name, None);
                        let ways = self.ways(&rule.body, below);
                        self.ways.insert(&rule.name, Some(ways));
                        ways
                    }
                }
            }
        };
        ways.min(MAX_WAYS)
    }

    /// Puts the words of one way to say `expr` behind `words`; whether it came to an end.
    fn say(&mut self, expr: &'a Expr, level: usize, words: &mut Vec<&'a str>) -> bool {
        if level > MAX_LEVELS || words.len() > MAX_WORDS {
            return false;
        }
        let below = level + 1;
        match expr {
            Expr::Nothing => true,
            Expr::Word { text, .. } => {
                words.push(text);
                true
            }
            Expr::Sequence(parts) => parts.iter().all(|part| self.say(part, below, words)),
            Expr::Choice(parts) => {
                let index = self.turn(expr, |drawer| {
                    parts.iter().map(|part| drawer.weight(part)).collect()
                });
                self.say(&parts[index], below, words)
            }
            Expr::Optional(part) => {
                let is_said = self.turn(expr, |_| vec![1.0, 1.0]) == 1;
                !is_said || self.say(part, below, words)
            }
            Expr::AnyTimes(part) | Expr::Repeated(part) => {
                let least = usize::from(matches!(expr, Expr::Repeated(_)));
                let times = self.rng.random_range(least..=MAX_REPEATS);
                (0..times).all(|_| self.say(part, below, words))
            }
            Expr::Tagged(part, _) => self.say(part, below, words),
            Expr::Rule { name, .. } => match self.rules.get(name.as_str()) {
                Some(&rule) => self.say(&rule.body, below, words),
                None => false,
            },
        }
    }

    fn turn(&mut self, expr: &'a Expr, weights: impl FnOnce(&mut Self) -> Vec<f64>) -> usize {
        let key = std::ptr::from_ref(expr);
        let mut turns = match self.turns.remove(&key) {
            Some(turns) => turns,
            None => Turns::new(weights(self)),
        };
        let index = turns.next(&mut self.rng);
        self.turns.insert(key, turns);
        index
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use crate::{
        phrases::{PhraseConfig, PhraseDecoder, PhraseList},
        tokens::Tokens,
    };

    fn drawn(list: &str, count: usize) -> Vec<String> {
        PhraseList::parse(list)
            .unwrap()
            .sentences(count, 7)
            .unwrap()
    }

    #[test]
    fn every_phrase_and_every_value_of_a_slot_comes_in_few_sentences() {
        let list = "stop\nmake it <colour:colour>\nturn (on|off) [the] light\n<colour> = red | green | blue\n";
        let found: HashSet<String> = drawn(list, 60).into_iter().collect();
        for expected in [
            "stop",
            "make it red",
            "make it green",
            "make it blue",
            "turn on light",
            "turn on the light",
            "turn off light",
            "turn off the light",
        ] {
            assert!(found.contains(expected), "{expected} not in {found:?}");
        }
        assert_eq!(found.len(), 8);
    }

    #[test]
    fn a_list_of_words_comes_evenly_and_the_same_for_the_same_seed() {
        let list = "cat\ndog\nbird\n";
        let found = drawn(list, 300);
        for word in ["cat", "dog", "bird"] {
            let count = found.iter().filter(|sentence| *sentence == word).count();
            assert!((95..=105).contains(&count), "{word}: {count}");
        }
        assert_eq!(found, drawn(list, 300));
        let other = PhraseList::parse(list).unwrap().sentences(300, 8).unwrap();
        assert_ne!(found, other);
    }

    #[test]
    fn sentences_are_phrases_of_their_list_numbers_and_repetitions_too() {
        let list = "set [a] timer <number:n> minutes\ndial <digits>\nbuy <items:items>\n<items> = (milk|tea) [and <items>]\n";
        let list = PhraseList::parse(list).unwrap();
        let decoder = PhraseDecoder::new(&list, &Tokens::characters(), PhraseConfig::default());
        let decoder = decoder.unwrap();
        let sentences = list.sentences(400, 1).unwrap();
        assert!(sentences.len() > 380);
        for sentence in &sentences {
            let words: Vec<&str> = sentence.split(' ').collect();
            assert!(decoder.graph().meaning(&words).is_some(), "{sentence}");
        }
        // One of three alternatives of <number>, and no third of the numbers.
        let zeros = sentences.iter().filter(|s| s.contains("timer zero"));
        let numbers = sentences.iter().filter(|s| s.contains("timer"));
        let share = zeros.count() as f64 / numbers.count() as f64;
        assert!(share > 0.0 && share < 0.1, "{share}");
    }

    #[test]
    fn rules_that_do_not_exist_or_never_end_give_no_sentence() {
        assert!(drawn("say <nothing>\n", 5).is_empty());
        assert!(drawn("say <more>\n<more> = again <more>\n", 5).is_empty());
    }
}
