//! In: global flags. Out: [`Subject`], the project that a looking command looks at, as cheaply as it can be known.
//! **Invariant:** no more of the files is read than the project's name and its services; wrong files hide nothing that runs.

use rcompose_runtime::Runtime;
use rcompose_runtime::state::{ContainerState, Status};

use super::Context;
use crate::error::CliError;

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    /// Name of the project.
    pub project: String,
    /// Services of the files, those without an enabled profile too; none when no file was read.
    pub declared: Option<Vec<String>>,
}

impl Context {
    /// The project that is asked about. With `-p` or `COMPOSE_PROJECT_NAME`, and without `-f`, no file is read unless `declared` is wanted.
    ///
    /// # Errors
    /// There is neither a file nor a project brought up from here.
    pub fn subject(&self, declared: bool) -> Result<Subject, CliError> {
        let options = self.load_options();
        let name = options
            .project_name
            .as_deref()
            .or_else(|| self.variable("COMPOSE_PROJECT_NAME"));
        if let (Some(name), true, false) = (name, options.files.is_empty(), declared) {
            return Ok(Subject {
                project: name.to_owned(),
                declared: None,
            });
        }
        if let (Some(loaded), _, _) = crate::source::load::load(&options) {
            let services = loaded.root.get("services").and_then(|services| services.as_map());
            let declared = services.map(|services| services.keys().map(str::to_owned).collect());
            return Ok(Subject {
                project: loaded.project_name,
                declared,
            });
        }
        match name {
            Some(name) if options.files.is_empty() => Ok(Subject {
                project: name.to_owned(),
                declared: None,
            }),
            Some(_) | None => Ok(Subject {
                project: self.project_name()?,
                declared: None,
            }),
        }
    }

    /// All containers of the subject. Services named must be in its files or have containers.
    ///
    /// # Errors
    /// A service is not there; records cannot be read.
    pub fn containers_of(
        &self,
        subject: &Subject,
        services: &[String],
    ) -> Result<Vec<ContainerState>, CliError> {
        let containers = self.runtime()?.containers(&subject.project)?;
        let mut files = None;
        for name in services {
            if containers.iter().any(|container| container.service == *name) {
                continue;
            }
            let declared = match &subject.declared {
                Some(declared) => declared,
                None => files.get_or_insert_with(|| {
                    let subject = self.subject(true);
                    subject
                        .ok()
                        .and_then(|subject| subject.declared)
                        .unwrap_or_default()
                }),
            };
            if !declared.contains(name) {
                return Err(CliError::user(format!("no such service: {name}")));
            }
        }
        Ok(containers)
    }

    /// One container of a service, for commands that work on one: the replica `index`, else the first that runs.
    ///
    /// # Errors
    /// There is none; with `running`, it does not run. The error names the service and what state it is in.
    pub fn one_container(
        &self,
        subject: &Subject,
        service: &str,
        index: Option<u32>,
        running: bool,
    ) -> Result<ContainerState, CliError> {
        let runtime = self.runtime()?;
        let runs = |container: &ContainerState| match container.status {
            Status::Running | Status::Paused => true,
            Status::Created | Status::Restarting | Status::Exited { .. } => false,
        };
        // The usual name first: looking at one container is cheaper than looking at all.
        let usual = format!("{}-{service}-{}", subject.project, index.unwrap_or(1));
        if let Some(id) = runtime.container_id(&usual)? {
            let container = runtime.container(&id)?;
            let meant =
                container.project == subject.project && container.service == service && !container.one_off;
            if meant && (runs(&container) || index.is_some() && !running) {
                return Ok(container);
            }
        }
        let named = [service.to_owned()];
        let containers = self.containers_of(subject, &named)?;
        let mut replicas: Vec<ContainerState> = containers
            .into_iter()
            .filter(|container| container.service == service && !container.one_off)
            .filter(|container| index.is_none_or(|index| container.number == index))
            .collect();
        if let Some(position) = replicas.iter().position(runs) {
            return Ok(replicas.swap_remove(position));
        }
        let which = match index {
            Some(index) => format!("service \"{service}\", replica {index},"),
            None => format!("service \"{service}\""),
        };
        match replicas.into_iter().next() {
            Some(container) if !running => Ok(container),
            Some(container) => Err(CliError::user(format!(
                "{which} is not running: container {} is {}",
                container.name,
                state_words(container.status)
            ))
            .with_hint(format!("`rcompose up -d {service}` starts it"))),
            None if running => Err(
                CliError::user(format!("{which} is not running: it has no container"))
                    .with_hint(format!("`rcompose up -d {service}` makes one")),
            ),
            None => Err(CliError::user(format!("{which} has no container"))),
        }
    }
}

/// A state in an error.
fn state_words(status: Status) -> String {
    match status {
        Status::Created => "created, and was never started".to_owned(),
        Status::Running => "running".to_owned(),
        Status::Paused => "paused".to_owned(),
        Status::Restarting => "waiting for its next start".to_owned(),
        Status::Exited { code } => format!("exited ({code})"),
    }
}
