//! Log files of a running container.

use std::time::Instant;

use super::fixture::{Container, wait_until};

#[test]
fn a_million_lines_arrive_whole_and_rotate() {
    let mut container = Container::new(
        "million",
        "exec yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 200000",
    );
    container.spec.log.max_size = 4 << 20;
    container.spec.log.max_files = 2;
    let began = Instant::now();
    container.start();
    wait_until("it ended", || container.data("exit.json").exists());
    let elapsed = began.elapsed();
    let size = |name: &str| std::fs::metadata(container.data(name)).unwrap().len();
    assert!(size("container.log") <= 4 << 20);
    assert!(size("container.log.1") <= 4 << 20);
    assert!(!container.data("container.log.2").exists());
    let lines = container.log_lines();
    assert!(lines.iter().all(|(_, line)| line.len() == 71), "whole lines");
    assert!(elapsed.as_secs() < 15, "{elapsed:?}");
}
