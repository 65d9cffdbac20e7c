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
