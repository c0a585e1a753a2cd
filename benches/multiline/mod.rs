//! The peer of the detector: a multi-line rule set as log shippers have them, one state machine whose transitions are
//! regular expressions that are tried one after the other on each line.
//!
//! The rules are our own, in the manner of what fluent-bit, fluentd and Vector document for these languages: enough of them to find
//! a printed trace of each, and none that makes it slower than it must be.

use regex::Regex;

/// A rule: in `from`, a line that matches leads to `to`.
struct Rule {
    from: State,
    to: State,
    line: Regex,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Python,
    PythonSource,
    Java,
    JavaFrames,
    Go,
    GoFrames,
    Ruby,
    Dotnet,
    Php,
    Rust,
    Node,
}

/// Parts a log into traces by its rules.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    state: State,
    traces: usize,
}

impl Rules {
    pub(crate) fn new() -> Self {
        use State::{
            Dotnet, Go, GoFrames, Java, JavaFrames, Node, Php, Python, PythonSource, Ruby, Rust, Start,
        };
        let rules = [
            (Start, Python, r"^(?:\s*\+ Exception Group )?Traceback \(most recent call last\):$"),
            (Python, PythonSource, r#"^[\t ]+(?:\| +)?File "[^"]+", line \d+"#),
            (PythonSource, Python, r"^[\t ]+\S"),
            (Python, Start, r"^(?:[\w.]+): "),
            (Start, Java, r"(?:Exception|Error|Throwable|V8 errors stack trace)[:\r\n]|(?:Exception|Error)$"),
            (Java, JavaFrames, r"^[\t ]+(?:eval )?at "),
            (
                JavaFrames,
                JavaFrames,
                r"^[\t ]+(?:eval )?at |^[\t ]*(?:Caused by|Suppressed):|^[\t ]*\.\.\. \d+ (?:more|common)",
            ),
            (Start, Go, r"\bpanic: |^fatal error: "),
            (Go, Go, r"^$|^\[signal "),
            (Go, GoFrames, r"^goroutine \d+ \["),
            (GoFrames, GoFrames, r"^(?:[^\s.:]+\.)*[^\s.():]+\(|^\s"),
            (Start, Ruby, r":in [`'].+': .+ \(\w+(?:::\w+)*\)$"),
            (Ruby, Ruby, r"^[\t ]+from .+:\d+:in [`']"),
            (Start, Dotnet, r"^Unhandled [Ee]xception[.:]"),
            (Dotnet, Dotnet, r"^ +at .+|^ ---> |^ +--- End of "),
            (Start, Php, r"(?:PHP )?Fatal error: +Uncaught "),
            (Php, Php, r"^Stack trace:$|^#\d+ |^ +thrown in "),
            (Start, Rust, r"^thread '.*' .*panicked at "),
            (Rust, Rust, r"^stack backtrace:$|^ +\d+: |^ +at .+:\d+"),
            (Start, Node, r"^(?:Uncaught )?[A-Za-z]*Error(?: \[\w+\])?: "),
            (Node, Node, r"^ +at (?:async )?(?:.+ \(.+\)|.+:\d+:\d+)$"),
        ];
        let rules = rules
            .into_iter()
            .map(|(from, to, line)| Rule { from, to, line: Regex::new(line).unwrap() })
            .collect();
        Self { rules, state: State::Start, traces: 0 }
    }

    /// Takes a line, and gives how many traces began so far.
    pub(crate) fn line(&mut self, line: &str) -> usize {
        let line = line.trim_end_matches('\n');
        let next = self.next(line).or_else(|| {
            let was_open = self.state != State::Start;
            self.state = State::Start;
            was_open.then(|| self.next(line)).flatten()
        });
        if let Some(next) = next {
            self.traces += usize::from(self.state == State::Start);
            self.state = next;
        }
        self.traces
    }

    fn next(&self, line: &str) -> Option<State> {
        self.rules.iter().find(|rule| rule.from == self.state && rule.line.is_match(line)).map(|rule| rule.to)
    }
}
