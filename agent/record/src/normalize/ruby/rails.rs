//! Failures as Rails logs them: the type, the message in brackets, perhaps some lines of a template, then places.
//!
//! ```text
//! ActionView::Template::Error (undefined method `name' for nil):
//!     1: <h1><%= @user.name %></h1>
//!
//! app/views/users/show.html.erb:1
//! app/controllers/users_controller.rb:8:in `show'
//! ```

use crate::failure::{Frame, Record, StackEntry};
use crate::normalize::language::Held;
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;

/// How many lines may stand between the first one and the first place that names a method: those of a template.
const ABOVE_LINES_MAX: usize = 16;

/// The type and the message in `NoMethodError (undefined method 'name' for nil):`.
fn head(line: &str) -> Option<(&str, &str)> {
    let (error_type, said) = line.strip_suffix("):")?.split_once(" (")?;
    let is_type = error_type.starts_with(|c: char| c.is_ascii_uppercase())
        && error_type.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
    is_type.then_some((error_type, said))
}

/// The call in `app/models/user.rb:8:in 'show'` or `app/views/users/show.html.erb:1`.
pub(super) fn call(line: &str) -> Option<StackEntry> {
    let text = line.trim();
    super::call(text).or_else(|| {
        let (file, number) = text.rsplit_once(':')?;
        let is_file = file.contains('.') && file.contains('/') && !file.contains(' ');
        let line = number.parse().ok().filter(|_| is_file)?;
        Some(StackEntry { file: Some(file.to_owned()), line: Some(line), ..StackEntry::default() })
    })
}

/// How many of the lines before a place that names a method belong to the failure.
pub(super) fn lines_above(held: &Held<'_>) -> Option<usize> {
    let above = held.back().take(ABOVE_LINES_MAX).position(|line| head(Line::new(line).text).is_some())?;
    Some(above + 1)
}

/// Reads a failure whose first line is the first of `lines`.
pub(super) fn read(lines: &[&str]) -> Option<Record> {
    let (error_type, said) = head(lines.first()?)?;
    let first = lines.iter().position(|line| call(line).is_some())?;
    let mut stack = Stack::default();
    for mut entry in lines[first..].iter().map_while(|line| call(line)) {
        if stack.is_empty() {
            entry.source = entry.line.and_then(|line| excerpt(&lines[1..first], line));
        }
        stack.push(entry, Frame::default());
    }
    let mut record = Record {
        error_message: said.to_owned(),
        error_type: Some(error_type.to_owned()),
        ..Record::default()
    };
    // A list of places has a caption too; a failure names a method, or its type says what it is.
    let is_failure =
        error_type.contains("::") || error_type.ends_with("Error") || error_type.ends_with("Exception");
    let names_method = stack.calls().iter().any(|(entry, _)| entry.function.is_some());
    stack.reversed().put_into(&mut record);
    (is_failure || names_method).then_some(record)
}

/// The text of one line of a template: `    1: <h1><%= @user.name %></h1>`.
fn excerpt(lines: &[&str], wanted: u32) -> Option<String> {
    lines.iter().find_map(|line| {
        let (number, text) = line.trim_start().split_once(": ")?;
        (number.parse() == Ok(wanted)).then(|| text.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use crate::normalize;

    #[test]
    fn what_rails_logs_is_read() {
        let log = "Completed 500 Internal Server Error in 5ms\n\nActionView::Template::Error (undefined method `name' for nil):\n    1: <h1><%= @user.name %></h1>\n  \napp/views/users/show.html.erb:1\napp/controllers/users_controller.rb:8:in `show'\nStarted GET \"/\"\n";
        let readings = normalize::text(log);
        let [reading] = &readings[..] else { panic!("{readings:?}") };
        let record = &reading.record;
        assert_eq!(record.error_type.as_deref(), Some("ActionView::Template::Error"));
        assert_eq!(record.error_message, "undefined method `name' for nil");
        let last = record.stack_trace.last().unwrap();
        assert_eq!((last.line, last.source.as_deref()), (Some(1), Some("<h1><%= @user.name %></h1>")));
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("show"));
    }

    #[test]
    fn places_alone_are_no_failure() {
        for log in [
            "app/models/user.rb:8:in `show'\n",
            "Loaded (x):\nlib/a.rb:1\n",
            "note (x):\napp/a.rb:8:in `f'\n",
        ] {
            assert_eq!(normalize::text(log).len(), 0, "{log}");
        }
    }
}
