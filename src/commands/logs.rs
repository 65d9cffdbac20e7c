//! In: `rcompose logs`. Out: what the containers of a project printed, merged by time, once or as it comes.
//! **Invariant:** both streams of a container go to standard output, as docker compose has it; nothing is changed.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::Context;
use crate::error::CliError;
use crate::logs::window::{Window, parse_time};
use crate::state::ProjectDir;
use crate::ui::follower::{Follower, Wanted};
use crate::ui::log_view::{LineStyle, LogView};
use crate::ui::print;
use crate::ui::style::Style;

/// Options of `rcompose logs`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Keep printing as it comes
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Lines to show from the end of each log, or all
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<String>,
    /// Show what was printed since a time (2026-01-02T13:23:37Z) or for a while (42m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was printed before a time or a while ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Print times
    #[arg(short = 't', long)]
    pub timestamps: bool,
    /// Print without colours
    #[arg(long)]
    pub no_color: bool,
    /// Print without the service in front
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Only this replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Between two looks at whether `--until` has come.
const CLOCK: Duration = Duration::from_millis(200);

/// Shows logs.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let now = Timestamp::now();
    let window = window(args.since.as_deref(), args.until.as_deref(), now)?;
    let tail = tail(args.tail.as_deref())?;
    if args.index.is_some() && args.services.len() != 1 {
        return Err(CliError::usage("--index needs exactly one service"));
    }
    let subject = context.subject(false)?;
    let look = LineStyle {
        style: Style {
            colour: context.stdout.style.colour && !args.no_color,
        },
        prefix: !args.no_log_prefix,
        timestamps: args.timestamps,
    };
    let wanted = Wanted {
        services: args.services.clone(),
        except: Vec::new(),
        index: args.index,
        one_off: true,
        window,
        tail,
    };
    let runtime = context.runtime()?;
    let mut out = print::raw_out()?;
    let mut follower = Follower::new(runtime, &subject.project, wanted, LogView::new(look), args.follow)?;
    // What has no output may have containers that are not asked for, or be in the files alone.
    let silent: Vec<String> = args
        .services
        .iter()
        .filter(|service| !follower.shows(service))
        .cloned()
        .collect();
    if !silent.is_empty() {
        context.containers_of(&subject, &silent)?;
    }
    if let (Some(index), [service]) = (args.index, silent.as_slice()) {
        return Err(CliError::user(format!(
            "service \"{service}\" has no container with index {index}"
        )));
    }
    follower.show(&mut out)?;
    if args.follow {
        let until = args
            .until
            .as_deref()
            .map(|text| parse_time(text, now))
            .transpose();
        let until = until.map_err(CliError::usage)?;
        let dir = context.project_dir(&subject.project)?;
        follow(&mut follower, until, &dir, &mut out)?;
    }
    follower.finish(&mut out)?;
    Ok(())
}

/// Goes on until every container ended, or `until` has come.
fn follow(
    follower: &mut Follower<'_>,
    until: Option<Timestamp>,
    dir: &ProjectDir,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    loop {
        if follower.is_over() && !is_being_changed(dir) {
            // One more look: a container may have been started just before the lock was given back.
            follower.look_again();
            follower.step(Duration::ZERO, true, out)?;
            if follower.is_over() {
                return Ok(());
            }
        }
        if until.is_some_and(|until| Timestamp::now() >= until) {
            return Ok(());
        }
        let patience = if until.is_some() || follower.is_over() {
            CLOCK
        } else {
            Duration::MAX
        };
        follower.step(patience, true, out)?;
    }
}

/// Whether a command is at work on the project, which may well be replacing the containers that ended.
fn is_being_changed(dir: &ProjectDir) -> bool {
    let Ok(lock) = File::open(dir.path().join("lock")) else {
        return false;
    };
    lock.try_lock_shared().is_err()
}

/// `--since` and `--until` as moments.
pub(super) fn window(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Window, CliError> {
    let moment = |flag: &str, text: Option<&str>| {
        text.map(|text| parse_time(text, now).map(Into::into))
            .transpose()
            .map_err(|error| CliError::usage(format!("{flag}: {error}")))
    };
    Ok(Window {
        since: moment("--since", since)?,
        until: moment("--until", until)?,
    })
}

/// `--tail`: a number, or `all`; docker takes a negative number for all.
fn tail(text: Option<&str>) -> Result<Option<usize>, CliError> {
    match text {
        None | Some("all") => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(count) => Ok(usize::try_from(count).ok()),
            Err(_) => Err(CliError::usage(format!(
                "--tail {text}: expected a number of lines or `all`"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_numbers_or_all() {
        let tail = |text| tail(Some(text)).ok();
        assert_eq!(tail("all"), Some(None));
        assert_eq!(tail("-1"), Some(None));
        assert_eq!(tail("0"), Some(Some(0)));
        assert_eq!(tail("7"), Some(Some(7)));
        assert_eq!(tail("some"), None);
    }
}
