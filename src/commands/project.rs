//! In: global flags and services named. Out: the project a command works on: loaded from its files, or known by name alone.
//! **Invariant:** a command that only looks or stops never fails because a file is invalid.

use std::path::{Path, PathBuf};

use super::context::Context;
use crate::engine::lower::Origin;
use crate::engine::{Prepared, prepare, read_inputs};
use crate::error::CliError;
use crate::model::{self, Project, ServiceName};
use crate::source::load::{LoadOptions, Loaded};
use crate::source::span::SourceMap;
use crate::state::{self, ProjectRecord};
use crate::ui::report;

/// A project loaded from its files.
#[derive(Debug)]
pub struct LoadedProject {
    /// It.
    pub project: Project,
    /// What was read.
    pub loaded: Loaded,
    /// All texts read.
    pub sources: SourceMap,
    /// What the user asked to load.
    pub options: LoadOptions,
}

/// A project as far as a command needs it.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its files, where they are at hand and right.
    pub files: Option<LoadedProject>,
}

impl Context {
    /// What the global flags ask to load.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            files: self.globals.files.clone(),
            project_directory: self.globals.project_directory.clone(),
            project_name: self.globals.project_name.clone(),
            env_files: self.globals.env_files.clone(),
            profiles: self.globals.profiles.clone(),
            all_resources: self.globals.all_resources,
            remotes: Some(self.remotes(&self.environment)),
            ..LoadOptions::new(self.cwd.clone(), self.environment.clone())
        }
    }

    /// The project of the files; `services` named on the command line switch their profiles on. Warnings are printed.
    ///
    /// # Errors
    /// All findings, rendered, when one is an error; a service that is not there.
    pub fn load(&self, services: &[String]) -> Result<LoadedProject, CliError> {
        self.load_with(self.load_options(), services, true)
    }

    /// The same with options of one's own; `speak` prints warnings.
    pub fn load_with(
        &self,
        options: LoadOptions,
        services: &[String],
        speak: bool,
    ) -> Result<LoadedProject, CliError> {
        let asked = model::Options {
            services: services.to_vec(),
            ..model::Options::new(options.clone())
        };
        let mut outcome = model::load(&asked);
        outcome.sources.show_from(&self.cwd);
        let findings = outcome.findings();
        let (Some(project), Some(loaded)) = (outcome.project, outcome.loaded) else {
            return Err(CliError::findings(&findings, &outcome.sources));
        };
        if speak {
            report::print(&findings, &outcome.sources);
        }
        let named: Vec<ServiceName> = services
            .iter()
            .map(|name| ServiceName::new(name.as_str()))
            .collect();
        if let Err(unknown) = model::profile::select(&project, &named, true) {
            return Err(CliError::findings(
                &unknown.into_iter().collect(),
                &outcome.sources,
            ));
        }
        Ok(LoadedProject {
            project,
            loaded,
            sources: outcome.sources,
            options,
        })
    }

    /// The name of the project, for commands that look at what is there: from `-p`, the files, or the record of a project brought up
    /// from here.
    ///
    /// # Errors
    /// There is neither a file nor a record.
    pub fn project_name(&self) -> Result<String, CliError> {
        Ok(self.target(&[])?.name)
    }

    /// The project as far as it is known. With `-p` and without `-f` the files are not looked at. `services` must be in the files, if
    /// those are at hand and right, or have containers.
    ///
    /// # Errors
    /// There is neither a file nor a record; a service is not there.
    pub fn target(&self, services: &[String]) -> Result<Target, CliError> {
        let options = self.load_options();
        if let (Some(name), true) = (&options.project_name, options.files.is_empty()) {
            let target = Target {
                name: name.clone(),
                files: None,
            };
            self.check_containers(&target.name, services)?;
            return Ok(target);
        }
        // An unknown service is reported below, where containers count too.
        match self.load_with(options.clone(), &[], false) {
            Ok(files) => {
                let target = Target {
                    name: files.project.name.to_string(),
                    files: Some(files),
                };
                target.check(self, services)?;
                Ok(target)
            }
            Err(error) => match self.name_without_files(&options)? {
                Some(name) => {
                    self.check_containers(&name, services)?;
                    Ok(Target { name, files: None })
                }
                None => Err(error),
            },
        }
    }

    /// The name of a project whose files are wrong or gone: what they still say, or the project brought up from this directory.
    fn name_without_files(&self, options: &LoadOptions) -> Result<Option<String>, CliError> {
        let records = state::projects(self.data_root()?)?;
        let known = |name: &str| records.iter().any(|record| record.name == name);
        let (loaded, _, _) = crate::source::load::load(options);
        if let Some(loaded) = loaded.filter(|loaded| known(&loaded.project_name)) {
            return Ok(Some(loaded.project_name));
        }
        let named = options
            .project_name
            .as_deref()
            .or(self.variable("COMPOSE_PROJECT_NAME"));
        if let Some(name) = named {
            return Ok(known(name).then(|| name.to_owned()));
        }
        let files: Vec<PathBuf> = options.files.iter().map(|file| options.cwd.join(file)).collect();
        let from_here = |record: &&ProjectRecord| {
            if files.is_empty() {
                record.config_files.iter().any(|file| above(file, &options.cwd))
            } else {
                record.config_files == files
            }
        };
        // The nearest one counts, as it does for files.
        let found = records
            .iter()
            .filter(from_here)
            .max_by_key(|record| record.working_dir.as_os_str().len());
        Ok(found.map(|record| record.name.clone()))
    }

    fn check_containers(&self, project: &str, services: &[String]) -> Result<(), CliError> {
        if services.is_empty() {
            return Ok(());
        }
        let containers = rcompose_runtime::Runtime::containers(self.runtime()?, project)?;
        for service in services {
            if !containers.iter().any(|container| container.service == *service) {
                return Err(CliError::user(format!("no such service: {service}")));
            }
        }
        Ok(())
    }
}

/// Whether a file lies in the directory or one above it.
fn above(file: &Path, directory: &Path) -> bool {
    file.parent().is_some_and(|parent| directory.starts_with(parent))
}

impl Target {
    fn check(&self, context: &Context, services: &[String]) -> Result<(), CliError> {
        let Some(files) = &self.files else { return Ok(()) };
        let unknown: Vec<String> = services
            .iter()
            .filter(|name| {
                !files.project.services.contains_key(name.as_str())
                    && !files.project.disabled.contains_key(name.as_str())
            })
            .cloned()
            .collect();
        if context.check_containers(&self.name, &unknown).is_ok() {
            return Ok(());
        }
        let named: Vec<ServiceName> = unknown
            .iter()
            .map(|name| ServiceName::new(name.as_str()))
            .collect();
        match model::profile::select(&files.project, &named, false) {
            Ok(_) => Ok(()),
            Err(findings) => Err(CliError::findings(
                &findings.into_iter().collect(),
                &files.sources,
            )),
        }
    }
}

impl LoadedProject {
    /// The project in the terms of the runtime, with what its files, configs and secrets say.
    ///
    /// # Errors
    /// All findings, rendered.
    pub fn prepare(&self) -> Result<Prepared, CliError> {
        let facts = read_inputs(&self.project, self.origin());
        prepare(&self.project, &facts).map_err(|findings| CliError::findings(&findings, &self.sources))
    }

    /// Where it came from, for labels.
    pub fn origin(&self) -> Origin {
        let text = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect();
        Origin {
            config_files: text(&self.loaded.files),
            env_files: text(&self.env_files()),
        }
    }

    /// `--env-file`, absolute.
    fn env_files(&self) -> Vec<PathBuf> {
        let files = self.options.env_files.iter();
        files.map(|file| self.options.cwd.join(file)).collect()
    }

    /// Whether the files can be read again: standard input cannot.
    pub fn is_readable_again(&self) -> bool {
        !self.loaded.files.iter().any(|file| file == Path::new("-"))
    }

    /// All that a reload needs to load it again.
    pub fn record(&self) -> ProjectRecord {
        ProjectRecord {
            name: self.project.name.to_string(),
            working_dir: self.loaded.project_directory.clone(),
            config_files: self.loaded.files.clone(),
            env_files: self.env_files(),
            profiles: self.loaded.profiles.clone(),
            all_resources: self.options.all_resources,
            environment: self.options.os_env.iter().cloned().collect(),
            live_reload: self.is_readable_again(),
            ..ProjectRecord::default()
        }
    }
}

/// What to load again for a project that was brought up.
pub fn options_of(record: &ProjectRecord) -> LoadOptions {
    LoadOptions {
        files: record.config_files.clone(),
        project_directory: Some(record.working_dir.clone()),
        project_name: Some(record.name.clone()),
        env_files: record.env_files.clone(),
        profiles: record.profiles.clone(),
        all_resources: record.all_resources,
        ..LoadOptions::new(
            record.working_dir.clone(),
            record.environment.clone().into_iter().collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_loads_the_same_project_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::write(
            directory.path().join("c.yaml"),
            "name: a\nservices: {web: {image: \"x:${TAG}\"}, debug: {image: y, profiles: [debug]}}\nvolumes: {spare: {}}\n",
        )
        .expect("write");
        let record = ProjectRecord {
            name: "other".to_owned(),
            working_dir: directory.path().to_owned(),
            config_files: vec![directory.path().join("c.yaml")],
            profiles: vec!["debug".to_owned()],
            all_resources: true,
            environment: [("TAG".to_owned(), "1".to_owned())].into(),
            ..ProjectRecord::default()
        };
        let outcome = model::load(&model::Options::new(options_of(&record)));
        let project = outcome.project.expect("valid");
        assert_eq!(project.name.as_str(), "other", "-p of the `up` holds on");
        assert_eq!(project.services["web"].image.as_deref(), Some("x:1"));
        assert!(project.services.contains_key("debug"));
        assert!(project.volumes.contains_key("spare"), "--all-resources holds on");
    }

    #[test]
    fn a_project_is_found_from_below_its_file() {
        assert!(above(Path::new("/p/compose.yaml"), Path::new("/p/src/deep")));
        assert!(!above(Path::new("/p/compose.yaml"), Path::new("/q")));
    }
}
