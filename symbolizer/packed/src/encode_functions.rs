//! Writes function records in the form that [`crate::functions`] describes.

use crate::functions::{FILE_AS_BEFORE, FILE_FIRST, FILE_NONE, HAS_LINKAGE, HAS_NAME};
use crate::model::{Model, Tokens, zigzag};
use crate::order::{FunctionOrder, StringOrder};
use crate::packer::Packer;

/// Writes groups of records, one after the other.
pub(crate) struct FunctionEncoder<'a> {
    packer: &'a Packer,
    order: &'a FunctionOrder,
    strings: &'a StringOrder,
    next_name: u32,
}

impl<'a> FunctionEncoder<'a> {
    /// An encoder before the first group.
    pub(crate) fn new(packer: &'a Packer, order: &'a FunctionOrder, strings: &'a StringOrder) -> Self {
        Self { packer, order, strings, next_name: 0 }
    }

    /// The string that the code "next" means at this point.
    pub(crate) fn next_name(&self) -> u32 {
        self.next_name
    }

    /// Writes the records of these functions of the packer.
    pub(crate) fn group(&mut self, group: &[u32], tokens: &mut Tokens) {
        let (mut file, mut line) = (0, 0);
        for &function in group {
            let record = self.packer.functions[function as usize];
            let kind = record.source as u32
                + if record.name > 0 { HAS_NAME } else { 0 }
                + if record.linkage > 0 { HAS_LINKAGE } else { 0 };
            tokens.put(Model::RecordKind, kind);
            for string in [record.name, record.linkage].into_iter().filter_map(|number| number.checked_sub(1))
            {
                self.name(self.strings.names[string as usize], tokens);
            }
            let lowest = self.order.lowest_line(function);
            if record.file == file {
                tokens.put(Model::RecordFile, FILE_AS_BEFORE);
                tokens.put(Model::RecordLine, zigzag(line, lowest));
            } else {
                let code = match record.file.checked_sub(1) {
                    Some(string) => self.strings.files[string as usize] + FILE_FIRST,
                    None => FILE_NONE,
                };
                tokens.put(Model::RecordFile, code);
                tokens.put(Model::RecordLine, lowest);
            }
            (file, line) = (record.file, lowest);
        }
    }

    /// Writes a reference to a name.
    fn name(&mut self, number: u32, tokens: &mut Tokens) {
        if number == self.next_name {
            tokens.put(Model::RecordName, 0);
            self.next_name += 1;
        } else {
            tokens.put(Model::RecordName, self.next_name - number);
        }
    }
}
