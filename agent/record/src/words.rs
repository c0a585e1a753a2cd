//! A search for any of some words, sixteen or more bytes at a time (Teddy, of the crate `aho-corasick`).

use aho_corasick::packed::{Config, MatchKind, Searcher};

/// Words that are looked for all at once.
pub(crate) struct Words(Option<Searcher>);

impl Words {
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(words).build())
    }

    /// Whether the words are few and long enough, and the processor new enough, for a search at all.
    #[cfg(test)]
    pub(crate) fn is_fast(&self) -> bool {
        self.0.is_some()
    }

    /// Whether any of the words may stand in `text`. A processor without vectors cannot tell, and whoever asks must look closer.
    pub(crate) fn any_in(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|searcher| searcher.find(text).is_some())
    }
}
