//! In: a stage. Out: what it has become: its base, then each of its steps.
//! **Invariant:** a step sees only what stands before it, and nothing goes on once the build has failed or was cancelled.

use std::time::Instant;

use super::builder::{Build, at_line};
use super::cached_layer::At;
use super::dockerfile::{Instruction, Located, parse_trigger};
use super::expand::expand;
use super::named::Named;
use super::on_host::HOST;
use super::request::{BuildError, BuildEvent};
use super::stage_state::StageState;
use super::substitute::substitute;
use super::{configure, copy_step, created_by, run_step, workdir_step};
use crate::image::Image;

impl Build<'_> {
    /// Builds a stage from its base to its last step.
    pub(super) fn stage(&self, index: usize) -> Result<StageState, BuildError> {
        let stage = &self.stages.stages[index];
        let name = match &stage.from.name {
            Some(name) => name.clone(),
            None => format!("stage-{index}"),
        };
        if self.replaces(stage.from.name.as_deref()) {
            let failed = |message: String| at_line(self.request, stage.line, message);
            let named = self.named(&name).map_err(failed)?;
            return self.named_as_base(index, named.unwrap_or(Named::Nothing));
        }
        let base = &self.bases[index];
        let number = self.next_number();
        let start = Instant::now();
        let mut state = self.base(index, base, stage.line)?;
        let instructions = self.triggers(&mut state, stage.line)?;
        let instructions: Vec<&Located> = instructions.iter().chain(&stage.instructions).collect();
        let total = 1 + instructions
            .iter()
            .filter(|located| is_shown(&located.instruction))
            .count();
        (self.events)(BuildEvent::Step {
            number,
            index: 1,
            total,
            stage: name.clone(),
            text: format!("FROM {base}"),
        });
        (self.events)(BuildEvent::Done {
            number,
            took: start.elapsed(),
        });
        let mut shown = 1;
        for located in instructions {
            if self.is_stopped() {
                return Err(BuildError::Cancelled);
            }
            let text = located.source.lines().next().unwrap_or_default();
            let mut at = At {
                located,
                number: 0,
                stage: index,
                description: text,
            };
            if !is_shown(&located.instruction) {
                self.step(&mut state, at)?;
                continue;
            }
            shown += 1;
            let number = self.next_number();
            at.number = number;
            let description = format!("[{name} {shown}/{total}] {text}");
            at.description = &description;
            (self.events)(BuildEvent::Step {
                number,
                index: shown,
                total,
                stage: name.clone(),
                text: text.to_owned(),
            });
            let start = Instant::now();
            self.step(&mut state, at)?;
            (self.events)(BuildEvent::Done {
                number,
                took: start.elapsed(),
            });
        }
        Ok(state)
    }

    /// What the base image asks every image built on it to do (`ONBUILD`); the result does not ask again.
    fn triggers(&self, state: &mut StageState, line: usize) -> Result<Vec<Located>, BuildError> {
        let mut found = Vec::new();
        for text in std::mem::take(&mut state.document.config.on_build) {
            let failed = |message| format!("ONBUILD {text} of the base image: {message}");
            let located =
                parse_trigger(&text, line).map_err(|message| at_line(self.request, line, failed(message)))?;
            found.push(located);
        }
        Ok(found)
    }

    /// What a stage starts from: nothing, an earlier stage, a named context or an image.
    fn base(&self, index: usize, name: &str, line: usize) -> Result<StageState, BuildError> {
        if let Some(stage) = self.stages.find(name, index, false) {
            let state = self.outcome(stage).ok_or(BuildError::Cancelled)?;
            return Ok(state.inherit());
        }
        let failed = |message: String| at_line(self.request, line, message);
        let platform = self.platform_of(index).map_err(failed)?;
        if name.eq_ignore_ascii_case("scratch") {
            return Ok(StageState::nothing(platform));
        }
        match self.named(name).map_err(failed)? {
            Some(named) => self.named_as_base(index, named),
            None if name == HOST => self.host_as_base(index, platform).map_err(failed),
            None => self.image_as_base(index, &self.image(name, &platform).map_err(failed)?),
        }
    }

    /// A stage that is an image so far.
    pub(super) fn image_as_base(&self, index: usize, image: &Image) -> Result<StageState, BuildError> {
        let failed = |message: String| at_line(self.request, self.stages.stages[index].line, message);
        let document = self.store.document(&image.id)?;
        if image.host.is_some() {
            self.refuse_to_tell(index).map_err(failed)?;
        }
        Ok(StageState::new(self.layers_of(image).map_err(failed)?, document))
    }

    fn step(&self, state: &mut StageState, at: At<'_>) -> Result<(), BuildError> {
        let located = at.located;
        let failed = |message: String| at_line(self.request, located.first_line, message);
        let look_up = |name: &str| state.scope.value(name);
        let instruction = substitute(&located.instruction, self.escape, &look_up).map_err(failed)?;
        let config = &mut state.document.config;
        if configure::apply(config, &instruction, &mut state.command_set).map_err(failed)? {
            state.configured(&instruction);
            return Ok(());
        }
        match &instruction {
            Instruction::Arg(arguments) => {
                let mut declared = Vec::new();
                for (name, default) in arguments {
                    // A default may use an ARG of the same line; one that does not hold is not looked at.
                    let look_up = |name: &str| state.scope.value(name);
                    let default = default
                        .as_deref()
                        .filter(|_| self.given.get(name).is_none())
                        .map(|word| expand(word, self.escape, &look_up))
                        .transpose()
                        .map_err(failed)?;
                    let target = self.request.target.as_deref();
                    let value = state
                        .scope
                        .declare(name, default, &self.given, &self.globals, target);
                    declared.push((name.clone(), value));
                }
                state.record(created_by::of_arguments(&declared), None, None);
                Ok(())
            }
            Instruction::Workdir(path) => workdir_step::workdir(self, state, at, path),
            Instruction::Copy(copy) => copy_step::copy(self, state, at, copy, false),
            Instruction::Add(copy) => copy_step::copy(self, state, at, copy, true),
            Instruction::Run(run) => run_step::run(self, state, at, run),
            Instruction::From(_)
            | Instruction::Env(_)
            | Instruction::Label(_)
            | Instruction::User(_)
            | Instruction::Expose(_)
            | Instruction::Volume(_)
            | Instruction::Cmd(_)
            | Instruction::Entrypoint(_)
            | Instruction::Shell(_)
            | Instruction::Healthcheck(_)
            | Instruction::StopSignal(_)
            | Instruction::OnBuild(_)
            | Instruction::Maintainer(_) => Ok(()),
        }
    }
}

/// Steps that are told: those that change files. The others take no time.
fn is_shown(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
    )
}
