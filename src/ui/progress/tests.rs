//! Lines on a pipe, bars, and a block that replaces itself.

use std::time::Instant;

use super::block::Block;
use super::words::{bar, line};
use crate::event::{Event, Kind, StepInfo};
use crate::ui::style::Style;

fn step(verb: &str, kind: Kind, name: &str) -> StepInfo {
    StepInfo {
        id: 0,
        verb: verb.to_owned(),
        kind,
        name: name.to_owned(),
        reason: String::new(),
    }
}

#[test]
fn lines_are_docker_composes() {
    let started = |step| line(&Event::StepStarted { step });
    let done = |step| line(&Event::StepDone { step, millis: 3 });
    assert_eq!(
        started(step("create", Kind::Container, "x-web-1")).as_deref(),
        Some(" Container x-web-1  Creating")
    );
    assert_eq!(
        done(step("create network", Kind::Network, "x_default")).as_deref(),
        Some(" Network x_default  Created")
    );
    assert_eq!(
        done(step("wait for", Kind::Service, "db to be healthy")).as_deref(),
        Some(" Service db  Healthy")
    );
    assert_eq!(started(step("connect", Kind::Containers, "a, b")), None);
}

#[test]
fn bars_fill_and_never_overflow() {
    assert_eq!(bar(0, 1000), "[>                   ] 0B/1kB");
    assert_eq!(bar(500, 1000), "[==========>         ] 500B/1kB");
    assert_eq!(bar(2000, 1000), "[====================] 2kB/1kB");
    assert_eq!(bar(0, 0), "[>                   ] 0B/0B");
}

#[test]
fn a_block_replaces_itself_and_stays_at_the_end() {
    let mut block = Block::new("up", Style { colour: false });
    let now = Instant::now();
    let web = step("start", Kind::Container, "x-web-1");
    block.take(&Event::StepStarted { step: web.clone() }, now);
    let first = block.frame(now);
    assert!(
        first.starts_with("[+] up 0/1\n") && first.contains("Container x-web-1  Starting"),
        "{first}"
    );
    block.take(&Event::StepDone { step: web, millis: 1 }, now);
    let last = block.last(now);
    assert!(
        last.starts_with("\x1b[2A\r\x1b[J[+] up 1/1\n ✔ Container x-web-1  Started"),
        "{last}"
    );
    assert_eq!(block.last(now), "");
}

#[test]
fn an_image_has_one_line_on_a_pipe() {
    for verb in ["pull", "push"] {
        let step = step(verb, Kind::Image, "a:1");
        let moved = Event::PullProgress {
            image: "a:1".to_owned(),
            layer: "0123456789ab".to_owned(),
            phase: "downloading".to_owned(),
            done: 1,
            total: Some(2),
        };
        let events = [
            Event::StepStarted { step: step.clone() },
            moved,
            Event::StepDone { step, millis: 3 },
        ];
        let lines: Vec<String> = events.iter().filter_map(line).collect();
        assert_eq!(
            lines,
            [format!(
                " Image a:1  {}",
                if verb == "pull" { "Pulled" } else { "Pushed" }
            )]
        );
    }
}

#[test]
fn each_layer_has_a_bar_with_bytes_and_rate() {
    let mut block = Block::new("pull", Style { colour: false });
    let begun = Instant::now();
    let step = step("pull", Kind::Image, "a:1");
    block.take(&Event::StepStarted { step: step.clone() }, begun);
    let mut take = |layer: &str, phase: &str, done, total, after| {
        let event = Event::PullProgress {
            image: "a:1".to_owned(),
            layer: layer.to_owned(),
            phase: phase.to_owned(),
            done,
            total,
        };
        block.take(&event, begun + std::time::Duration::from_millis(after));
    };
    take("aaaaaaaaaaaa", "waiting", 0, None, 0);
    take("bbbbbbbbbbbb", "exists", 0, None, 0);
    // What an earlier pull left counts for the bar, not for the rate.
    take("aaaaaaaaaaaa", "downloading", 1_000_000, Some(4_000_000), 0);
    take("aaaaaaaaaaaa", "downloading", 2_000_000, Some(4_000_000), 500);
    let text = block.frame(begun + std::time::Duration::from_millis(500));
    assert!(
        text.contains("aaaaaaaaaaaa  Downloading   [==========>         ] 2MB/4MB  2MB/s\n"),
        "{text}"
    );
    assert!(text.contains("✔ bbbbbbbbbbbb  Already exists\n"), "{text}");
    block.take(&Event::StepDone { step, millis: 1 }, begun);
    let last = block.last(begun);
    assert!(
        last.contains("✔ Image a:1  Pulled") && !last.contains("aaaa"),
        "{last}"
    );
}
