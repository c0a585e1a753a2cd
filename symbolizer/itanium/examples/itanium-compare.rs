//! Compares with what a tool printed: `itanium-compare gnu|llvm NAMES PRINTED`, where the tool has read the file of names,
//! one a line, and written the other. Tells the names that differ, and how many there are of each kind.

use std::error::Error;
use std::fs;
use trace_itanium::{Demangler, Dialect, Form};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dialect, names, printed] = arguments.as_slice() else {
        return Err("usage: itanium-compare gnu|llvm NAMES PRINTED".into());
    };
    let dialect = if dialect == "llvm" { Dialect::Llvm } else { Dialect::Gnu };
    let (names, printed) = (fs::read_to_string(names)?, fs::read_to_string(printed)?);
    let mut demangler = Demangler::new();
    let mut readable = String::new();
    let (mut equal, mut missing, mut wrong) = (0, 0, 0);
    for (name, expected) in names.lines().zip(printed.lines()) {
        let found = demangler.demangle_into(name, dialect, Form::Full, &mut readable);
        if !found && name != expected {
            missing += 1;
            println!("none\n {name}\n {expected}");
        } else if found && readable != expected {
            wrong += 1;
            println!("wrong\n {name}\n {expected}\n {readable}");
        } else {
            equal += 1;
        }
    }
    println!("{equal} equal, {missing} without a readable form, {wrong} wrong");
    Ok(())
}
