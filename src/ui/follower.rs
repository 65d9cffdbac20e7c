//! In: a project and which of its containers are wanted. Out: their output as it comes, later containers' too, and who ended.
//! **Invariant:** everything a container printed is shown before its end is told; nothing is polled for but shims that were killed.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rcompose_runtime::state::{ContainerState, Status};
use rcompose_runtime::{LocalRuntime, Runtime, RuntimeError};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::log_view::LogView;
use crate::logs::merge;
use crate::logs::reader::LogReader;
use crate::logs::window::Window;

/// How often containers are looked at although nothing was heard of them: a killed shim says nothing.
const LOOK: Duration = Duration::from_secs(2);

/// Which containers, and what of their output.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Services; none means all.
    pub services: Vec<String>,
    /// Services left out.
    pub except: Vec<String>,
    /// Only this replica.
    pub index: Option<u32>,
    /// Containers of `run`, too.
    pub one_off: bool,
    /// Output of these moments.
    pub window: Window,
    /// Lines from the end of each log that exists now; none is all.
    pub tail: Option<usize>,
}

/// A container that ended and that no restart follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Its service.
    pub service: String,
    /// Exit code; none when it was removed before anybody looked.
    pub code: Option<i32>,
}

/// Shows the output of containers.
#[derive(Debug)]
pub struct Follower<'a> {
    runtime: &'a LocalRuntime,
    project: String,
    wanted: Wanted,
    view: LogView,
    followed: Vec<Followed>,
    /// None when the output is shown once.
    watch: Option<Watch>,
    members_changed: bool,
    /// When all of them were looked at last.
    looked: Instant,
}

#[derive(Debug)]
struct Followed {
    id: String,
    service: String,
    /// Its number in the view.
    shown: usize,
    reader: LogReader,
    life: Life,
    /// Its log may have grown.
    grew: bool,
    /// Its state may have changed.
    changed: bool,
}

/// Whether there is more to come of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It has processes, or will have some again by itself.
    Up,
    /// It does not run.
    Down,
    /// It was removed.
    Gone,
}

/// What an inotify watch is for.
#[derive(Debug)]
enum Place {
    /// The directory of all containers of the project.
    Containers,
    /// The data directory of one.
    Data(String),
    /// The run directory of one.
    Run(String),
}

#[derive(Debug)]
struct Watch {
    descriptor: OwnedFd,
    places: HashMap<i32, Place>,
}

/// The name of a container before its lines: without the project, and without the mark of one that is being replaced.
pub fn label(container: &ContainerState) -> &str {
    let temporary =
        |(id, _): &(&str, &str)| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = container.name.split_once('_').filter(temporary);
    let name = name.map_or(container.name.as_str(), |(_, name)| name);
    name.strip_prefix(container.project.as_str())
        .and_then(|rest| rest.strip_prefix(['-', '_']))
        .unwrap_or(name)
}

fn life(status: Status) -> Life {
    match status {
        Status::Running | Status::Paused | Status::Restarting => Life::Up,
        Status::Created | Status::Exited { .. } => Life::Down,
    }
}

impl<'a> Follower<'a> {
    /// Finds the containers of a project. With `follow`, later ones are found too.
    pub fn new(
        runtime: &'a LocalRuntime,
        project: &str,
        wanted: Wanted,
        view: LogView,
        follow: bool,
    ) -> Result<Self, RuntimeError> {
        let containers = runtime.roots().project_containers(project)?;
        let mut watch = None;
        if follow {
            let mut new = Watch::new()?;
            new.add(
                &containers,
                WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM,
                Place::Containers,
            )?;
            watch = Some(new);
        }
        let mut follower = Self {
            runtime,
            project: project.to_owned(),
            wanted,
            view,
            followed: Vec::new(),
            watch,
            members_changed: true,
            looked: Instant::now(),
        };
        follower.look()?;
        // Whoever comes later is shown from the beginning.
        follower.wanted.tail = None;
        Ok(follower)
    }

    /// Shows what is there.
    pub fn show(&mut self, out: &mut dyn Write) -> Result<(), RuntimeError> {
        let Self {
            followed,
            view,
            wanted,
            ..
        } = self;
        let mut numbers = Vec::new();
        let mut readers = Vec::new();
        for one in followed.iter_mut().filter(|one| one.grew) {
            one.grew = false;
            numbers.push(one.shown);
            readers.push(&mut one.reader);
        }
        merge::drain(&mut readers, &mut |index, record| {
            if wanted.window.holds(record.time) {
                view.record(numbers[index], record);
                view.write_much(out)?;
            }
            Ok(())
        })
        .and_then(|()| view.write(out))
        .map_err(unshown)
    }

    /// Shows lines that have no end yet, too.
    pub fn finish(&mut self, out: &mut dyn Write) -> Result<(), RuntimeError> {
        self.followed.iter().for_each(|one| self.view.finish(one.shown));
        self.view.write(out).map_err(unshown)
    }

    /// Waits for something to happen, at most as long as `timeout`, shows it, and returns who ended; with `tell` their ends are shown.
    /// A signal ends the wait early.
    pub fn step(
        &mut self,
        timeout: Duration,
        tell: bool,
        out: &mut dyn Write,
    ) -> Result<Vec<Ended>, RuntimeError> {
        if let Some(watch) = &mut self.watch {
            let heard = watch.wait(timeout.min(LOOK))?;
            if !heard && self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.followed.iter_mut().for_each(|one| one.changed = true);
            }
            self.take_notices()?;
        }
        let ended = self.look()?;
        self.show(out)?;
        for end in &ended {
            if let Some(one) = self.followed.iter().find(|one| one.id == end.id) {
                self.view.finish(one.shown);
                if let (true, Some(code)) = (tell, end.code) {
                    self.view.status(one.shown, &format!("exited with code {code}"));
                }
            }
        }
        self.followed.retain(|one| one.life != Life::Gone);
        self.view.write(out).map_err(unshown)?;
        Ok(ended)
    }

    /// Whether nothing that is followed runs any more.
    pub fn is_over(&self) -> bool {
        !self.followed.iter().any(|one| one.life == Life::Up)
    }

    /// The next step looks at everything, whether or not something was heard of it.
    pub fn look_again(&mut self) {
        self.members_changed = true;
    }

    /// Whether a container of the service is shown.
    pub fn shows(&self, service: &str) -> bool {
        self.followed.iter().any(|one| one.service == service)
    }

    fn take_notices(&mut self) -> Result<(), RuntimeError> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        for (wd, flags, name) in watch.read()? {
            let place = if flags.contains(ReadFlags::IGNORED) {
                watch.places.remove(&wd).map(|place| (place, true))
            } else {
                None
            };
            let lost = flags.contains(ReadFlags::QUEUE_OVERFLOW);
            let (id, is_log) = match place.as_ref().map(|(place, _)| place).or(watch.places.get(&wd)) {
                Some(Place::Data(id)) => (Some(id), name.starts_with("container.log")),
                Some(Place::Run(id)) => (Some(id), false),
                Some(Place::Containers) | None => (None, false),
            };
            self.members_changed |= lost || id.is_none() || place.is_some();
            for one in &mut self.followed {
                let meant = id.is_some_and(|id| *id == one.id);
                one.grew |= lost || meant && is_log;
                one.changed |= lost || meant && !is_log;
            }
        }
        Ok(())
    }

    /// Finds new containers, looks at those that may have changed; who ended since.
    fn look(&mut self) -> Result<Vec<Ended>, RuntimeError> {
        if std::mem::take(&mut self.members_changed) {
            // Watched before they are looked at, so that no end falls in between.
            for state in self.runtime.containers(&self.project)? {
                if !self.followed.iter().any(|one| one.id == state.id) && self.is_wanted(&state) {
                    self.follow(&state)?;
                }
            }
            // Who is shown once is not looked at again.
            let follows = self.watch.is_some();
            self.followed.iter_mut().for_each(|one| one.changed = follows);
        }
        let mut ended = Vec::new();
        for one in self.followed.iter_mut().filter(|one| one.changed) {
            one.changed = false;
            if let Some(watch) = &mut self.watch {
                watch.container(self.runtime, &one.id)?;
            }
            let before = one.life;
            let code = match self.runtime.container(&one.id) {
                Ok(state) => {
                    one.life = life(state.status);
                    match state.status {
                        Status::Exited { code } => Some(code),
                        Status::Created | Status::Running | Status::Paused | Status::Restarting => None,
                    }
                }
                Err(RuntimeError::NotFound { .. }) => {
                    one.life = Life::Gone;
                    one.grew = true;
                    None
                }
                Err(error) => return Err(error),
            };
            if before == Life::Up && one.life != Life::Up {
                one.grew = true;
                ended.push(Ended {
                    id: one.id.clone(),
                    service: one.service.clone(),
                    code,
                });
            }
        }
        Ok(ended)
    }

    fn follow(&mut self, state: &ContainerState) -> Result<(), RuntimeError> {
        let log = self.runtime.log_path(&state.id)?;
        let directory = log.parent().unwrap_or(&log);
        let reader = match self.wanted.tail {
            Some(count) => LogReader::from_tail(directory, count),
            None => LogReader::from_start(directory),
        };
        let reader = reader.map_err(|error| failed("read", &log, error))?;
        let shown = self.view.add(label(state), &state.service);
        self.followed.push(Followed {
            id: state.id.clone(),
            service: state.service.clone(),
            shown,
            reader,
            life: life(state.status),
            grew: true,
            changed: true,
        });
        Ok(())
    }

    fn is_wanted(&self, state: &ContainerState) -> bool {
        let Wanted {
            services,
            except,
            index,
            one_off,
            ..
        } = &self.wanted;
        (services.is_empty() || services.contains(&state.service))
            && !except.contains(&state.service)
            && index.is_none_or(|index| index == state.number)
            && (*one_off || !state.one_off)
    }
}

impl Watch {
    fn new() -> Result<Self, RuntimeError> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| {
            RuntimeError::Host {
                what: format!("cannot watch files: {error}"),
                remedy: "raise the sysctl fs.inotify.max_user_instances".to_owned(),
            }
        })?;
        Ok(Self {
            descriptor,
            places: HashMap::new(),
        })
    }

    /// Watches a directory; one that is not there is left out.
    fn add(&mut self, path: &Path, flags: WatchFlags, place: Place) -> Result<(), RuntimeError> {
        match inotify::add_watch(&self.descriptor, path, flags | WatchFlags::ONLYDIR) {
            Ok(wd) => {
                self.places.insert(wd, place);
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOSPC) => Err(RuntimeError::Host {
                what: format!("cannot watch {}", path.display()),
                remedy: "raise the sysctl fs.inotify.max_user_watches".to_owned(),
            }),
            Err(error) => Err(failed("watch", path, error.into())),
        }
    }

    /// Watches what tells of a container's output and state. Watching again changes nothing (`inotify_add_watch(2)`).
    fn container(&mut self, runtime: &LocalRuntime, id: &str) -> Result<(), RuntimeError> {
        if let Ok(log) = runtime.log_path(id)
            && let Some(directory) = log.parent()
        {
            let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
            self.add(directory, flags, Place::Data(id.to_owned()))?;
        }
        let run = runtime.roots().run_container(id);
        self.add(&run, WatchFlags::MOVED_TO, Place::Run(id.to_owned()))
    }

    /// Waits for notices; whether there are any.
    fn wait(&self, timeout: Duration) -> Result<bool, RuntimeError> {
        let mut polls = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match rustix::event::poll(&mut polls, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(failed("wait for", Path::new("logs"), error.into())),
        }
    }

    /// All notices there are.
    fn read(&self) -> Result<Vec<(i32, ReadFlags, String)>, RuntimeError> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.descriptor, &mut buffer);
        let mut notices = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    notices.push((event.wd(), event.events(), name.unwrap_or_default()));
                }
                Err(Errno::AGAIN) => return Ok(notices),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed("watch", Path::new("logs"), error.into())),
            }
        }
    }
}

fn failed(verb: &str, path: &Path, source: io::Error) -> RuntimeError {
    RuntimeError::Io {
        what: format!("{verb} {}", path.display()),
        source,
    }
}

fn unshown(source: io::Error) -> RuntimeError {
    RuntimeError::Io {
        what: "show logs".to_owned(),
        source,
    }
}
