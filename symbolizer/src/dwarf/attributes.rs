//! The attributes of one entry that matter to frames, as they are stored: what a value means depends on its form and
//! on the unit.

use gimli::constants::{self as dw, DwForm};

use super::abbrev::{Abbreviation, Abbreviations, Encoding, SLOTS, Slot, Step, next_attribute};
use super::cursor::Cursor;

/// A value as it is stored: a number, an offset, an index; of an inline string the offset where it starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Value {
    pub(crate) form: DwForm,
    pub(crate) number: u64,
}

/// The attributes of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    forms: [DwForm; SLOTS],
    numbers: [u64; SLOTS],
}

impl Attributes {
    pub(crate) const NONE: Attributes = Attributes { forms: [DwForm(0); SLOTS], numbers: [0; SLOTS] };

    /// Reads the entry behind the cursor, whose abbreviation is given, and leaves the cursor behind it.
    #[inline]
    pub(crate) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        table: &Abbreviations,
        abbreviation: &Abbreviation,
        encoding: Encoding,
    ) -> Option<()> {
        self.forms = [DwForm(0); SLOTS];
        for step in table.steps_through(abbreviation) {
            match *step {
                Step::Skip(bytes) => cursor.skip(bytes as usize)?,
                Step::Pass(form) => {
                    value(cursor, form, encoding)?;
                }
                Step::Read(slot, form) => {
                    let value = value(cursor, form, encoding)?;
                    self.set(slot, value);
                }
                Step::Keep(slot, constant) => self
                    .set(slot, Value { form: dw::DW_FORM_implicit_const, number: constant.cast_unsigned() }),
            }
        }
        Some(())
    }

    /// Reads the entry behind the cursor as `definition` has it.
    pub(crate) fn read_once(
        cursor: &mut Cursor<'_>,
        mut definition: Cursor<'_>,
        encoding: Encoding,
    ) -> Option<Attributes> {
        let mut attributes = Attributes::NONE;
        while let Some((slot, form, constant)) = next_attribute(&mut definition)? {
            let value = match form {
                dw::DW_FORM_implicit_const => Value { form, number: constant.cast_unsigned() },
                _ => value(cursor, form, encoding)?,
            };
            if let Some(slot) = slot {
                attributes.set(slot, value);
            }
        }
        Some(attributes)
    }

    /// The value of an attribute, if the entry has it.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<Value> {
        let form = self.forms[slot as usize];
        (form.0 != 0).then(|| Value { form, number: self.numbers[slot as usize] })
    }

    /// The value of an attribute that is a constant.
    #[inline]
    pub(crate) fn number(&self, slot: Slot) -> Option<u64> {
        self.get(slot).map(|value| value.number)
    }

    #[inline]
    fn set(&mut self, slot: Slot, value: Value) {
        self.forms[slot as usize] = value.form;
        self.numbers[slot as usize] = value.number;
    }
}

/// Goes past the entry behind the cursor.
#[inline]
pub(crate) fn skip(
    cursor: &mut Cursor<'_>,
    table: &Abbreviations,
    abbreviation: &Abbreviation,
    encoding: Encoding,
) -> Option<()> {
    if let Some(size) = abbreviation.size {
        return cursor.skip(size as usize);
    }
    for step in table.steps_over(abbreviation) {
        match *step {
            Step::Skip(bytes) => cursor.skip(bytes as usize)?,
            Step::Pass(form) => pass(cursor, form, encoding)?,
            Step::Read(..) | Step::Keep(..) => {}
        }
    }
    Some(())
}

/// Goes past a value of no fixed size: the frequent forms here, the others as if they were read.
#[inline]
fn pass(cursor: &mut Cursor<'_>, form: DwForm, encoding: Encoding) -> Option<()> {
    match form {
        dw::DW_FORM_exprloc | dw::DW_FORM_block => {
            let length = cursor.uleb()?;
            cursor.skip(usize::try_from(length).ok()?)
        }
        dw::DW_FORM_udata
        | dw::DW_FORM_sdata
        | dw::DW_FORM_strx
        | dw::DW_FORM_addrx
        | dw::DW_FORM_rnglistx
        | dw::DW_FORM_loclistx
        | dw::DW_FORM_ref_udata => cursor.skip_leb(),
        _ => value(cursor, form, encoding).map(drop),
    }
}

/// Reads a value of `form`.
fn value(cursor: &mut Cursor<'_>, form: DwForm, encoding: Encoding) -> Option<Value> {
    let at = cursor.at() as u64;
    let number = match form {
        dw::DW_FORM_addr => cursor.unsigned(encoding.address_size)?,
        dw::DW_FORM_data1 | dw::DW_FORM_ref1 | dw::DW_FORM_flag | dw::DW_FORM_strx1 | dw::DW_FORM_addrx1 => {
            cursor.unsigned(1)?
        }
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_strx2 | dw::DW_FORM_addrx2 => {
            cursor.unsigned(2)?
        }
        dw::DW_FORM_strx3 | dw::DW_FORM_addrx3 => cursor.unsigned(3)?,
        dw::DW_FORM_data4
        | dw::DW_FORM_ref4
        | dw::DW_FORM_strx4
        | dw::DW_FORM_addrx4
        | dw::DW_FORM_ref_sup4 => cursor.unsigned(4)?,
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => cursor.u64()?,
        dw::DW_FORM_ref_addr if encoding.version <= 2 => cursor.unsigned(encoding.address_size)?,
        dw::DW_FORM_ref_addr
        | dw::DW_FORM_strp
        | dw::DW_FORM_line_strp
        | dw::DW_FORM_strp_sup
        | dw::DW_FORM_sec_offset
        | dw::DW_FORM_GNU_ref_alt
        | dw::DW_FORM_GNU_strp_alt => cursor.unsigned(encoding.offset_size)?,
        dw::DW_FORM_udata
        | dw::DW_FORM_strx
        | dw::DW_FORM_addrx
        | dw::DW_FORM_rnglistx
        | dw::DW_FORM_loclistx
        | dw::DW_FORM_ref_udata
        | dw::DW_FORM_GNU_addr_index
        | dw::DW_FORM_GNU_str_index => cursor.uleb()?,
        dw::DW_FORM_sdata => cursor.sleb()?.cast_unsigned(),
        dw::DW_FORM_flag_present => 1,
        dw::DW_FORM_string => {
            cursor.text()?;
            at
        }
        dw::DW_FORM_exprloc | dw::DW_FORM_block => {
            let length = cursor.uleb()?;
            cursor.skip(usize::try_from(length).ok()?)?;
            at
        }
        dw::DW_FORM_block1 | dw::DW_FORM_block2 | dw::DW_FORM_block4 => {
            let size = match form {
                dw::DW_FORM_block1 => 1,
                dw::DW_FORM_block2 => 2,
                _ => 4,
            };
            let length = cursor.unsigned(size)?;
            cursor.skip(usize::try_from(length).ok()?)?;
            at
        }
        dw::DW_FORM_data16 => {
            cursor.skip(16)?;
            at
        }
        dw::DW_FORM_indirect => {
            let form = DwForm(u16::try_from(cursor.uleb()?).ok()?);
            // One level: the standard allows no constant there, and deeper ones are made to hurt.
            return match form {
                dw::DW_FORM_indirect | dw::DW_FORM_implicit_const => None,
                form => value(cursor, form, encoding),
            };
        }
        // A form that nobody knows has no known size: the rest of the unit cannot be read.
        _ => return None,
    };
    Some(Value { form, number })
}
