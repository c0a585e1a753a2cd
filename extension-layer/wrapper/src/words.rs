//! What C hands to a program: arrays of strings. And what a program asks of C that has no safe form: to become another one, to write, to end.
#![expect(unsafe_code, reason = "arrays of pointers, and what takes them, are C's")]

use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use crate::text::Text;

// The standard library would link it.
#[link(name = "c")]
unsafe extern "C" {}

/// Words of the longest command or environment: Lambda's variables have 4 KiB. One that is longer is passed on as it is.
const WORDS_MAX: usize = 1024;

/// Strings that live as long as the process, or as long as this program is itself: a command, or an environment.
#[derive(Clone)]
pub(crate) struct Words {
    /// As many as there are, and null pointers behind them.
    pointers: [*const c_char; WORDS_MAX + 1],
    count: usize,
    /// What C handed over, if that is longer than what fits here.
    whole: *const *const c_char,
}

impl Words {
    /// None.
    pub(crate) fn none() -> Self {
        Self { pointers: [ptr::null(); WORDS_MAX + 1], count: 0, whole: ptr::null() }
    }

    /// What C handed over.
    ///
    /// # Safety
    ///
    /// `array` holds pointers to C strings and a null pointer at its end, and all of it lives as long as the process.
    pub(crate) unsafe fn new(array: *const *const c_char) -> Self {
        let mut words = Self::none();
        loop {
            // SAFETY: no element before this one was the last.
            let element = unsafe { array.add(words.count) };
            // SAFETY: it is an element of the array.
            let pointer = unsafe { element.read() };
            if pointer.is_null() {
                return words;
            }
            if words.count == WORDS_MAX {
                words.whole = array;
                return words;
            }
            words.pointers[words.count] = pointer;
            words.count += 1;
        }
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.pointers.iter().take(self.count).map(|pointer| {
            // SAFETY: every pointer that counts came from C, or from a text that ends with a zero byte and is not moved.
            unsafe { CStr::from_ptr(*pointer) }
        })
    }

    /// Adds one of the process's own words at the end, or a part of one; false if there are too many.
    pub(crate) fn push(&mut self, word: &CStr) -> bool {
        self.put(self.count, word.as_ptr())
    }

    /// Adds all of `others` behind the first `skip`; false if there are too many.
    pub(crate) fn extend(&mut self, others: &Words, skip: usize) -> bool {
        let count = others.count.max(skip);
        others.whole.is_null()
            && others.pointers[skip..count].iter().all(|pointer| self.put(self.count, *pointer))
    }

    /// Adds a text at the end, which is not moved as long as this is used; false if there are too many.
    pub(crate) fn push_text(&mut self, text: &Text) -> bool {
        self.put(self.count, text.as_ptr())
    }

    /// The value of a variable that is set to something.
    pub(crate) fn value(&self, name: &CStr) -> Option<&CStr> {
        self.iter().find_map(|word| {
            let rest = word.to_bytes_with_nul().strip_prefix(name.to_bytes())?.strip_prefix(b"=")?;
            CStr::from_bytes_with_nul(rest).ok().filter(|value| !value.is_empty())
        })
    }

    /// True if a variable is set to yes.
    pub(crate) fn is_on(&self, name: &CStr) -> bool {
        self.value(name).is_some_and(|value| matches!(value.to_bytes(), b"1" | b"true"))
    }

    /// Sets a variable to what `text` says, which is `NAME=value` and not moved as long as this is used. Without room, nothing is set.
    pub(crate) fn set(&mut self, text: &Text) {
        let name = text.bytes().split_inclusive(|byte| *byte == b'=').next().unwrap_or_default();
        let at = self.iter().position(|word| word.to_bytes().starts_with(name)).unwrap_or(self.count);
        let _ = self.put(at, text.as_ptr());
    }

    fn put(&mut self, at: usize, pointer: *const c_char) -> bool {
        let has_room = self.whole.is_null() && at < WORDS_MAX;
        if has_room {
            self.pointers[at] = pointer;
            self.count = self.count.max(at + 1);
        }
        has_room
    }

    fn array(&self) -> *const *const c_char {
        if self.whole.is_null() { self.pointers.as_ptr() } else { self.whole }
    }
}

/// Becomes the program that `command` names first, looked up as a shell does. Returns if that cannot be.
pub(crate) fn become_program(command: &Words, environment: &Words) {
    let Some(name) = command.iter().next() else { return };
    // SAFETY: a C string, and two arrays of C strings with a null pointer at their ends.
    unsafe { libc::execvpe(name.as_ptr(), command.array(), environment.array()) };
}

/// Writes to standard output (1) or standard error (2). Nobody is there to tell that nobody reads.
pub(crate) fn write(descriptor: c_int, bytes: &[u8]) {
    // SAFETY: the bytes are there, and a descriptor that is closed is an error like any other.
    unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
}

/// Ends this process.
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: it takes any number and does not return.
    unsafe { libc::_exit(status) }
}
