//! Prefix codes: from frequencies to code lengths, from code lengths to tables for writing and reading.
//!
//! Codes are canonical, so the lengths alone stand in the file. They are at most [`MAX_CODE_BITS`] long, so a
//! reader needs one table access for a symbol and the tables of all models fit in the processor's cache.

/// The longest code in bits. Longer codes gain nearly nothing with alphabets this small and double the tables.
pub(crate) const MAX_CODE_BITS: u32 = 10;

/// The largest alphabet: symbols are bytes, and the value code of [`crate::model`] ends at 247.
pub(crate) const MAX_SYMBOLS: usize = 248;

/// The code length of every symbol, 0 for symbols that do not occur.
pub(crate) fn code_lengths(frequencies: &[u32]) -> Vec<u8> {
    let mut weights: Vec<u64> = frequencies.iter().map(|&count| u64::from(count)).collect();
    loop {
        let lengths = unlimited_lengths(&weights);
        if lengths.iter().all(|&length| u32::from(length) <= MAX_CODE_BITS) {
            return lengths;
        }
        // Flatter weights give a flatter tree; a few rounds suffice, since all weights end at one.
        for weight in weights.iter_mut().filter(|weight| **weight > 0) {
            *weight = weight.div_ceil(2);
        }
    }
}

/// Huffman's algorithm; ties are broken by the order of creation, so equal input gives equal codes.
fn unlimited_lengths(weights: &[u64]) -> Vec<u8> {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    let mut lengths = vec![0_u8; weights.len()];
    let mut heap = BinaryHeap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (symbol, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
        heap.push(Reverse((weight, members.len())));
        members.push(vec![symbol]);
    }
    if let (1, Some(only)) = (members.len(), members.first().and_then(|list| list.first())) {
        lengths[*only] = 1;
    }
    while heap.len() > 1 {
        let (Some(Reverse((low, left))), Some(Reverse((high, right)))) = (heap.pop(), heap.pop()) else {
            break;
        };
        let mut joined = std::mem::take(&mut members[left]);
        joined.append(&mut members[right]);
        for &symbol in &joined {
            lengths[symbol] = lengths[symbol].saturating_add(1);
        }
        heap.push(Reverse((low + high, members.len())));
        members.push(joined);
    }
    lengths
}

/// The canonical code of every symbol, its first bit in the lowest position.
pub(crate) fn codes(lengths: &[u8]) -> Vec<u32> {
    let mut next = first_codes(lengths);
    lengths
        .iter()
        .map(|&length| {
            let bits = u32::from(length).min(MAX_CODE_BITS);
            if bits == 0 {
                return 0;
            }
            let code = next[bits as usize];
            next[bits as usize] = code.wrapping_add(1);
            code.reverse_bits() >> (32 - bits)
        })
        .collect()
}

/// The first canonical code of every length.
fn first_codes(lengths: &[u8]) -> [u32; MAX_CODE_BITS as usize + 1] {
    let mut counts = [0_u32; MAX_CODE_BITS as usize + 1];
    for &length in lengths.iter().filter(|length| **length > 0) {
        counts[u32::from(length).min(MAX_CODE_BITS) as usize] += 1;
    }
    let mut next = [0; MAX_CODE_BITS as usize + 1];
    let mut code = 0_u32;
    for bits in 1..next.len() {
        code = (code + counts[bits - 1]) << 1;
        next[bits] = code;
    }
    next
}

/// Entries of a table that turns the next [`MAX_CODE_BITS`] bits into a symbol (the high byte) and its length (the low
/// byte, 0 where there is no code).
pub(crate) const TABLE_SIZE: usize = 1 << MAX_CODE_BITS;

/// Fills a table. Lengths that do not form a code give a table that decodes to nonsense, no more.
pub(crate) fn fill_table(table: &mut [u16; TABLE_SIZE], lengths: &[u8]) {
    for (symbol, (code, &length)) in codes(lengths).into_iter().zip(lengths).enumerate() {
        let bits = u32::from(length).min(MAX_CODE_BITS);
        if bits == 0 {
            continue;
        }
        let entry = ((symbol as u16) << 8) | bits as u16;
        for slot in table.iter_mut().skip(code as usize).step_by(1 << bits) {
            *slot = entry;
        }
    }
}
