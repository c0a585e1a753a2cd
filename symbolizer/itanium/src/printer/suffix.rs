//! The suffix of a clone, as each tool shows it.

use super::Printer;
use crate::suffix::clone_length;

impl Printer<'_> {
    pub(super) fn suffix(&mut self, suffix: &str) -> Option<()> {
        if suffix.is_empty() {
            return Some(());
        }
        if !self.is_gnu() {
            return self.in_words(" (", suffix, ")");
        }
        let mut rest = suffix;
        while !rest.is_empty() {
            let (clone, behind) = rest.split_at_checked(clone_length(rest.as_bytes())?)?;
            self.in_words(" [clone ", clone, "]")?;
            rest = behind;
        }
        Some(())
    }

    fn in_words(&mut self, before: &str, text: &str, behind: &str) -> Option<()> {
        self.write(before)?;
        self.write(text)?;
        self.write(behind)
    }
}
