//! In: saved files of a project. Out: the project as they say now, or the findings that keep it as it is.
//! **Invariant:** a rejected reload changes nothing but the record of its findings.

use std::path::PathBuf;
use std::time::Instant;

use rcompose_runtime::Runtime as _;

use super::super::{Asked, Context, LoadedProject, StoreImages, options_of};
use super::hot::HotRules;
use crate::error::{CliError, ErrorKind};
use crate::event::{Event, Events};
use crate::model::file_object::FileObjectSource;
use crate::plan::{Intent, Reason, Starts, Up};
use crate::source::load::LoadOptions;
use crate::state::rejected_reload::RejectedReload;
use crate::state::{ProjectDir, ProjectRecord};
use crate::ui::progress::Progress;

fn options(context: &Context, record: &ProjectRecord) -> LoadOptions {
    let options = options_of(record);
    LoadOptions {
        remotes: Some(context.remotes(&options.os_env)),
        ..options
    }
}

fn load(context: &Context, record: &ProjectRecord) -> Result<LoadedProject, CliError> {
    let services: Vec<String> = record.services.iter().map(ToString::to_string).collect();
    context.load_with(options(context, record), &services, false)
}

/// What of a project is watched.
pub(super) struct Inputs {
    /// Every file whose change counts.
    pub(super) files: Vec<PathBuf>,
    /// None when the files are wrong: those of before hold on.
    pub(super) rules: Option<Result<HotRules, String>>,
}

/// Looks for the inputs of a project; of files that are wrong, for those that were read.
pub(super) fn inputs(context: &Context, record: &ProjectRecord) -> Inputs {
    let Ok(files) = load(context, record) else {
        let (loaded, _, sources) = crate::source::load::load(&options(context, record));
        let mut files: Vec<PathBuf> = sources.files().map(|(_, file)| file.path.clone()).collect();
        files.extend(loaded.into_iter().flat_map(|loaded| loaded.watched));
        return Inputs { files, rules: None };
    };
    let mut paths = files.loaded.watched.clone();
    for service in files.project.services.values() {
        paths.extend(
            service
                .env_files
                .iter()
                .map(|file| file.path.clone().into_std_path_buf()),
        );
        paths.extend(
            service
                .label_files
                .iter()
                .map(|file| file.clone().into_std_path_buf()),
        );
    }
    for object in files
        .project
        .configs
        .values()
        .chain(files.project.secrets.values())
    {
        if let FileObjectSource::File(path) = &object.source {
            paths.push(path.clone().into_std_path_buf());
        }
    }
    Inputs {
        files: paths,
        rules: Some(HotRules::of(files)),
    }
}

/// Loads the files again and makes reality what they say. What a person stopped stays stopped, what ended by itself stays so.
pub(super) fn reload(
    context: &Context,
    dir: &ProjectDir,
    record: &ProjectRecord,
    saved: Instant,
    log: &dyn Events,
) -> Result<(), CliError> {
    match attempt(context, record) {
        Ok(changes) => {
            RejectedReload::clear(dir)?;
            let millis = u64::try_from(saved.elapsed().as_millis()).unwrap_or(u64::MAX);
            log.emit(Event::ReloadAccepted {
                generation: record.generation,
                changes,
                millis,
            });
        }
        // Asked to end: the next supervisor finds files that are newer than the record.
        Err(error) if error.kind == ErrorKind::Interrupted => {}
        Err(error) => {
            let rendered = error.text();
            RejectedReload::write(dir, &rendered)?;
            log.emit(Event::ReloadRejected { rendered });
        }
    }
    Ok(())
}

fn attempt(context: &Context, record: &ProjectRecord) -> Result<Vec<String>, CliError> {
    let files = load(context, record)?;
    let prepared = files.prepare()?;
    let intent = Intent::Up(Up {
        services: record.services.clone(),
        scale: record.scale.clone(),
        start: Starts::Interrupted,
        no_deps: record.no_deps,
        remove_orphans: owns_orphans(context, &files)?,
        ..Up::default()
    });
    let images = StoreImages::new(context, Some(&files));
    let preview = context.preview(&prepared, Some(&files), &intent, &images)?;
    let changes = preview
        .images
        .steps
        .iter()
        .chain(&preview.plan.steps)
        .filter(|step| is_news(&step.reason))
        .map(ToString::to_string)
        .collect();
    let progress = Progress::new("reload", context.look(), None);
    let _mild_failures_were_told = context.reconcile(
        &prepared,
        Some(&files),
        &intent,
        &images,
        &progress,
        &Asked::default(),
    )?;
    Ok(changes)
}

/// Whether a step is taken because of the files, not because of another step.
fn is_news(reason: &Reason) -> bool {
    !matches!(
        reason,
        Reason::Replaced | Reason::Created | Reason::BeforeStart | Reason::AfterStop | Reason::AfterStart
    )
}

/// Whether all containers of services that the files no longer have came from these very files: then saving took them out.
fn owns_orphans(context: &Context, files: &LoadedProject) -> Result<bool, CliError> {
    let project = &files.project;
    let ours = files.origin().config_files.join(",");
    let containers = context.runtime()?.containers(project.name.as_str())?;
    Ok(containers
        .iter()
        .filter(|container| {
            let service = container.service.as_str();
            !project.services.contains_key(service) && !project.disabled.contains_key(service)
        })
        .all(|orphan| {
            let label = orphan.labels.get("com.docker.compose.project.config_files");
            !orphan.one_off && label.is_some_and(|files| *files == ours)
        }))
}
