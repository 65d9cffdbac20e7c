//! In: RUN. Out: a layer with what the command changed.
//! **Invariant:** secrets and cache mounts are no part of the key, and nothing of them stays in the layer.

use super::builder::{Build, at_line};
use super::cached_layer::{At, Keys};
use super::configure;
use super::created_by::of_run;
use super::dockerfile::{Run, Words, is_heredoc};
use super::failure::excerpt;
use super::foreign;
use super::request::{BuildError, BuildEvent};
use super::run_mounts::{bind_fingerprint, prepare};
use super::stage_state::StageState;
use super::step::{RunStep, StepMount, StepMountSource, StepNetwork};
use super::step_key::StepKey;
use super::stubs::{existing, remove_stubs};
use super::workdir_step::absolute;
use crate::image_config::ImageConfig;
use crate::platform::Platform;

/// Bytes of output kept for the error message.
const KEPT_OUTPUT: usize = 4096;

pub(super) fn run(
    build: &Build<'_>,
    state: &mut StageState,
    at: At<'_>,
    run: &Run,
) -> Result<(), BuildError> {
    let At {
        located,
        number,
        stage,
        ..
    } = at;
    let failed = |message: String| at_line(build.request, located.first_line, message);
    if let Some(mode) = run.security.as_deref().filter(|mode| *mode != "sandbox") {
        return Err(failed(format!(
            "RUN --security={mode} is refused: builds are never given the host"
        )));
    }
    let document = &state.document;
    foreign::check(&Platform {
        architecture: document.architecture.clone(),
        os: document.os.clone(),
        variant: document.variant.clone(),
    })
    .map_err(failed)?;
    let network = network(run.network.as_deref().or(build.request.network.as_deref())).map_err(failed)?;
    let config = state.document.config.clone();
    let mounts = &run.mounts;
    let (keyed, environment) = state.scope.environment(&build.given);
    let (arguments, script) = arguments(run, &config).map_err(failed)?;

    let mut key = StepKey::new("run 3");
    key.layers(&state.layers);
    key.list(&arguments);
    key.list(&keyed);
    if let Some(StepMountSource::Content(script, ..)) = script.as_ref().map(|mount| &mount.source) {
        key.word(script);
    }
    key.word(config.user.as_bytes());
    key.word(config.working_dir.as_bytes());
    key.word(format!("{network:?}").as_bytes());
    // What a command can see of the request is a part of what it makes; how much memory it may use is not.
    let request = build.request;
    let surroundings = (&request.extra_hosts, request.shm_size, &request.ulimits);
    key.word(format!("{surroundings:?}").as_bytes());
    for mount in mounts {
        key.word(format!("{mount:?}").as_bytes());
        key.word(bind_fingerprint(build, mount, stage).map_err(failed)?.as_bytes());
    }

    let keys = Keys {
        quick: None,
        content: &|| Ok(key.clone().finish()),
    };
    let created_by = of_run(&state.scope.arguments(), &arguments);
    build.layer(state, at, created_by, &keys, &mut |directories| {
        let prepared = prepare(build, mounts, stage, &config.working_dir).map_err(failed)?;
        let mut step_environment = environment.clone();
        step_environment.extend(prepared.environment.iter().cloned());
        let step = RunStep {
            lower: directories.lower.clone(),
            upper: directories.upper().to_owned(),
            work: directories.work().to_owned(),
            arguments: arguments.clone(),
            environment: step_environment,
            user: config.user.clone(),
            working_directory: absolute("", &config.working_dir),
            mounts: prepared.mounts.iter().chain(&script).cloned().collect(),
            network,
            extra_hosts: build.request.extra_hosts.clone(),
            shm_size: build.request.shm_size,
            memory: build.request.memory,
            ulimits: build.request.ulimits.clone(),
        };
        let before = existing(directories, &step.mounts);
        let mut kept = Vec::new();
        let code = build
            .runner
            .run(
                &step,
                &mut |stderr, bytes| {
                    kept.extend_from_slice(bytes);
                    let superfluous = kept.len().saturating_sub(KEPT_OUTPUT);
                    drop(kept.drain(..superfluous));
                    (build.events)(BuildEvent::Output {
                        number,
                        stderr,
                        bytes: bytes.to_vec(),
                    });
                },
                &|| build.is_stopped(),
            )
            .map_err(failed)?;
        if build.is_stopped() {
            return Err(BuildError::Cancelled);
        }
        if code != 0 {
            return Err(command_failed(build, at, code, &kept));
        }
        remove_stubs(directories, &before).map_err(failed)
    })
}

fn command_failed(build: &Build<'_>, at: At<'_>, code: i32, output: &[u8]) -> BuildError {
    let output = String::from_utf8_lossy(output).into_owned();
    BuildError::Command {
        dockerfile: build.request.dockerfile_name.clone(),
        line: at.located.first_line,
        text: excerpt(
            &build.request.dockerfile,
            at.located.first_line,
            at.located.last_line.max(at.located.first_line),
        ),
        code,
        output: last_lines(&output),
    }
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn network(name: Option<&str>) -> Result<StepNetwork, String> {
    match name {
        None | Some("default" | "") => Ok(StepNetwork::Default),
        Some("none") => Ok(StepNetwork::None),
        Some("host") => Ok(StepNetwork::Host),
        Some(other) => Err(format!(
            "the network `{other}` is not known to builds: default, none and host are"
        )),
    }
}

/// Where a script with an interpreter of its own is shown to the command, read-only.
const SCRIPTS: &str = "/dev/pipes";

/// The command, and the script it runs where it has one. A heredoc alone is the script: the shell's, or, when it begins with `#!`, a file.
/// Others are given to the shell as they were written.
fn arguments(run: &Run, config: &ImageConfig) -> Result<(Vec<String>, Option<StepMount>), String> {
    let (Words::Shell(line), Some(first)) = (&run.command, run.heredocs.first()) else {
        return Ok((configure::arguments(&run.command, config), None));
    };
    let shell = |text: String| configure::arguments(&Words::Shell(text), config);
    if !is_heredoc(line) {
        let text = run.heredocs.iter().fold(line.clone(), |text, document| {
            format!("{text}\n{}{}", document.content, document.name)
        });
        return Ok((shell(text), None));
    }
    let script = first.text();
    if !script.starts_with("#!") {
        return Ok((shell(script), None));
    }
    if first.name.contains('/') || first.name == "." || first.name == ".." {
        return Err(format!(
            "the heredoc `{}` is no file name for a script",
            first.name
        ));
    }
    let target = format!("{SCRIPTS}/{}", first.name);
    let mount = StepMount {
        target: target.clone(),
        read_only: true,
        source: StepMountSource::Content(script.into_bytes(), 0o755, 0, 0),
    };
    Ok((shell(target), Some(mount)))
}
