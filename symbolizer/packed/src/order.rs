//! The numbering of functions and strings in the file, which decides how cheap it is to refer to them.
//!
//! A function that only one block of ranges (or a run of neighbouring blocks) has is numbered in the order of first
//! use: its block then says "the next one". The others come before them, those that most blocks have first, since
//! small numbers have short codes. Names are numbered in the order of functions; files by how often they occur.

use crate::encode_ranges::{Block, chain};
use crate::packer::{Node, Packer};

const UNUSED: u32 = u32::MAX;

/// The numbering of functions.
pub(crate) struct FunctionOrder {
    /// The packer's functions in the file's order.
    listed: Vec<u32>,
    /// The inverse of `listed`.
    numbers: Vec<u32>,
    /// The lowest line of every function of the packer.
    lowest_lines: Vec<u32>,
    shared: u32,
}

impl FunctionOrder {
    /// Numbers all functions that occur in the blocks.
    pub(crate) fn new(packer: &Packer, blocks: &[Block]) -> Self {
        let count = packer.functions.len();
        let mut uses = Uses { last_block: vec![UNUSED; count], runs: vec![0; count], first_use: Vec::new() };
        let mut reversed = Vec::new();
        let mut lowest_lines = vec![u32::MAX; count];
        for (number, block) in blocks.iter().enumerate() {
            let mut leaf = 0;
            for change in packer.changes.get(block.first..block.end).unwrap_or_default() {
                if change.1 == leaf {
                    continue;
                }
                leaf = change.1;
                reversed.clear();
                reversed.extend(chain(packer, leaf).map(|(_, node)| *node));
                for node in reversed.iter().rev() {
                    uses.note(node.function as usize, number as u32);
                    let lowest = &mut lowest_lines[node.function as usize];
                    *lowest = if node.line == 0 { *lowest } else { node.line.min(*lowest) };
                }
            }
        }
        for line in lowest_lines.iter_mut().filter(|line| **line == u32::MAX) {
            *line = 1;
        }
        let Uses { runs, first_use, .. } = uses;
        let mut listed: Vec<u32> =
            first_use.iter().copied().filter(|&function| runs[function as usize] > 1).collect();
        listed.sort_by_key(|&function| std::cmp::Reverse(runs[function as usize]));
        let shared = listed.len() as u32;
        listed.extend(first_use.iter().copied().filter(|&function| runs[function as usize] == 1));
        let mut numbers = vec![UNUSED; count];
        for (number, &function) in listed.iter().enumerate() {
            numbers[function as usize] = number as u32;
        }
        Self { listed, numbers, lowest_lines, shared }
    }

    /// The packer's functions in the file's order.
    pub(crate) fn listed(&self) -> &[u32] {
        &self.listed
    }

    /// The number in the file of a function of the packer.
    pub(crate) fn number(&self, function: u32) -> u32 {
        self.numbers[function as usize]
    }

    /// How many functions come before those that only one block has.
    pub(crate) fn shared_count(&self) -> u32 {
        self.shared
    }

    /// The lowest line of a function of the packer.
    pub(crate) fn lowest_line(&self, function: u32) -> u32 {
        self.lowest_lines[function as usize]
    }

    /// A node's line as blocks write it: 0 for none, else 1 + the distance from the function's lowest line.
    pub(crate) fn relative_line(&self, node: &Node) -> u32 {
        if node.line == 0 { 0 } else { node.line - self.lowest_lines[node.function as usize] + 1 }
    }
}

/// How often functions occur.
struct Uses {
    last_block: Vec<u32>,
    /// Runs of neighbouring blocks that have the function.
    runs: Vec<u32>,
    first_use: Vec<u32>,
}

impl Uses {
    /// Notes a use of a function in a block.
    fn note(&mut self, function: usize, block: u32) {
        let last = &mut self.last_block[function];
        if *last == UNUSED {
            self.first_use.push(function as u32);
        }
        if *last == UNUSED || block > *last + 1 {
            self.runs[function] += 1;
        }
        *last = block;
    }
}

/// The numbering of strings: names (and linkage names) first, then files.
pub(crate) struct StringOrder {
    /// The packer's strings in the file's order.
    pub(crate) listed: Vec<u32>,
    /// Number in the file of every string used as a name.
    pub(crate) names: Vec<u32>,
    /// Number among the files of every string used as a file.
    pub(crate) files: Vec<u32>,
    /// How many of `listed` are names.
    pub(crate) name_count: u32,
}

impl StringOrder {
    /// Numbers all strings of the functions.
    pub(crate) fn new(packer: &Packer, order: &FunctionOrder) -> Self {
        let count = packer.strings.len();
        let (mut names, mut files) = (vec![UNUSED; count], vec![UNUSED; count]);
        let (mut listed, mut file_list, mut file_uses) = (Vec::new(), Vec::new(), vec![0_u32; count]);
        for &function in order.listed() {
            let function = packer.functions[function as usize];
            for string in
                [function.name, function.linkage].into_iter().filter_map(|number| number.checked_sub(1))
            {
                let known = &mut names[string as usize];
                if *known == UNUSED {
                    *known = listed.len() as u32;
                    listed.push(string);
                }
            }
            if let Some(file) = function.file.checked_sub(1) {
                if file_uses[file as usize] == 0 {
                    file_list.push(file);
                }
                file_uses[file as usize] += 1;
            }
        }
        file_list.sort_by_key(|&file| std::cmp::Reverse(file_uses[file as usize]));
        for (number, &file) in file_list.iter().enumerate() {
            files[file as usize] = number as u32;
        }
        let name_count = listed.len() as u32;
        listed.extend(file_list);
        Self { listed, names, files, name_count }
    }
}
