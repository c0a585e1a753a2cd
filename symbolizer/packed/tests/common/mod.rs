//! Random programs for the tests, the same ones at every run.

use trace_packed::{Frame, Header, NameSource, Packer};

/// A small generator of numbers (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One range as it was put in: start, end, frames innermost first (empty in a gap).
pub(crate) type Range = (u64, u64, Vec<OwnedFrame>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnedFrame {
    pub(crate) function: Option<String>,
    pub(crate) linkage_name: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) source: NameSource,
}

impl OwnedFrame {
    pub(crate) fn borrow(&self) -> Frame<'_> {
        Frame {
            function: self.function.as_deref(),
            linkage_name: self.linkage_name.as_deref(),
            file: self.file.as_deref(),
            line: self.line,
            column: self.column,
            source: self.source,
        }
    }
}

/// A random name: words, punctuation, sometimes not ASCII, sometimes empty or long.
fn name(random: &mut Random) -> String {
    let words = [
        "core",
        "std",
        "alloc",
        "vec",
        "Vec",
        "::",
        "<",
        ">",
        ", ",
        "fmt",
        "größe",
        "{{closure}}",
        "_",
        "x1",
        "\u{1}",
    ];
    let length = match random.below(200) {
        0 => 0,
        1 => 3000,
        _ => 1 + random.below(12),
    };
    (0..length).map(|_| words[random.below(words.len() as u64) as usize]).collect()
}

fn frame(random: &mut Random, names: &[String]) -> OwnedFrame {
    let mut pick = |none: u64| {
        let at = random.below(names.len() as u64) as usize;
        (random.below(none) > 0).then(|| names[at].clone())
    };
    let (function, linkage_name, file) = (pick(20), pick(3), pick(10));
    let line = match random.below(20) {
        0 => 0,
        1 => random.below(1 << 32) as u32,
        _ => random.below(3000) as u32,
    };
    let source = NameSource::from_bits(random.below(8) as u8 & 3);
    OwnedFrame { function, linkage_name, file, line, column: random.below(90) as u32, source }
}

/// Ranges with chains that resemble each other, as those of programs do.
pub(crate) fn program(seed: u64, ranges: usize) -> Vec<Range> {
    let random = &mut Random(seed | 1);
    let names: Vec<String> = (0..40 + ranges / 20).map(|_| name(random)).collect();
    let mut address = random.below(1 << 40);
    let mut chain: Vec<OwnedFrame> = Vec::new();
    let mut known: Vec<Vec<OwnedFrame>> = Vec::new();
    let mut list = Vec::new();
    for _ in 0..ranges {
        let length = match random.below(400) {
            0 => random.below(1 << 36) + 1,
            1..20 => random.below(5000) + 1,
            _ => random.below(20) + 1,
        };
        match random.below(10) {
            0 if !known.is_empty() => chain = known[random.below(known.len() as u64) as usize].clone(),
            1 => chain.clear(),
            2..5 => {
                chain.drain(..(random.below(3) as usize).min(chain.len()));
            }
            5 if random.below(50) == 0 && chain.len() < 100 => {
                for _ in 0..random.below(150) {
                    chain.insert(0, frame(random, &names));
                }
            }
            _ => {
                if let Some(inner) = chain.first_mut() {
                    inner.line = inner.line.wrapping_add(random.below(9) as u32).wrapping_sub(4);
                }
            }
        }
        if random.below(3) == 0 && chain.len() < 200 {
            for _ in 0..random.below(4) {
                chain.insert(0, frame(random, &names));
            }
        }
        if known.len() < 30 {
            known.push(chain.clone());
        }
        list.push((address, address + length, chain.clone()));
        address += length;
    }
    list
}

/// Packs ranges.
pub(crate) fn pack(ranges: &[Range], header: Header<'_>) -> Vec<u8> {
    let mut packer = Packer::new(header);
    for (start, end, chain) in ranges {
        let mut node = None;
        for frame in chain.iter().rev() {
            node = Some(packer.intern(&frame.borrow(), node));
        }
        if let Some(node) = node {
            packer.range(*start, *end, node);
        }
    }
    packer.finish()
}

/// A header that keeps everything or only what is kept by default.
pub(crate) fn header(everything: bool) -> Header<'static> {
    Header {
        build_id: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
        architecture: 62,
        complete_inlines: everything,
        text: &[(0x1000, 0x2000), (1 << 33, 77)],
        keep_linkage_names: everything,
        keep_columns: everything,
    }
}
