//! Text in, the same text with its backtraces named out.
//!
//! What is rewritten names a program and an address in it:
//!
//! - a frame of a sanitizer: `    #1 0x55d0c8a1 (/srv/app+0x1360)`, which becomes ` in FUNCTION FILE:LINE:COLUMN`, and one
//!   line for each inlined function;
//! - a line of glibc's `backtrace_symbols`: `/srv/app(+0x1360)[0x55d0c8a1]` or `/srv/app(main+0x15)[0x…]`;
//! - the kernel's word of a fault: `app[2301]: segfault at 0 ip 000055d0c8a1 sp … in app[1360,55d0c000+1000]`, where the
//!   first number in the brackets is the offset (kernels before 6.5 have none, and such lines pass);
//! - symbolizer markup, see [`markup`](super::markup).
//!
//! Everything else passes byte for byte.

use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};

use trace_symbolizer::{FrameRef, ModuleAddress};

use super::markup::Markup;
use super::objects::Objects;

/// The longest line that is looked at, in bytes; a longer one passes in pieces.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A place in a program that a line names.
#[derive(Debug, PartialEq, Eq)]
struct Found<'a> {
    /// The bytes of the line that are replaced, or behind which the name is put.
    start: usize,
    end: usize,
    object: &'a str,
    symbol: Option<&'a str>,
    offset: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Sanitizer,
    Glibc,
    Kernel,
}

/// Rewrites `input` onto `out`, a line at a time.
pub(super) fn execute(
    input: &mut dyn BufRead,
    markup: &mut Markup,
    objects: &mut Objects,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = Vec::new();
    while input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? > 0 {
        let rewritten = std::str::from_utf8(&line).ok().and_then(|text| match markup.is_concerned(text) {
            true => Some(markup.line(text, objects)),
            false => rewrite(text, objects),
        });
        match rewritten {
            Some(text) => out.write_all(text.as_bytes())?,
            None => out.write_all(&line)?,
        }
        // Whoever watches a program fail sees each line at once.
        out.flush()?;
        line.clear();
    }
    out.write_all(markup.finish().as_bytes())
}

/// The line with names; `None` if it passes as it is.
fn rewrite(line: &str, objects: &mut Objects) -> Option<String> {
    let found = find(line)?;
    let object = PathBuf::from(found.object);
    let module = objects.module(&object).ok()?;
    let start = match found.symbol {
        Some(symbol) => module.address_of(symbol)?,
        None => ModuleAddress(0),
    };
    let address = start.0.checked_add(found.offset)?;
    // glibc gives return addresses as they are; the others give the call.
    let asked = if found.form == Form::Glibc { address.checked_sub(1)? } else { address };
    let answers = objects.answers(&object, &[asked]).ok()?;
    let frames: Vec<FrameRef<'_>> = answers.frames(0).collect();
    if frames.is_empty() {
        return None;
    }
    Some(match found.form {
        Form::Sanitizer => sanitizer(line, &found, &frames),
        Form::Glibc | Form::Kernel => {
            let names: Vec<String> =
                frames.iter().map(|frame| format!("{} at {}", name(frame), place(frame))).collect();
            format!("{} {}{}", &line[..found.end], names.join(", inlined into "), &line[found.end..])
        }
    })
}

/// One line for each frame, each with the number and the address of the line.
fn sanitizer(line: &str, found: &Found<'_>, frames: &[FrameRef<'_>]) -> String {
    let (head, tail) = (line[..found.start].trim_end(), &line[found.end..]);
    let mut text = String::new();
    for (index, frame) in frames.iter().enumerate() {
        let is_last = index + 1 == frames.len();
        text.push_str(&format!("{head} in {} {}", name(frame), place(frame)));
        text.push_str(if is_last { tail } else { "\n" });
    }
    text
}

fn name<'a>(frame: &FrameRef<'a>) -> &'a str {
    frame.function().unwrap_or("??")
}

fn place(frame: &FrameRef<'_>) -> String {
    let mut text = frame.file().unwrap_or("??").to_owned();
    for number in [frame.line(), frame.column()].into_iter().map_while(|number| number) {
        text.push_str(&format!(":{number}"));
    }
    text
}

/// The first place that a line names, if it has one of the forms.
fn find(line: &str) -> Option<Found<'_>> {
    in_sanitizer_frame(line).or_else(|| in_glibc_line(line)).or_else(|| in_kernel_message(line))
}

/// `#1 0x55d0c8a1 (/srv/app+0x1360)`: what stands in brackets, unless the frame has a name already.
fn in_sanitizer_frame(line: &str) -> Option<Found<'_>> {
    let frame = line.trim_start().strip_prefix('#')?;
    let (number, rest) = frame.split_once(' ')?;
    let address = rest.trim_start().strip_prefix("0x")?;
    let after = address.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()).trim_start();
    if !number.bytes().all(|digit| digit.is_ascii_digit()) || !after.starts_with('(') {
        return None;
    }
    let start = line.len() - after.len();
    let length = after.find(')')? + 1;
    let (object, offset) = after[1..length - 1].rsplit_once("+0x")?;
    let offset = u64::from_str_radix(offset, 16).ok()?;
    Some(Found { start, end: start + length, object, symbol: None, offset, form: Form::Sanitizer })
}

/// `/srv/app(main+0x15)[0x55d0c8a1]`: the whole line.
fn in_glibc_line(line: &str) -> Option<Found<'_>> {
    let text = line.trim_end();
    // Older releases have a blank before the bracket.
    let (place, address) = text.rsplit_once("[0x")?;
    let digits = address.strip_suffix(']')?;
    let inside = place.trim_end().strip_suffix(')')?;
    let (object, inside) = inside.rsplit_once('(')?;
    let (symbol, offset) = inside.rsplit_once("+0x")?;
    let offset = u64::from_str_radix(offset, 16).ok()?;
    if object.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let symbol = Some(symbol).filter(|symbol| !symbol.is_empty());
    Some(Found { start: 0, end: text.len(), object: object.trim_start(), symbol, offset, form: Form::Glibc })
}

/// `segfault at 0 ip … in /srv/app[1360,55d0c000+1000]`: behind the brackets.
fn in_kernel_message(line: &str) -> Option<Found<'_>> {
    let fault = line.find(" segfault at ").or_else(|| line.find(" trap "))?;
    let object_start = fault + line[fault..].rfind(" in ")? + " in ".len();
    let (object, rest) = line[object_start..].split_once('[')?;
    let (inside, _) = rest.split_once(']')?;
    let (offset, _) = inside.split_once(',')?;
    let offset = u64::from_str_radix(offset, 16).ok()?;
    let end = object_start + object.len() + inside.len() + 2;
    // The kernel knows base names only; a path is needed, or a program in the current folder.
    let is_there = Path::new(object).is_file();
    is_there.then_some(Found { start: object_start, end, object, symbol: None, offset, form: Form::Kernel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_program_and_address() {
        let sanitizer = find("    #1 0x55d0c8a1 (/srv/app+0x1360) (BuildId: ab)\n").unwrap();
        assert_eq!(
            (sanitizer.object, sanitizer.offset, sanitizer.form),
            ("/srv/app", 0x1360, Form::Sanitizer)
        );
        let glibc = find("./a.out(main+0x15) [0x401136]\n").unwrap();
        assert_eq!((glibc.object, glibc.symbol, glibc.offset), ("./a.out", Some("main"), 0x15));
        let glibc = find("./a.out(+0x1139)[0x55d0c8a1]").unwrap();
        assert_eq!((glibc.symbol, glibc.offset), (None, 0x1139));
    }

    #[test]
    fn what_has_no_place_passes() {
        for line in [
            "",
            "#",
            "#1 main (/srv/app+0x1360)",
            "    #0 0x1360 in main /src/a.c:3",
            "f(x) [0x12",
            "call(+0xzz) [0x1]",
            "(+0x1) [0x1]",
            "app: segfault at 0 ip 1 sp 2 error 4 in absent[1360,55d0c000+1000]",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
    }
}
