//! What compilers append when they clone or split a function: `.cold`, `.constprop.0`, `.llvm.1234`.

/// How long the first clone of a suffix is: a word with the numbers behind it, as in `.constprop.0`.
pub(crate) fn clone_length(suffix: &[u8]) -> Option<usize> {
    let is_word = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
    let run = |from: usize, is_in: &dyn Fn(u8) -> bool| {
        suffix.get(from..).unwrap_or_default().iter().take_while(|letter| is_in(**letter)).count()
    };
    let word = run(1, &is_word);
    if suffix.first() != Some(&b'.') || word == 0 {
        return None;
    }
    let mut end = 1 + word;
    while suffix.get(end) == Some(&b'.') {
        let digits = run(end + 1, &|letter| letter.is_ascii_digit());
        if digits == 0 {
            break;
        }
        end += 1 + digits;
    }
    Some(end)
}

/// Whether a suffix is one clone after the other, or nothing.
pub(crate) fn is_clones(suffix: &str) -> bool {
    let mut rest = suffix.as_bytes();
    while !rest.is_empty() {
        match clone_length(rest).and_then(|length| rest.get(length..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    true
}
