//! What holds for every recorded failure, whatever it says.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use trace_record::normalize::lines::{Detector, Extent};
use trace_record::source::NoSource;
use trace_record::{Completion, Policy, Record, complete, normalize, render};

use numbers::Numbers;

mod numbers;

/// The bytes of every recorded failure, by the name of its folder.
fn inputs() -> BTreeMap<String, String> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut inputs = BTreeMap::new();
    for folder in fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()) {
        let file = ["input.txt", "input.json"].map(|name| folder.join(name));
        let bytes = fs::read(file.iter().find(|path| path.exists()).unwrap()).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        inputs.insert(name, String::from_utf8_lossy(&bytes).into_owned());
    }
    assert!(inputs.len() >= 300, "the data is there");
    inputs
}

fn records(input: &str) -> Vec<Record> {
    normalize::text(input).into_iter().map(|reading| reading.record).collect()
}

#[test]
fn a_record_that_was_written_is_read_as_it_was() {
    let with = Completion {
        seen_ms: Some(1_795_419_012_532),
        function_name: Some("checkout".into()),
        origin: "test".into(),
        ..Completion::default()
    };
    let mut seen = 0;
    for (name, input) in inputs() {
        for mut record in records(&input) {
            complete(&mut record, &with, &Policy::default(), &mut NoSource);
            let line = render::line(&record, render::CLOUDWATCH_LINE_BYTES_MAX);
            let mut again = records(&line);
            assert_eq!(again.len(), 1, "{name}");
            complete(&mut again[0], &with, &Policy::default(), &mut NoSource);
            assert_eq!(again[0], record, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 300);
}

/// Each source has a detector of its own, so whatever another one writes in between changes nothing.
#[test]
fn two_sources_written_line_by_line_change_neither() {
    let inputs: Vec<String> = inputs().into_values().filter(|input| input.lines().count() > 2).collect();
    let alone = |input: &String| {
        let mut detector = Detector::new(Extent::Stream);
        let mut blocks: Vec<_> =
            input.split_inclusive('\n').flat_map(|line| detector.line(line, ())).collect();
        blocks.extend(detector.finish());
        blocks.iter().filter_map(|block| block.read()).collect::<Vec<Record>>()
    };
    let mut numbers = Numbers(88_172_645_463_325_252);
    for _ in 0..300 {
        let pair = [&inputs[numbers.below(inputs.len())], &inputs[numbers.below(inputs.len())]];
        let mut lines = pair.map(|input| input.split_inclusive('\n').peekable());
        let mut detectors = [Detector::new(Extent::Stream), Detector::new(Extent::Stream)];
        let mut found = [Vec::new(), Vec::new()];
        while lines.iter_mut().any(|lines| lines.peek().is_some()) {
            let key = numbers.below(2);
            if let Some(line) = lines[key].next() {
                found[key].extend(detectors[key].line(line, ()).iter().filter_map(|block| block.read()));
            }
        }
        for key in [0, 1] {
            found[key].extend(detectors[key].finish().iter().filter_map(|block| block.read()));
            assert_eq!(found[key], alone(pair[key]));
        }
    }
}

/// No input may take longer than its length asks for. What is counted is not time but the work of a text twice as long:
/// the longest lines and deepest nests that a reader may meet are read in one test's time.
#[test]
fn hostile_texts_are_read_in_their_length() {
    const LENGTH: usize = 4 * 1024 * 1024;
    for unit in [
        "[",
        "{",
        "{\"a\":",
        "(",
        "\r",
        "\t",
        " ",
        ":",
        "\"",
        "\n",
        "\n\n",
        "at ",
        "\tat ",
        "    at a (",
        "Caused by: ",
        "\nCaused by: x\n",
        " ---> ",
        "\n ---> x\n",
        "  File \"",
        "  | ",
        "  + ",
        "#0 ",
        "\n#0 x\n",
        "   0: ",
        "\npanic: ",
        "\n\tpanic: x\n",
        "goroutine 1 [running]:\n",
        "terminate called after throwing an instance of '",
        "thread 'main' panicked at ",
        ":in `",
        "\tfrom ",
        "\n\tfrom x:1:in `y'\n",
        "Traceback (most recent call last):\n",
        "\u{1b}[1m",
        "\u{a0}",
        "\\",
        "%7F",
        "... 5 more\n",
        "PHP Fatal error:  Uncaught ",
        "(_Z",
        "[0x1]\n",
        "\n\nNext x: y in f:1\n",
        "** (",
        "E: m\n",
        "E: m\n    at f (a.js:1:1)\n",
        "a.B: m\n\tat a.B.c(D.java:1)\n",
    ] {
        let text = unit.repeat(LENGTH / unit.len());
        for record in records(&text) {
            assert!(record.stack_trace.len() <= normalize::FRAMES_MAX);
        }
        assert!(normalize::posted(text.as_bytes()).causes.len() <= normalize::CAUSES_MAX);
    }
}
