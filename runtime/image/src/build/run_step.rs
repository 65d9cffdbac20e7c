//! In: RUN. Out: a layer with what the command changed.
//! **Invariant:** secrets and cache mounts are no part of the key, and nothing of them stays in the layer.

use super::builder::{Build, at_line};
use super::cached_layer::{At, Keys};
use super::configure;
use super::created_by::of_run;
use super::dockerfile::{Run, Words};
use super::failure::excerpt;
use super::foreign;
use super::request::{BuildError, BuildEvent};
use super::run_mounts::{bind_fingerprint, prepare};
use super::stage_state::StageState;
use super::step::{RunStep, StepNetwork};
use super::step_key::StepKey;
use super::stubs::{existing, remove_stubs};
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
    let arguments = arguments(run, &config);

    let mut key = StepKey::new("run 2");
    key.layers(&state.layers);
    key.list(&arguments);
    key.list(&keyed);
    key.word(config.user.as_bytes());
    key.word(config.working_dir.as_bytes());
    key.word(format!("{network:?}").as_bytes());
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
            working_directory: if config.working_dir.is_empty() {
                "/".to_owned()
            } else {
                config.working_dir.clone()
            },
            mounts: prepared.mounts.clone(),
            network,
            extra_hosts: build.request.extra_hosts.clone(),
            shm_size: build.request.shm_size,
            memory: build.request.memory,
            input: None,
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

/// The command; a heredoc alone is the script, others are given back to the shell as they were written.
fn arguments(run: &Run, config: &crate::image_config::ImageConfig) -> Vec<String> {
    let Words::Shell(line) = &run.command else {
        return configure::arguments(&run.command, config);
    };
    let Some(first) = run.heredocs.first() else {
        return configure::arguments(&run.command, config);
    };
    let alone = run.heredocs.len() == 1
        && line.trim_start().starts_with("<<")
        && line.split_whitespace().count() == 1;
    let shell = configure::shell(config);
    if alone
        && let Some(interpreter) = first
            .content
            .strip_prefix("#!")
            .and_then(|rest| rest.lines().next())
    {
        // The script's own interpreter reads it as an argument of `-c`-less form: through a file made by the shell.
        let script = format!(
            "rcompose_script=$(mktemp) && cat >\"$rcompose_script\" <<'RCOMPOSE_END_OF_SCRIPT'\n{}RCOMPOSE_END_OF_SCRIPT\n{} \"$rcompose_script\"; rcompose_code=$?; rm -f \"$rcompose_script\"; exit $rcompose_code",
            first.content,
            interpreter.trim()
        );
        return ["/bin/sh".to_owned(), "-c".to_owned(), script].to_vec();
    }
    let text = if alone {
        first.content.clone()
    } else {
        run.heredocs.iter().fold(format!("{line}\n"), |text, heredoc| {
            format!("{text}{}{}\n", heredoc.content, heredoc.name)
        })
    };
    shell.into_iter().chain([text]).collect()
}
