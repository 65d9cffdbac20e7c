//! In: `rcompose up`. Out: the project as its files say, its supervisor, and, attached, its output until it ends or is stopped.

use super::attachment::{Attachment, attach};
use super::creation::{image_policy, recreate, remove_orphans, scale};
use super::{Asked, Context, LoadedProject, StoreImages, seconds, service_names, supervisor};
use crate::engine::Prepared;
use crate::error::CliError;
use crate::event::Events;
use crate::plan::{Intent, Recreate, Starts, Up};
use crate::state::ProjectRecord;
use crate::state::rejected_reload::RejectedReload;
use crate::ui::progress::{Look, Progress};
use crate::ui::report;

/// Options of `rcompose up`.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Run in the background
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// Build images before starting
    #[arg(long)]
    pub build: bool,
    /// Do not build, even when an image is missing
    #[arg(long)]
    pub no_build: bool,
    /// When to pull: always, missing, never or the file's policy
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    /// Recreate containers even when nothing changed
    #[arg(long)]
    pub force_recreate: bool,
    /// Keep existing containers even when something changed
    #[arg(long)]
    pub no_recreate: bool,
    /// Recreate dependencies too
    #[arg(long)]
    pub always_recreate_deps: bool,
    /// Leave dependencies alone
    #[arg(long)]
    pub no_deps: bool,
    /// Create, but do not start
    #[arg(long)]
    pub no_start: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Make new anonymous volumes instead of keeping the old ones
    #[arg(short = 'V', long)]
    pub renew_anon_volumes: bool,
    /// Replicas of a service, SERVICE=N; overrides the file
    #[arg(long, value_name = "SERVICE=N")]
    pub scale: Vec<String>,
    /// Seconds to wait for a container to stop
    #[arg(short = 't', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Wait until services run, or are healthy; implies --detach
    #[arg(long)]
    pub wait: bool,
    /// Give up waiting after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub wait_timeout: Option<u64>,
    /// Stop all containers when one ends
    #[arg(long)]
    pub abort_on_container_exit: bool,
    /// Stop all containers when one ends with an error
    #[arg(long)]
    pub abort_on_container_failure: bool,
    /// Exit with this service's code; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE")]
    pub exit_code_from: Option<String>,
    /// Show the output of these services only
    #[arg(long, value_name = "SERVICE")]
    pub attach: Vec<String>,
    /// Do not show the output of these services
    #[arg(long, value_name = "SERVICE")]
    pub no_attach: Vec<String>,
    /// Show the output of dependencies too
    #[arg(long)]
    pub attach_dependencies: bool,
    /// Print without colours
    #[arg(long)]
    pub no_color: bool,
    /// Print without the service in front
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Print times
    #[arg(long)]
    pub timestamps: bool,
    /// Do not show what builds print
    #[arg(long)]
    pub quiet_build: bool,
    /// Do not show the progress of pulls
    #[arg(long)]
    pub quiet_pull: bool,
    /// Show what the develop.watch rules of the file do
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// Do not watch the compose files for changes
    #[arg(long)]
    pub no_reload: bool,
    /// Show a menu of keys (refused)
    #[arg(long, hide = true)]
    pub menu: bool,
    /// Answer yes to every question; none is ever asked
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Keep images that a watch rule replaced (set by `watch --prune=false`).
    #[arg(skip)]
    pub keep_images: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Brings the project up.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    check(args)?;
    let bringing = Bringing::new(context, args)?;
    if args.no_start || context.globals.dry_run {
        return bringing.reconcile(if args.no_start {
            Starts::Nothing
        } else {
            Starts::All
        });
    }
    if args.detach || args.wait {
        return bringing.reconcile_and_keep();
    }
    attached(context, args, &bringing)
}

/// Flags that exclude each other, and those that cannot be honoured.
fn check(args: &Args) -> Result<(), CliError> {
    if args.menu {
        return Err(CliError::unsupported_flag(
            "--menu",
            "rcompose reads no keys while it shows output",
        ));
    }
    let aborts =
        args.abort_on_container_exit || args.abort_on_container_failure || args.exit_code_from.is_some();
    let attaches = !args.attach.is_empty() || args.attach_dependencies;
    let clashes = [
        (
            args.detach && aborts,
            "--detach and --abort-on-container-exit, --abort-on-container-failure or --exit-code-from",
        ),
        (
            args.wait && aborts,
            "--wait and --abort-on-container-exit, --abort-on-container-failure or --exit-code-from",
        ),
        (
            args.abort_on_container_exit && args.abort_on_container_failure,
            "--abort-on-container-exit and --abort-on-container-failure",
        ),
        (
            args.detach && attaches,
            "--detach and --attach or --attach-dependencies",
        ),
        (args.detach && args.watch, "--detach and --watch"),
        (args.wait && args.watch, "--wait and --watch"),
        (args.no_start && args.wait, "--no-start and --wait"),
        (
            args.force_recreate && args.always_recreate_deps && args.no_deps,
            "--always-recreate-deps and --no-deps",
        ),
    ];
    match clashes.into_iter().find(|(clash, _)| *clash) {
        Some((_, flags)) => Err(CliError::usage(format!("{flags} exclude each other"))),
        None => Ok(()),
    }
}

/// Everything a reconciliation of `up` needs, made once.
pub(super) struct Bringing<'a> {
    context: &'a Context,
    pub(super) files: LoadedProject,
    prepared: Prepared,
    pub(super) up: Up,
    record: ProjectRecord,
    look: Look,
    wait: bool,
    wait_timeout: Option<u64>,
}

impl<'a> Bringing<'a> {
    pub(super) fn new(context: &'a Context, args: &Args) -> Result<Self, CliError> {
        let images = image_policy(args.pull.as_deref(), args.build, args.no_build)?;
        let recreate = recreate(args.force_recreate, args.no_recreate)?;
        let files = context.load(&args.services)?;
        let scale = scale("--scale ", &args.scale, &files)?;
        let named = args
            .exit_code_from
            .iter()
            .chain(&args.attach)
            .chain(&args.no_attach);
        for service in named {
            if !files.project.services.contains_key(service.as_str()) {
                return Err(CliError::user(format!("no such service: {service}")));
            }
        }
        let prepared = files.prepare()?;
        report::print(&prepared.warnings, &files.sources);
        let services = service_names(&args.services);
        let before = context.project_dir(files.project.name.as_str())?.read()?;
        let mut record = continued(before, files.record(), args);
        record.scale.extend(scale.clone());
        Ok(Self {
            context,
            prepared,
            up: Up {
                services,
                recreate,
                always_recreate_deps: args.always_recreate_deps,
                no_deps: args.no_deps,
                scale,
                remove_orphans: remove_orphans(context, args.remove_orphans),
                renew_anonymous: args.renew_anon_volumes,
                timeout: seconds(args.timeout),
                images,
                ..Up::default()
            },
            record,
            look: Look {
                quiet_pull: args.quiet_pull,
                quiet_build: args.quiet_build,
                ..context.look()
            },
            wait: args.wait,
            wait_timeout: args.wait_timeout,
            files,
        })
    }

    pub(super) fn name(&self) -> String {
        self.files.project.name.to_string()
    }

    /// Makes it so; progress is shown as `up`.
    pub(super) fn reconcile(&self, start: Starts) -> Result<(), CliError> {
        let up = Up {
            start,
            wait: self.wait && start == Starts::All,
            ..self.up.clone()
        };
        self.carry_out(up, self.look, None)
    }

    /// Makes it so, with a supervisor.
    pub(super) fn reconcile_and_keep(&self) -> Result<(), CliError> {
        let up = Up {
            wait: self.wait,
            ..self.up.clone()
        };
        supervisor::keep_beside(self.context, &self.name(), |events| {
            self.carry_out(up, self.look, Some(events))
        })
    }

    /// Starts what an earlier call created, with a supervisor.
    pub(super) fn start(&self, look: Look) -> Result<(), CliError> {
        let up = Up {
            recreate: match self.up.recreate {
                Recreate::Force | Recreate::Diverged => Recreate::Diverged,
                Recreate::Never => Recreate::Never,
            },
            always_recreate_deps: false,
            renew_anonymous: false,
            images: crate::plan::ImagePolicy {
                pull: Some(crate::model::service::PullPolicy::Missing),
                build: false,
                no_build: self.up.images.no_build,
            },
            ..self.up.clone()
        };
        supervisor::keep_beside(self.context, &self.name(), |events| {
            self.carry_out(up, look, Some(events))
        })
    }

    fn carry_out(&self, up: Up, look: Look, events: Option<&dyn Events>) -> Result<(), CliError> {
        let images = StoreImages::new(self.context, Some(&self.files));
        let progress = Progress::new("up", look, Some(self.files.sources.clone()));
        let asked = Asked {
            record: Some(&self.record),
            wait_timeout: seconds(self.wait_timeout),
            events,
        };
        let intent = Intent::Up(up);
        let files = Some(&self.files);
        self.context
            .reconcile(&self.prepared, files, &intent, &images, &progress, &asked)
            .map(drop)?;
        if !self.context.globals.dry_run {
            // Files that an `up` accepts are right, whatever was wrong with them before.
            RejectedReload::clear(&self.context.project_dir(&self.name())?)?;
        }
        Ok(())
    }
}

/// The record that reloads go by. An `up` of some services adds to what was brought up before.
fn continued(before: Option<ProjectRecord>, mut now: ProjectRecord, args: &Args) -> ProjectRecord {
    now.live_reload &= !args.no_reload;
    now.keep_images = args.keep_images;
    now.no_deps = args.no_deps && !args.services.is_empty();
    now.services = service_names(&args.services);
    let Some(before) = before.filter(|_| !args.services.is_empty()) else {
        return now;
    };
    now.scale = before.scale;
    now.no_deps &= before.no_deps;
    if before.services.is_empty() {
        now.services.clear();
    } else {
        for service in before.services {
            if !now.services.contains(&service) {
                now.services.push(service);
            }
        }
    }
    now
}

fn attached(context: &Context, args: &Args, bringing: &Bringing<'_>) -> Result<(), CliError> {
    bringing.reconcile(Starts::Nothing)?;
    let project = &bringing.files.project;
    let monitored: Vec<String> = if args.services.is_empty() {
        project.services.keys().map(ToString::to_string).collect()
    } else {
        let graph = crate::graph::Graph::of(project)
            .map_err(|found| CliError::findings(&found, &bringing.files.sources))?;
        let services = graph.with_dependencies(&bringing.up.services);
        services.into_iter().map(|service| service.to_string()).collect()
    };
    let shown = |name: &String| {
        let named = args.services.is_empty() || args.attach_dependencies || args.services.contains(name);
        let wanted = if args.attach.is_empty() {
            named
                && project
                    .services
                    .get(name.as_str())
                    .is_some_and(|service| service.attach)
        } else {
            args.attach.contains(name)
        };
        wanted && !args.no_attach.contains(name)
    };
    let name = bringing.name();
    let attachment = Attachment {
        project: &name,
        shown: monitored.iter().filter(|name| shown(name)).cloned().collect(),
        monitored,
        prefix: !args.no_log_prefix,
        timestamps: args.timestamps,
        colour: !args.no_color,
        abort_on_exit: args.abort_on_container_exit || args.exit_code_from.is_some(),
        abort_on_failure: args.abort_on_container_failure,
        exit_code_from: args.exit_code_from.as_deref(),
        timeout: seconds(args.timeout),
        tell_watch: args.watch,
    };
    let ended = attach(context, &attachment, bringing);
    // Nobody asked for anything in the background.
    supervisor::end(context, &name)?;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;

    fn record(services: &[&str]) -> ProjectRecord {
        ProjectRecord {
            services: services.iter().map(|name| ServiceName::new(*name)).collect(),
            live_reload: true,
            ..ProjectRecord::default()
        }
    }

    fn args(services: &[&str]) -> Args {
        Args {
            services: services.iter().map(ToString::to_string).collect(),
            ..Args::default()
        }
    }

    fn after(before: Option<ProjectRecord>, services: &[&str]) -> Vec<ServiceName> {
        continued(before, record(&[]), &args(services)).services
    }

    #[test]
    fn an_up_of_some_services_adds_to_what_is_up() {
        assert_eq!(after(None, &["web"]), record(&["web"]).services);
        assert_eq!(
            after(Some(record(&["db"])), &["web"]),
            record(&["web", "db"]).services
        );
        assert_eq!(after(Some(record(&[])), &["web"]), [], "all are up, and stay in");
        assert_eq!(after(Some(record(&["db"])), &[]), [], "none named means all");
    }

    #[test]
    fn replicas_asked_for_are_forgotten_by_an_up_of_everything_only() {
        let mut before = record(&[]);
        before.scale.insert(ServiceName::new("web"), 3);
        let scale = |services| continued(Some(before.clone()), record(&[]), &args(services)).scale;
        assert_eq!(scale(&["db"]), before.scale);
        assert!(scale(&[]).is_empty());
    }

    #[test]
    fn flags_that_exclude_each_other_are_named() {
        let clash = |args: Args| check(&args).err().map(|error| error.message).unwrap_or_default();
        let detached = Args {
            detach: true,
            ..Args::default()
        };
        assert_eq!(clash(detached.clone()), "");
        assert!(
            clash(Args {
                watch: true,
                ..detached.clone()
            })
            .contains("--watch")
        );
        assert!(
            clash(Args {
                exit_code_from: Some("web".to_owned()),
                ..detached
            })
            .contains("--exit-code-from")
        );
        assert!(
            clash(Args {
                menu: true,
                ..Args::default()
            })
            .contains("--menu is not supported")
        );
    }
}
