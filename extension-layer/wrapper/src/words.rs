//! What C hands to a program: arrays of strings. And what a program asks of C that has no safe form: to become another one, to write, to end.
#![expect(unsafe_code, reason = "arrays of pointers, and what takes them, are C's")]

use core::ffi::{CStr, c_char, c_int};
use core::iter;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr;

// The standard library would link it.
#[link(name = "c")]
unsafe extern "C" {}

/// Words of the longest list that is put together: Lambda's variables have 4 KiB.
const LIST_WORDS_MAX: usize = 1024;

/// An array of C strings with a null pointer at its end: a command, or an environment.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    array: *const *const c_char,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Words<'a> {
    /// What C handed over.
    ///
    /// # Safety
    ///
    /// `array` holds pointers to C strings and a null pointer at its end, and all of it lives for `'a`.
    pub(crate) unsafe fn new(array: *const *const c_char) -> Self {
        Self { array, strings: PhantomData }
    }

    /// Each of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a CStr> {
        let mut next = self.array;
        iter::from_fn(move || {
            // SAFETY: no element before this one was the null pointer at the end.
            let word = unsafe { next.read() };
            if word.is_null() {
                return None;
            }
            // SAFETY: this element was not the last.
            next = unsafe { next.add(1) };
            // SAFETY: every element but the last points to a C string that lives for `'a`.
            Some(unsafe { CStr::from_ptr(word) })
        })
    }

    /// True if there are none.
    pub(crate) fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// All but the first.
    pub(crate) fn rest(self) -> Self {
        if self.is_empty() {
            return self;
        }
        // SAFETY: the first element is not the null pointer at the end.
        Self { array: unsafe { self.array.add(1) }, ..self }
    }

    /// The value of a variable that is set to something.
    pub(crate) fn value(self, name: &CStr) -> Option<&'a CStr> {
        self.iter().find_map(|word| {
            let rest = word.to_bytes_with_nul().strip_prefix(name.to_bytes())?.strip_prefix(b"=")?;
            CStr::from_bytes_with_nul(rest).ok().filter(|value| !value.is_empty())
        })
    }

    /// True if a variable is set to yes.
    pub(crate) fn is_on(self, name: &CStr) -> bool {
        self.value(name).is_some_and(|value| matches!(value.to_bytes(), b"1" | b"true"))
    }
}

/// Words that are put together. Memory that is not used is not touched: each page of it would be a microsecond of the function's start.
pub(crate) struct List<'a> {
    /// The words, and behind them a null pointer.
    pointers: [MaybeUninit<*const c_char>; LIST_WORDS_MAX + 1],
    count: usize,
    is_whole: bool,
    strings: PhantomData<&'a CStr>,
}

impl<'a> List<'a> {
    /// None.
    pub(crate) fn new() -> Self {
        let pointers = [const { MaybeUninit::uninit() }; LIST_WORDS_MAX + 1];
        let mut list = Self { pointers, count: 0, is_whole: true, strings: PhantomData };
        list.pointers[0].write(ptr::null());
        list
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, word: &'a CStr) {
        if self.count == LIST_WORDS_MAX {
            self.is_whole = false;
            return;
        }
        self.pointers[self.count].write(word.as_ptr());
        self.count += 1;
        self.pointers[self.count].write(ptr::null());
    }

    /// Adds others at the end.
    pub(crate) fn extend(&mut self, words: Words<'a>) {
        words.iter().for_each(|word| self.push(word));
    }

    /// Sets the variable that `NAME=value` names.
    pub(crate) fn set(&mut self, variable: &'a CStr) {
        let name = variable.to_bytes().split_inclusive(|byte| *byte == b'=').next().unwrap_or_default();
        let known = self.words().iter().position(|word| word.to_bytes().starts_with(name));
        match known {
            Some(at) => {
                self.pointers[at].write(variable.as_ptr());
            }
            None => self.push(variable),
        }
    }

    /// What was put together, if all of it had room.
    pub(crate) fn whole(&self) -> Option<Words<'_>> {
        self.is_whole.then(|| self.words())
    }

    fn words(&self) -> Words<'_> {
        Words { array: self.pointers.as_ptr().cast(), strings: PhantomData }
    }
}

/// Becomes the program that `command` names first, looked up as a shell does. Returns C's number for the reason if that cannot be.
pub(crate) fn become_program(command: Words<'_>, environment: Words<'_>) -> c_int {
    let Some(name) = command.iter().next() else { return libc::ENOENT };
    // SAFETY: a C string, and two arrays of C strings with a null pointer at their ends.
    unsafe { libc::execvpe(name.as_ptr(), command.array, environment.array) };
    // SAFETY: it takes nothing and gives the address of this thread's own number.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the number lives as long as the thread, and the failed call has written it.
    unsafe { errno.read() }
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
