//! How findings are shown: frames, plain lines and JSON. What they say is tested with `check`.

use super::*;

fn example() -> (Diagnostics, SourceMap) {
    let mut sources = SourceMap::new();
    let base = sources.add("compose.yaml", "services:\n  web:\n    prots:\n      - 80\n");
    let other = sources.add("other.yaml", "a: b\n");
    let mut findings = Diagnostics::new();
    findings.push(
        Diagnostic::error("unknown-key", "`prots` is not a key of a service")
            .label(Span::new(base, 21, 26), "here")
            .secondary(Span::new(other, 3, 4), "because of this")
            .help("did you mean `ports`?\nor not"),
    );
    findings.push(Diagnostic::warning("orphan", "no place at all"));
    (findings, sources)
}

#[test]
fn plain_lines_have_place_line_caret_and_help() {
    let (findings, sources) = example();
    insta::assert_snapshot!(plain(&findings, &sources), @r"
    compose.yaml:3:5: error[unknown-key]: `prots` is not a key of a service
      3 |     prots:
        |     ^^^^^ here
      other.yaml:1:4: because of this
      1 | a: b
        |    ^
      = help: did you mean `ports`?
              or not
    warning[orphan]: no place at all
    ");
}

#[test]
fn frames_name_both_files() {
    let (findings, sources) = example();
    let text = framed(&findings, &sources);
    for part in [
        "compose.yaml:3:5",
        "other.yaml:1:4",
        "unknown-key",
        "did you mean `ports`?",
        "no place at all",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn of_a_long_line_the_part_in_question_is_shown() {
    let mut sources = SourceMap::new();
    let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
    let file = sources.add("compose.yaml", line);
    let mut findings = Diagnostics::new();
    findings.push(Diagnostic::error("wrong-type", "this").label(Span::new(file, 500, 504), "it"));
    let text = plain(&findings, &sources);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() < 180), "{text}");
    let column = |line: &str, what: &str| {
        line.chars()
            .collect::<String>()
            .find(what)
            .map(|at| line[..at].chars().count())
    };
    assert!(
        lines[1].contains("…") && column(lines[1], "HERE").is_some(),
        "{text}"
    );
    assert_eq!(column(lines[1], "HERE"), column(lines[2], "^^^^ it"), "{text}");
}
