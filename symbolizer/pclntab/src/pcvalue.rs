//! Step programs: a value for every instruction of a function, as (change of value, length) pairs.

use crate::budget::Budget;

/// The value at `distance` bytes from the function's start, `None` where the program has no value.
///
/// `steps` starts at the function's program. A value of -1 means "none" in all programs that are read.
pub(crate) fn value_at(steps: &[u8], distance: u64, quantum: u64, budget: &mut Budget) -> Option<u32> {
    let mut rest = steps;
    let mut value = -1_i32;
    let mut covered = 0_u64;
    let mut first = true;
    loop {
        budget.take()?;
        let change = varint(&mut rest)?;
        if change == 0 && !first {
            return None;
        }
        first = false;
        value = value.wrapping_add(unzigzag(change));
        let length = varint(&mut rest)?;
        covered = covered.checked_add(u64::from(length).checked_mul(quantum)?)?;
        if distance < covered {
            return u32::try_from(value).ok();
        }
    }
}

/// Undoes the coding that keeps small negative numbers short.
fn unzigzag(coded: u32) -> i32 {
    let magnitude = (coded >> 1).cast_signed();
    if coded & 1 == 0 { magnitude } else { !magnitude }
}

/// Seven bits a byte, low ones first, the high bit of a byte saying that another follows.
fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u32::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(distance: u64) -> Option<u32> {
        // Value 9 for four bytes, 7 for two, then the end.
        value_at(&[20, 4, 3, 2, 0], distance, 1, &mut Budget::new())
    }

    #[test]
    fn steps_give_values() {
        assert_eq!([at(0), at(3), at(4), at(5), at(6)], [Some(9), Some(9), Some(7), Some(7), None]);
    }

    #[test]
    fn truncated_steps_give_none() {
        assert_eq!(value_at(&[20, 4, 3], 5, 1, &mut Budget::new()), None);
        assert_eq!(value_at(&[0x80; 9], 5, 1, &mut Budget::new()), None);
    }
}
