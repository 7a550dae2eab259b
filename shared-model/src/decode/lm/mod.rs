//! Word n-gram language model: ARPA text in, a compact binary form for the browser.

use super::DecodeError;

/// State of the model after some words (at most order - 1 of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LmState {}

pub struct NgramLm {}

impl NgramLm {
    pub fn from_arpa(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        unimplemented!()
    }
    pub fn from_binary(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        unimplemented!()
    }
    pub fn to_binary(&self) -> Vec<u8> {
        unimplemented!()
    }
    /// Either form, told apart by the first bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        unimplemented!()
    }
    /// After `<s>`.
    pub fn start(&self) -> LmState {
        unimplemented!()
    }
    /// Natural-log probability of `word` after `state`, and the state after it.
    pub fn score(&self, state: &LmState, word: &str) -> (f32, LmState) {
        let _ = (state, word);
        unimplemented!()
    }
    /// Natural-log probability of `</s>` after `state`.
    pub fn end(&self, state: &LmState) -> f32 {
        let _ = state;
        unimplemented!()
    }
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
    pub fn order(&self) -> usize {
        unimplemented!()
    }
}
