//! From questions to printed answers: each program is asked once for all the addresses of a batch, and the answers come
//! in the order of the questions.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use trace_symbolizer::{Answers, Error, FrameRef, ModuleAddress};

use super::lines::Lines;
use super::objects::Objects;
use super::question::{Place, Question, Subject};
use super::style::Dialect;

/// What becomes of an answer.
pub(super) trait Print {
    /// Prints the frames of an answer, innermost first; `missing` says why there are none.
    fn print(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
        missing: Option<String>,
    ) -> io::Result<()>;

    /// Prints the symbol of data at a place.
    fn print_data(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        data: Option<(String, ModuleAddress, u64)>,
    ) -> io::Result<()>;

    /// Prints what is printed for a question about a program that cannot be read.
    fn print_failed(&mut self, out: &mut dyn Write, question: &Question, error: &Error) -> io::Result<()>;
}

/// What is asked, of which programs.
pub(super) struct Session {
    pub(super) objects: Objects,
    /// The program that all lines are about, unless each names its own.
    pub(super) object: Option<PathBuf>,
    pub(super) dialect: Dialect,
    /// Taken off each address.
    pub(super) adjust: u64,
}

/// Answers of one program, and which of its addresses come from which question.
struct Group {
    object: PathBuf,
    addresses: Vec<u64>,
}

/// Where the answer to a question stands.
enum Answered {
    /// Group, index, and the address as it is shown.
    At(usize, usize, u64),
    /// Nothing can be looked up: why, and the address as it is shown.
    Nowhere(&'static str, u64),
}

impl Session {
    /// Answers `lines` in one batch, or standard input in the batches in which it comes if there are none. Gives how many
    /// questions were about programs that cannot be read.
    pub(super) fn run(
        &mut self,
        lines: &[String],
        print: &mut impl Print,
        out: &mut dyn Write,
    ) -> io::Result<usize> {
        if !lines.is_empty() {
            let failed = self.answer(lines, print, out)?;
            out.flush()?;
            return Ok(failed);
        }
        let mut input = Lines::new();
        let mut failed = 0;
        loop {
            let batch = input.next_batch()?;
            if batch.is_empty() {
                return Ok(failed);
            }
            failed += self.answer(&batch, print, out)?;
            out.flush()?;
        }
    }

    fn answer(&mut self, lines: &[String], print: &mut impl Print, out: &mut dyn Write) -> io::Result<usize> {
        let questions: Vec<Question> =
            lines.iter().map(|line| Question::read(line, self.object.as_deref(), self.dialect)).collect();
        let mut groups: Vec<Group> = Vec::new();
        let answered: Vec<Answered> =
            questions.iter().map(|question| self.place(question, &mut groups)).collect();
        let mut failed = 0;
        let mut answers: Vec<Option<Answers>> = Vec::new();
        for group in &groups {
            answers.push(self.objects.answers(&group.object, &group.addresses).ok());
        }
        for (question, answered) in questions.iter().zip(answered) {
            match answered {
                Answered::Nowhere(why, shown) => {
                    print.print(out, question, shown, &[], Some(why.to_owned()))?;
                }
                Answered::At(group, _, address)
                    if question.subject == Subject::Data && answers[group].is_some() =>
                {
                    let module = self.objects.module(&groups[group].object).ok();
                    let data = module.and_then(|module| module.data_at(ModuleAddress(address)));
                    print.print_data(out, question, data)?;
                }
                Answered::At(group, index, address) => match &answers[group] {
                    Some(answers) => {
                        let frames: Vec<FrameRef<'_>> = answers.frames(index).collect();
                        let missing = answers.missing(index).map(|missing| missing.to_string());
                        print.print(out, question, address, &frames, missing)?;
                    }
                    None => {
                        failed += 1;
                        if let Err(error) = self.objects.module(&groups[group].object) {
                            print.print_failed(out, question, error)?;
                        }
                    }
                },
            }
        }
        Ok(failed)
    }

    fn place(&mut self, question: &Question, groups: &mut Vec<Group>) -> Answered {
        let Some(object) = &question.object else { return Answered::Nowhere("no program is named", 0) };
        // As it is looked up, and as it is shown.
        let (address, shown) = match &question.place {
            Place::Nowhere => return Answered::Nowhere("not a hexadecimal address", 0),
            Place::Address(address) => (address.wrapping_sub(self.adjust), *address),
            Place::Symbol(name, offset) => match self.start_of(object, name) {
                Some(start) => (start.wrapping_add(*offset), start.wrapping_add(*offset)),
                None => return Answered::Nowhere("the program has no symbol of this name", 0),
            },
        };
        let (object, address) = match self.objects.in_dump(object, address) {
            None => (object.clone(), address),
            Some(Some(found)) => found,
            Some(None) => return Answered::Nowhere("no program was mapped there", shown),
        };
        let group = groups.iter().rposition(|group| group.object == object).unwrap_or_else(|| {
            groups.push(Group { object, addresses: Vec::new() });
            groups.len() - 1
        });
        groups[group].addresses.push(address);
        Answered::At(group, groups[group].addresses.len() - 1, shown)
    }

    fn start_of(&mut self, object: &Path, symbol: &str) -> Option<u64> {
        Some(self.objects.module(object).ok()?.address_of(symbol)?.0)
    }
}
