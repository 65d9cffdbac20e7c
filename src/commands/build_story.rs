//! In: events of a build, output in pieces. Out: whole lines, told as events under the name of their service, step by step.
//! Of steps that run beside each other the oldest is told as it goes; what the others say is kept until it is their turn.
//! **Invariant:** a line is told once it is complete, or when its step is done; no two steps are told at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rcompose_runtime::image_store::build::BuildEvent;

use crate::event::{Event, Events};
use crate::model::ServiceName;

/// Tells one build.
pub(super) struct Story<'a> {
    service: &'a ServiceName,
    events: &'a dyn Events,
    steps: Mutex<BTreeMap<usize, Step>>,
}

/// A step that is not done, or not told to its end.
struct Step {
    begun: Instant,
    /// Lines to be told.
    lines: Vec<String>,
    /// The beginning of a line, of either stream.
    unfinished: [Vec<u8>; 2],
    is_done: bool,
}

impl Step {
    fn output(&mut self, stream: usize, bytes: &[u8]) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rest = &mut self.unfinished[stream];
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line);
            self.lines.push(format!("{seconds:.3} {}", text.trim_end()));
        }
    }

    fn end(&mut self, last: String) {
        let seconds = self.begun.elapsed().as_secs_f64();
        for rest in self.unfinished.iter_mut().map(std::mem::take) {
            if !rest.is_empty() {
                let text = String::from_utf8_lossy(&rest);
                self.lines.push(format!("{seconds:.3} {}", text.trim_end()));
            }
        }
        self.lines.push(last);
        self.is_done = true;
    }
}

impl<'a> Story<'a> {
    pub(super) fn new(service: &'a ServiceName, events: &'a dyn Events) -> Self {
        Self {
            service,
            events,
            steps: Mutex::new(BTreeMap::new()),
        }
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<usize, Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: BuildEvent) {
        let mut steps = self.steps();
        match event {
            BuildEvent::Step {
                number,
                index,
                total,
                stage,
                text,
            } => {
                let step = Step {
                    begun: Instant::now(),
                    lines: vec![format!("[{stage} {index}/{total}] {text}")],
                    unfinished: [Vec::new(), Vec::new()],
                    is_done: false,
                };
                steps.insert(number, step);
            }
            BuildEvent::Cached { number } => {
                if let Some(step) = steps.get_mut(&number) {
                    step.end("CACHED".to_owned());
                }
            }
            BuildEvent::Output {
                number,
                stderr,
                bytes,
            } => {
                if let Some(step) = steps.get_mut(&number) {
                    step.output(usize::from(stderr), &bytes);
                }
            }
            BuildEvent::Done { number, took } => {
                if let Some(step) = steps.get_mut(&number).filter(|step| !step.is_done) {
                    step.end(format!("DONE {:.1}s", took.as_secs_f64()));
                }
            }
            BuildEvent::Note(message) => self.events.emit(Event::Warning {
                message: format!("build of {}: {message}", self.service),
                help: None,
            }),
            BuildEvent::Warning { line, message } => self.events.emit(Event::Warning {
                message: format!("build of {}, Dockerfile line {line}: {message}", self.service),
                help: None,
            }),
        }
        self.print(&mut steps, false);
    }

    /// The build has ended: what was still kept is told.
    pub(super) fn end(&self) {
        self.print(&mut self.steps(), true);
    }

    /// Tells the oldest step; those that are done are told whole, as nothing of them is to come.
    fn print(&self, steps: &mut BTreeMap<usize, Step>, all: bool) {
        let oldest = steps
            .iter()
            .find(|(_, step)| !step.is_done)
            .map(|(number, _)| *number);
        for (number, step) in steps.iter_mut() {
            if all || step.is_done || Some(*number) == oldest {
                for line in step.lines.drain(..) {
                    self.events.emit(Event::BuildOutput {
                        service: self.service.to_string(),
                        line: format!("#{number} {line}"),
                    });
                }
            }
        }
        steps.retain(|_, step| !step.is_done);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Events for Lines {
        fn emit(&self, event: Event) {
            if let Event::BuildOutput { line, .. } = event {
                self.0.lock().expect("lock").push(line);
            }
        }
    }

    fn step(number: usize) -> BuildEvent {
        BuildEvent::Step {
            number,
            index: number,
            total: 2,
            stage: "app".to_owned(),
            text: "RUN make".to_owned(),
        }
    }

    fn piece(number: usize, stderr: bool, text: &str) -> BuildEvent {
        let bytes = text.as_bytes().to_vec();
        BuildEvent::Output {
            number,
            stderr,
            bytes,
        }
    }

    fn told(events: impl IntoIterator<Item = BuildEvent>) -> Vec<String> {
        let (lines, service) = (Lines::default(), ServiceName::new("web"));
        let story = Story::new(&service, &lines);
        for event in events {
            story.tell(event);
        }
        story.end();
        let told = lines.0.lock().expect("lock").clone();
        // The seconds are those of this run.
        let without_time = |line: &String| {
            let mut words: Vec<&str> = line.split(' ').collect();
            words.retain(|word| word.parse::<f64>().is_err());
            words.join(" ")
        };
        told.iter().map(without_time).collect()
    }

    #[test]
    fn pieces_become_lines_of_their_own_stream() {
        let done = BuildEvent::Done {
            number: 1,
            took: Duration::from_millis(1500),
        };
        let told = told([
            step(1),
            piece(1, false, "one\ntw"),
            piece(1, true, "error\n"),
            piece(1, false, "o\nrest"),
            done,
        ]);
        assert_eq!(
            told,
            [
                "#1 [app 1/2] RUN make",
                "#1 one",
                "#1 error",
                "#1 two",
                "#1 rest",
                "#1 DONE 1.5s"
            ]
        );
    }

    #[test]
    fn steps_beside_each_other_are_told_one_after_the_other() {
        let done = |number| BuildEvent::Done {
            number,
            took: Duration::ZERO,
        };
        let told = told([
            step(1),
            step(2),
            step(3),
            piece(2, false, "b\n"),
            piece(1, false, "a\n"),
            BuildEvent::Cached { number: 3 },
            done(1),
            piece(2, false, "bb\n"),
        ]);
        assert_eq!(
            told,
            [
                "#1 [app 1/2] RUN make",
                "#1 a",
                "#3 [app 3/2] RUN make",
                "#3 CACHED",
                "#1 DONE 0.0s",
                "#2 [app 2/2] RUN make",
                "#2 b",
                "#2 bb"
            ]
        );
    }
}
