//! In: events and the time. Out: the block of rows that a terminal shows, as text with control sequences.
//! **Invariant:** a row never wraps: the cursor is moved up by as many lines as were written.

use std::fmt::Write as _;
use std::time::Instant;

use unicode_width::UnicodeWidthStr;

use super::words::{self, bar, shown};
use crate::event::{Event, StepInfo};
use crate::ui::age;
use crate::ui::style::Style;

const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠹"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Done,
    Failed,
}

#[derive(Debug)]
struct Row {
    subject: String,
    word: &'static str,
    state: State,
    begun: Instant,
    ended: Option<Instant>,
    layers: Vec<LayerRow>,
    detail: String,
}

/// A layer of an image that comes or goes.
#[derive(Debug)]
struct LayerRow {
    id: String,
    phase: String,
    word: &'static str,
    done: u64,
    total: u64,
    /// When bytes began to move in this phase, and how many had before.
    moving: Option<(Instant, u64)>,
}

/// The rows of a command.
#[derive(Debug)]
pub(super) struct Block {
    title: String,
    style: Style,
    rows: Vec<Row>,
    /// Lines on the screen.
    drawn: usize,
    frames: usize,
}

impl Block {
    pub(super) fn new(title: &str, style: Style) -> Self {
        Self {
            title: title.to_owned(),
            style,
            rows: Vec::new(),
            drawn: 0,
            frames: 0,
        }
    }

    /// Takes what happened.
    pub(super) fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::StepStarted { step } => self.begin(step, now),
            Event::StepDone { step, .. } => self.end(step, State::Done, now),
            Event::StepFailed { step, error, .. } => {
                self.end(step, State::Failed, now);
                if let Some(row) = self.row_of(step) {
                    error
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .clone_into(&mut row.detail);
                }
            }
            Event::PullProgress {
                image,
                layer,
                phase,
                done,
                total,
            } => self.layer(image, layer, (phase, false), *done, *total, now),
            Event::PushProgress {
                image,
                layer,
                phase,
                done,
                total,
            } => self.layer(image, layer, (phase, true), *done, *total, now),
            Event::BuildOutput { service, line } => {
                let running = |row: &&mut Row| row.state == State::Running && row.word == "Building";
                let mut building: Vec<&mut Row> = self.rows.iter_mut().filter(running).collect();
                let own = building
                    .iter()
                    .position(|row| row.subject.contains(service.as_str()));
                if let Some(row) = building.get_mut(own.unwrap_or(0)) {
                    row.detail.clone_from(line);
                }
            }
            Event::Planned { .. }
            | Event::WaitingForLock { .. }
            | Event::Warning { .. }
            | Event::ContainerDied { .. }
            | Event::HealthChanged { .. }
            | Event::ReloadStarted { .. }
            | Event::ReloadAccepted { .. }
            | Event::ReloadRejected { .. }
            | Event::Synced { .. } => {
                if let Some(text) = words::news(event) {
                    self.rows.push(Row {
                        subject: text.lines().next().unwrap_or_default().to_owned(),
                        word: "",
                        state: State::Done,
                        begun: now,
                        ended: Some(now),
                        layers: Vec::new(),
                        detail: String::new(),
                    });
                }
            }
        }
    }

    fn layer(
        &mut self,
        image: &str,
        id: &str,
        (phase, is_push): (&str, bool),
        done: u64,
        total: Option<u64>,
        now: Instant,
    ) {
        let subject = format!("Image {image}");
        let Some(row) = self.rows.iter_mut().find(|row| row.subject == subject) else {
            return;
        };
        let at = row.layers.iter().position(|layer| layer.id == id);
        let at = at.unwrap_or_else(|| {
            row.layers.push(LayerRow {
                id: id.to_owned(),
                phase: String::new(),
                word: "",
                done: 0,
                total: 0,
                moving: None,
            });
            row.layers.len() - 1
        });
        let layer = &mut row.layers[at];
        if layer.phase != phase {
            phase.clone_into(&mut layer.phase);
            layer.word = words::phase(phase, is_push);
            layer.moving = total.map(|_| (now, done));
        }
        match total {
            Some(total) => (layer.done, layer.total) = (done, total),
            // All of it, once it is over.
            None => layer.done = layer.total,
        }
    }

    fn begin(&mut self, step: &StepInfo, now: Instant) {
        let Some(shown) = shown(step) else { return };
        let row = Row {
            subject: shown.subject,
            word: shown.doing,
            state: State::Running,
            begun: now,
            ended: None,
            layers: Vec::new(),
            detail: String::new(),
        };
        match self.rows.iter_mut().find(|old| old.subject == row.subject) {
            Some(old) => {
                let begun = old.begun;
                *old = Row { begun, ..row };
            }
            None => self.rows.push(row),
        }
    }

    fn row_of(&mut self, step: &StepInfo) -> Option<&mut Row> {
        let subject = shown(step).map_or_else(|| step.name.clone(), |shown| shown.subject);
        self.rows.iter_mut().find(|row| row.subject == subject)
    }

    fn end(&mut self, step: &StepInfo, state: State, now: Instant) {
        let word = match state {
            State::Failed => "Error",
            State::Done | State::Running => shown(step).map_or("", |shown| shown.done),
        };
        if let Some(row) = self.row_of(step) {
            row.word = word;
            row.state = state;
            row.ended = Some(now);
            row.detail.clear();
            row.layers.clear();
        }
    }

    /// Takes the block off the screen.
    pub(super) fn clear(&mut self) -> String {
        let lines = std::mem::take(&mut self.drawn);
        if lines == 0 {
            String::new()
        } else {
            format!("\x1b[{lines}A\r\x1b[J")
        }
    }

    /// The block over the one before it.
    pub(super) fn frame(&mut self, now: Instant) -> String {
        let (height, width) = size();
        self.frames += 1;
        let mut text = self.clear();
        let rows = self.lines(now, width);
        // The newest rows and those that still run matter when not all fit.
        let hidden = rows.len().saturating_sub(height.saturating_sub(2).max(1));
        for line in rows.iter().take(1).chain(rows.iter().skip(1 + hidden)) {
            text.push_str(line);
            text.push('\n');
            self.drawn += 1;
        }
        text
    }

    /// All of it, to stay.
    pub(super) fn last(&mut self, now: Instant) -> String {
        let (_, width) = size();
        let mut text = self.clear();
        for line in self.lines(now, width) {
            text.push_str(&line);
            text.push('\n');
        }
        self.rows.clear();
        text
    }

    fn lines(&self, now: Instant, width: usize) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let done = self.rows.iter().filter(|row| row.state == State::Done).count();
        let mut lines = vec![format!("[+] {} {done}/{}", self.title, self.rows.len())];
        let named = || self.rows.iter().filter(|row| !row.word.is_empty());
        let subject = named().map(|row| row.subject.width()).max().unwrap_or(0);
        let word = named().map(|row| row.word.width()).max().unwrap_or(0);
        for row in &self.rows {
            lines.push(self.line(row, now, subject, word, width));
            let layers = row.layers.iter().filter(|layer| !layer.word.is_empty());
            lines.extend(layers.map(|layer| self.layer_line(layer, now, width)));
        }
        lines
    }

    fn line(&self, row: &Row, now: Instant, subject: usize, word: usize, width: usize) -> String {
        let mark = match row.state {
            State::Running => SPINNER[self.frames % SPINNER.len()],
            State::Done => "✔",
            State::Failed => "✘",
        };
        let mut plain = format!("{} ", row.subject);
        if !row.word.is_empty() {
            let gap = " ".repeat(subject.saturating_sub(row.subject.width()) + 1);
            let pad = " ".repeat(word.saturating_sub(row.word.width()) + 1);
            let took = row.ended.unwrap_or(now).saturating_duration_since(row.begun);
            // Writing to a text cannot fail.
            write!(plain, "{gap}{}{pad} {:.1}s", row.word, took.as_secs_f64()).unwrap_or_default();
        }
        if !row.detail.is_empty() {
            plain.push_str("  ");
            plain.push_str(&row.detail.replace(|c: char| c.is_control(), " "));
        }
        let text = cut(&plain, width.saturating_sub(4));
        match row.state {
            State::Running => format!(" {} {text}", self.style.yellow(mark)),
            State::Done => format!(" {} {}", self.style.green(mark), text),
            State::Failed => format!(" {} {}", self.style.red(mark), self.style.red(&text)),
        }
    }

    /// `   ⠋ 0123456789ab  Downloading   [====>    ] 12.3MB/45MB  9.8MB/s`.
    fn layer_line(&self, layer: &LayerRow, now: Instant, width: usize) -> String {
        let is_over = matches!(layer.phase.as_str(), "done" | "exists" | "mounted");
        let mut plain = format!("{}  {:<12}", layer.id, layer.word);
        if layer.moving.is_some() {
            write!(plain, "  {}", bar(layer.done, layer.total)).unwrap_or_default();
            if let Some(rate) = layer.rate(now) {
                write!(plain, "  {}/s", age::size(rate)).unwrap_or_default();
            }
        }
        let text = cut(plain.trim_end(), width.saturating_sub(6));
        let mark = if is_over {
            self.style.green("✔")
        } else {
            self.style.yellow(SPINNER[self.frames % SPINNER.len()])
        };
        format!("   {mark} {text}")
    }
}

impl LayerRow {
    /// Bytes a second since they began to move.
    fn rate(&self, now: Instant) -> Option<u64> {
        let (since, before) = self.moving?;
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).ok()?;
        let moved = self.done.checked_sub(before).filter(|moved| *moved > 0)?;
        moved.saturating_mul(1000).checked_div(millis)
    }
}

/// The beginning of a text that fits into so many columns.
fn cut(text: &str, width: usize) -> String {
    let mut fits = String::new();
    for letter in text.chars() {
        fits.push(letter);
        if fits.width() > width {
            fits.pop();
            break;
        }
    }
    fits
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(rustix::stdio::stderr()) {
        Ok(size) if size.ws_col > 0 => (usize::from(size.ws_row), usize::from(size.ws_col)),
        Ok(_) | Err(_) => (24, 80),
    }
}
