//! How answers look: byte for byte as the tools print them that people and programs know.

use std::borrow::Cow;
use std::io::{self, Write};

use trace_symbolizer::{FrameRef, ModuleAddress};

use super::json;
use super::question::{Place, Question};

/// Whose habits are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Our own.
    Native,
    /// `addr2line` of the binutils.
    Gnu,
    /// `llvm-symbolizer`.
    Llvm,
    /// `llvm-addr2line`.
    LlvmAddr2line,
    /// `eu-addr2line` of elfutils.
    Elfutils,
}

/// Which form answers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The dialect's own text.
    Text,
    /// `--output-style=GNU` of the LLVM tools: no column, no empty line.
    GnuText,
    /// JSON as `llvm-symbolizer` prints it.
    LlvmJson,
}

/// How functions are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    No,
    /// As they stand in the source, without what they are part of.
    Short,
    Linkage,
}

/// How answers look.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) dialect: Dialect,
    pub(super) form: Form,
    pub(super) functions: Functions,
    pub(super) inlines: bool,
    pub(super) demangle: bool,
    pub(super) pretty: bool,
    pub(super) addresses: bool,
    pub(super) basenames: bool,
    /// Discriminators of `eu-addr2line -F` and `llvm-symbolizer --verbose`.
    pub(super) discriminators: bool,
    pub(super) verbose: bool,
    /// How many lines of source are printed with each frame.
    pub(super) context: u32,
}

impl Dialect {
    /// The tool whose spelling of names is meant.
    pub(super) fn spelling(self) -> trace_symbolizer::Dialect {
        match self {
            Dialect::Llvm | Dialect::LlvmAddr2line => trace_symbolizer::Dialect::Llvm,
            Dialect::Native | Dialect::Gnu | Dialect::Elfutils => trace_symbolizer::Dialect::Gnu,
        }
    }
}

impl Style {
    /// What the tool prints without flags.
    pub(super) fn of(dialect: Dialect) -> Style {
        let is_llvm = dialect == Dialect::Llvm;
        Style {
            dialect,
            form: Form::Text,
            functions: if is_llvm { Functions::Linkage } else { Functions::No },
            inlines: is_llvm,
            demangle: is_llvm,
            pretty: false,
            addresses: false,
            basenames: false,
            discriminators: matches!(dialect, Dialect::Gnu | Dialect::LlvmAddr2line),
            verbose: false,
            context: 0,
        }
    }

    /// Prints the answer to a question: its frames, innermost first, none if nothing is known.
    pub(super) fn print(
        &self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
    ) -> io::Result<()> {
        if self.form == Form::LlvmJson {
            return writeln!(out, "{}", json::llvm(self, question, address, frames));
        }
        match self.dialect {
            Dialect::Elfutils => self.print_elfutils(out, address, frames),
            _ => self.print_text(out, question, address, frames),
        }
    }

    fn print_text(
        &self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
    ) -> io::Result<()> {
        if self.addresses {
            // LLVM knows of no address where a name was asked for.
            let is_found = matches!(question.place, Place::Address(_));
            match self.dialect {
                // GNU takes what makes no sense for 0.
                Dialect::Gnu => write!(out, "{address:#018x}")?,
                _ if !is_found => {}
                _ => write!(out, "{address:#x}")?,
            }
            let is_printed = self.dialect == Dialect::Gnu || is_found;
            out.write_all(match (is_printed, self.pretty) {
                (false, _) => b"",
                (true, true) => b": ",
                (true, false) => b"\n",
            })?;
        }
        let shown = if self.inlines { frames.len() } else { frames.len().min(1) };
        if shown == 0 {
            self.print_frame(out, None, None, false)?;
        }
        for (index, frame) in frames.iter().take(shown).enumerate() {
            // Without inlines LLVM names the function that holds the code, GNU the one that the line is of.
            let function = match (self.dialect, self.form) {
                (Dialect::Llvm, Form::Text) if !self.inlines => frames.last(),
                _ => Some(frame),
            };
            self.print_frame(out, function.copied(), Some(*frame), index > 0)?;
        }
        match (self.dialect, self.form) {
            (Dialect::Llvm, Form::Text) => writeln!(out),
            _ => Ok(()),
        }
    }

    fn print_frame(
        &self,
        out: &mut dyn Write,
        function: Option<FrameRef<'_>>,
        place: Option<FrameRef<'_>>,
        is_outer: bool,
    ) -> io::Result<()> {
        let is_gnu = self.dialect == Dialect::Gnu;
        if is_outer && self.pretty && (is_gnu || self.functions != Functions::No) {
            out.write_all(b" (inlined by) ")?;
        }
        if self.functions != Functions::No {
            out.write_all(self.name(function).as_bytes())?;
            out.write_all(match (self.pretty, is_gnu && place.is_none()) {
                (true, false) => b" at ",
                (true, true) => b" ",
                (false, _) => b"\n",
            })?;
        }
        if self.verbose {
            return self.print_verbose(out, place);
        }
        self.print_place(out, place)?;
        match place {
            Some(frame) if self.context > 0 => self.print_context(out, frame),
            _ => Ok(()),
        }
    }

    /// The lines around that of a frame, as `llvm-symbolizer --print-source-context-lines` prints them.
    fn print_context(&self, out: &mut dyn Write, frame: FrameRef<'_>) -> io::Result<()> {
        let (Some(file), Some(line)) = (frame.file(), frame.line()) else { return Ok(()) };
        // As many lines in all; the frame's in the middle.
        let first = line.saturating_sub(self.context / 2).max(1);
        let last = first + self.context - 1;
        let width = last.to_string().len();
        let Ok(text) = std::fs::read(file) else { return Ok(()) };
        for (number, text) in (1..)
            .zip(String::from_utf8_lossy(&text).lines())
            .skip(first as usize - 1)
            .take(self.context as usize)
        {
            let mark = if number == line { '>' } else { ' ' };
            writeln!(out, "{number:<width$} {mark}: {text}")?;
        }
        Ok(())
    }

    /// The answer to a question about data, as `llvm-symbolizer` prints it.
    pub(super) fn print_data(
        &self,
        out: &mut dyn Write,
        data: Option<&(String, ModuleAddress, u64)>,
    ) -> io::Result<()> {
        let (name, start, size) =
            data.map_or(("??", 0, 0), |(name, start, size)| (name.as_str(), start.0, *size));
        writeln!(out, "{name}\n{start} {size}\n??:?")?;
        match (self.dialect, self.form) {
            (Dialect::Llvm, Form::Text) => writeln!(out),
            _ => Ok(()),
        }
    }

    fn print_place(&self, out: &mut dyn Write, place: Option<FrameRef<'_>>) -> io::Result<()> {
        out.write_all(self.file(place).as_bytes())?;
        let line = place.and_then(|frame| frame.line());
        match (line, place) {
            // GNU knows of a function without its line.
            (None, Some(_)) if self.dialect == Dialect::Gnu => out.write_all(b":?")?,
            _ => write!(out, ":{}", line.unwrap_or(0))?,
        }
        if self.dialect == Dialect::Llvm && self.form == Form::Text {
            write!(out, ":{}", place.and_then(|frame| frame.column()).unwrap_or(0))?;
        }
        let discriminator = place.map_or(0, |frame| frame.discriminator());
        if self.discriminators && discriminator > 0 {
            write!(out, " (discriminator {discriminator})")?;
        }
        writeln!(out)
    }

    fn print_verbose(&self, out: &mut dyn Write, place: Option<FrameRef<'_>>) -> io::Result<()> {
        writeln!(out, "  Filename: {}", self.file(place))?;
        if let Some((file, line)) = place.and_then(|frame| frame.declaring_file().zip(frame.declaring_line()))
        {
            writeln!(out, "  Function start filename: {file}")?;
            writeln!(out, "  Function start line: {line}")?;
        }
        if let Some(start) = place.filter(|_| self.dialect == Dialect::Llvm).and_then(|frame| frame.low_pc())
        {
            writeln!(out, "  Function start address: {start}")?;
        }
        writeln!(out, "  Line: {}", place.and_then(|frame| frame.line()).unwrap_or(0))?;
        writeln!(out, "  Column: {}", place.and_then(|frame| frame.column()).unwrap_or(0))?;
        match place.map_or(0, |frame| frame.discriminator()) {
            0 => Ok(()),
            discriminator => writeln!(out, "  Discriminator: {discriminator}"),
        }
    }

    /// `eu-addr2line`: the outermost function stands on the line of the innermost.
    fn print_elfutils(&self, out: &mut dyn Write, address: u64, frames: &[FrameRef<'_>]) -> io::Result<()> {
        if self.addresses {
            write!(out, "{address:#018x}")?;
            out.write_all(if self.pretty { b": " } else { b"\n" })?;
        }
        let end: &[u8] = if self.pretty { b" at " } else { b"\n" };
        if self.functions != Functions::No {
            out.write_all(self.name(frames.first().copied()).as_bytes())?;
            if let [_, around, ..] = frames {
                write!(out, " inlined at ")?;
                self.print_column(out, *around)?;
                write!(out, " in {}", self.name(frames.last().copied()))?;
            }
            out.write_all(end)?;
        }
        match frames.first() {
            Some(frame) if frame.line().is_some() => self.print_column(out, *frame)?,
            _ => out.write_all(b"??:0")?,
        }
        writeln!(out)?;
        for frame in frames.iter().skip(1).filter(|_| self.inlines) {
            if self.pretty {
                out.write_all(b" (inlined by) ")?;
            }
            if self.functions != Functions::No {
                out.write_all(self.name(Some(*frame)).as_bytes())?;
                out.write_all(end)?;
            }
            self.print_column(out, *frame)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn print_column(&self, out: &mut dyn Write, frame: FrameRef<'_>) -> io::Result<()> {
        write!(out, "{}:{}", self.file(Some(frame)), frame.line().unwrap_or(0))?;
        match frame.column() {
            Some(column) => write!(out, ":{column}"),
            None => Ok(()),
        }
    }

    /// The name of a function as it is shown.
    pub(super) fn name<'a>(&self, frame: Option<FrameRef<'a>>) -> Cow<'a, str> {
        let unknown = Cow::Borrowed("??");
        let Some(frame) = frame else { return unknown };
        // LLVM takes the symbol's name for what was not inlined, and for a short name the one in the source.
        let is_llvm = matches!(self.dialect, Dialect::Llvm | Dialect::LlvmAddr2line);
        let name = match (self.demangle, is_llvm) {
            (_, true) if self.functions == Functions::Short => frame.source_name(),
            (true, true) => frame.linkage_function().or(frame.function()),
            (true, false) => frame.function(),
            (false, true) => frame.linkage_name().or(frame.raw_name()),
            (false, false) => frame.raw_name(),
        };
        name.map_or(unknown, Cow::Borrowed)
    }

    /// The path of a file as it is shown.
    pub(super) fn file<'a>(&self, frame: Option<FrameRef<'a>>) -> &'a str {
        match frame.and_then(|frame| frame.file()) {
            Some(file) if self.basenames => file.rsplit('/').next().unwrap_or(file),
            Some(file) => file,
            None => "??",
        }
    }
}
