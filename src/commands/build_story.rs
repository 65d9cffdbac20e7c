//! In: events of a build, output in pieces. Out: whole lines, told as events under the name of their service.
//! **Invariant:** a line is told once it is complete, or when its step is done.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rcompose_runtime::image_store::build::BuildEvent;

use crate::event::{Event, Events};
use crate::model::ServiceName;

/// Tells one build.
pub(super) struct Story<'a> {
    service: &'a ServiceName,
    events: &'a dyn Events,
    /// The beginning of a line, by step and stream.
    begun: Mutex<HashMap<(usize, bool), Vec<u8>>>,
}

impl<'a> Story<'a> {
    pub(super) fn new(service: &'a ServiceName, events: &'a dyn Events) -> Self {
        Self {
            service,
            events,
            begun: Mutex::new(HashMap::new()),
        }
    }

    pub(super) fn tell(&self, event: BuildEvent) {
        match event {
            BuildEvent::Step {
                number,
                total,
                stage,
                text,
            } => {
                self.line(&format!("[{stage} {number}/{total}] {text}"));
            }
            BuildEvent::Cached { number } => self.line(&format!("step {number} is cached")),
            BuildEvent::Output {
                number,
                stderr,
                bytes,
            } => self.output((number, stderr), &bytes),
            BuildEvent::Done { number, took } => {
                self.flush((number, false));
                self.flush((number, true));
                self.line(&format!("step {number} done in {:.1}s", took.as_secs_f64()));
            }
            BuildEvent::Warning { line, message } => self.events.emit(Event::Warning {
                message: format!("build of {}, Dockerfile line {line}: {message}", self.service),
                help: None,
            }),
        }
    }

    fn output(&self, key: (usize, bool), bytes: &[u8]) {
        let mut lines = Vec::new();
        {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = begun.entry(key).or_default();
            rest.extend_from_slice(bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
        for line in lines {
            self.line(&line);
        }
    }

    fn flush(&self, key: (usize, bool)) {
        let rest = self
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.line(String::from_utf8_lossy(&rest).trim_end());
        }
    }

    fn line(&self, text: &str) {
        self.events.emit(Event::BuildOutput {
            service: self.service.to_string(),
            line: text.to_owned(),
        });
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

    #[test]
    fn pieces_become_lines_of_their_own_stream() {
        let (lines, service) = (Lines::default(), ServiceName::new("web"));
        let story = Story::new(&service, &lines);
        let piece = |stderr, text: &str| BuildEvent::Output {
            number: 1,
            stderr,
            bytes: text.as_bytes().to_vec(),
        };
        for event in [
            piece(false, "one\ntw"),
            piece(true, "error\n"),
            piece(false, "o\nrest"),
        ] {
            story.tell(event);
        }
        story.tell(BuildEvent::Done {
            number: 1,
            took: Duration::from_millis(1500),
        });
        let told = lines.0.lock().expect("lock").clone();
        assert_eq!(told, ["one", "error", "two", "rest", "step 1 done in 1.5s"]);
    }
}
