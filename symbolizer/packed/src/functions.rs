//! Function records as they are coded: groups of [`FUNCTION_GROUP`], each readable by itself.
//!
//! A record is a sequence of numbers (the model of each in brackets):
//!
//! - its kind \[`RecordKind`\]: the source of the name, + 4 if there is a name, + 8 if there is a linkage name;
//! - the name and the linkage name, if there are \[`RecordName`\]: 0 the next string that no record before this
//!   one has, else the distance back from that string. The group's entry in the index says which is next at
//!   its start;
//! - the file \[`RecordFile`\]: 0 as in the record before (none in the first one), 1 none, else 2 + its number
//!   among the files;
//! - the function's lowest line \[`RecordLine`\], if the file is as before as a zigzag difference from the
//!   record before.

/// Function records in a group: what a reader skips at most to get at one.
pub(crate) const FUNCTION_GROUP: usize = 8;

/// Record kind: there is a name.
pub(crate) const HAS_NAME: u32 = 4;

/// Record kind: there is a linkage name.
pub(crate) const HAS_LINKAGE: u32 = 8;

/// File: as in the record before.
pub(crate) const FILE_AS_BEFORE: u32 = 0;

/// File: none.
pub(crate) const FILE_NONE: u32 = 1;

/// File: the first one.
pub(crate) const FILE_FIRST: u32 = 2;
