//! In: a parsed Dockerfile. Out: its stages, the arguments before them, and which stages a target needs.
//! **Invariant:** a stage only ever refers to stages before it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::dockerfile::{Dockerfile, DockerfileError, From, Instruction, Located, MountKind, parse_trigger};

/// The stages of a Dockerfile.
#[derive(Debug, Clone)]
pub struct Stages {
    /// `ARG` before the first `FROM`: name and raw default.
    pub global_arguments: Vec<(String, Option<String>)>,
    /// In order.
    pub stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its `FROM`.
    pub from: From,
    /// Line of its `FROM`, from 1.
    pub line: usize,
    /// What follows.
    pub instructions: Vec<Located>,
}

impl Stages {
    /// Splits at every `FROM`.
    pub fn of(dockerfile: &Dockerfile) -> Self {
        let mut found = Self {
            global_arguments: Vec::new(),
            stages: Vec::new(),
        };
        for located in &dockerfile.instructions {
            match (&located.instruction, found.stages.last_mut()) {
                (Instruction::From(from), _) => {
                    found.stages.push(Stage {
                        from: from.clone(),
                        line: located.first_line,
                        instructions: Vec::new(),
                    });
                }
                (Instruction::Arg(arguments), None) => {
                    found.global_arguments.extend(arguments.iter().cloned());
                }
                (_, Some(stage)) => stage.instructions.push(located.clone()),
                (_, None) => {}
            }
        }
        found
    }

    /// The stage called so; names ignore case, numbers count only where `numbers` says so (`--from=1`, not `--target 1`).
    pub fn find(&self, name: &str, before: usize, numbers: bool) -> Option<usize> {
        let by_name = self.stages[..before]
            .iter()
            .rposition(|stage| stage.from.name.as_deref() == Some(&name.to_ascii_lowercase()));
        by_name.or_else(|| name.parse().ok().filter(|index| numbers && *index < before))
    }

    /// The stage that is the result.
    pub fn target(&self, name: Option<&str>) -> Result<usize, DockerfileError> {
        let Some(name) = name else {
            return Ok(self.stages.len() - 1);
        };
        self.find(name, self.stages.len(), false).ok_or_else(|| {
            let known: Vec<&str> = self
                .stages
                .iter()
                .filter_map(|stage| stage.from.name.as_deref())
                .collect();
            DockerfileError {
                line: 1,
                message: format!("no stage is called `{name}`; there are: {}", known.join(", ")),
            }
        })
    }

    /// The target and the stages it starts from, one after the other.
    pub fn chain(&self, target: usize, base: &dyn Fn(usize) -> String) -> Vec<usize> {
        let mut chain = vec![target];
        let mut top = target;
        while let Some(below) = self.find(&base(top), top, false) {
            chain.push(below);
            top = below;
        }
        chain
    }

    /// The stages that the target needs, itself last, in order. `base` tells the expanded image name of a stage,
    /// `replaced` whether a named context stands for it, so that it needs nothing.
    pub fn needed(
        &self,
        target: usize,
        base: &dyn Fn(usize) -> String,
        replaced: &dyn Fn(usize) -> bool,
    ) -> Vec<usize> {
        let mut needed = vec![false; self.stages.len()];
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut needed[index], true) || replaced(index) {
                continue;
            }
            let based_on = self.find(&base(index), index, false);
            open.extend(based_on);
            let triggers = based_on.map_or_else(Vec::new, |base| self.triggers(base));
            for located in self.stages[index].instructions.iter().chain(&triggers) {
                open.extend(
                    sources(&located.instruction)
                        .into_iter()
                        .filter_map(|name| self.find(&name, index, true)),
                );
            }
        }
        (0..self.stages.len()).filter(|index| needed[*index]).collect()
    }
}

impl Stages {
    /// What the ONBUILDs of a stage add to one that is built on it; mistakes in them are told when they run.
    fn triggers(&self, stage: usize) -> Vec<Located> {
        let instructions = self.stages[stage].instructions.iter();
        let parsed = instructions.filter_map(|located| {
            let Instruction::OnBuild(text) = &located.instruction else {
                return None;
            };
            parse_trigger(text, located.first_line).ok()
        });
        parsed.collect()
    }
}

/// What an instruction takes files from.
fn sources(instruction: &Instruction) -> Vec<String> {
    match instruction {
        Instruction::Copy(copy) | Instruction::Add(copy) => copy.from.iter().cloned().collect(),
        Instruction::Run(run) => run
            .mounts
            .iter()
            .filter(|mount| matches!(mount.kind, MountKind::Bind | MountKind::Cache))
            .filter_map(|mount| mount.from.clone())
            .collect(),
        Instruction::From(_)
        | Instruction::Env(_)
        | Instruction::Arg(_)
        | Instruction::Label(_)
        | Instruction::Workdir(_)
        | Instruction::User(_)
        | Instruction::Expose(_)
        | Instruction::Volume(_)
        | Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Shell(_)
        | Instruction::Healthcheck(_)
        | Instruction::StopSignal(_)
        | Instruction::OnBuild(_)
        | Instruction::Maintainer(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile::parse;
    use super::*;

    #[test]
    fn only_needed_stages_are_built() {
        let text = "ARG V=1\nFROM a AS base\nFROM b AS unused\nFROM base AS tools\nRUN x\nFROM scratch\nCOPY --from=Tools /a /\nRUN --mount=from=0 x\n";
        let stages = Stages::of(&parse(text).expect("parses"));
        let base = |index: usize| stages.stages[index].from.image.clone();
        assert_eq!(stages.needed(3, &base, &|_| false), [0, 2, 3]);
        assert_eq!(stages.needed(0, &base, &|_| false), [0]);
        assert_eq!(stages.needed(3, &base, &|index| index == 2), [0, 2, 3]);
        assert_eq!(stages.needed(2, &base, &|index| index == 2), [2]);
        assert_eq!(stages.global_arguments, [("V".to_owned(), Some("1".to_owned()))]);
        assert_eq!(stages.target(Some("BASE")), Ok(0));
        assert!(stages.target(Some("0")).is_err(), "a numeric target is refused");
        let text = "FROM a AS src\nFROM b AS base\nONBUILD COPY --from=src /a /\nFROM base\n";
        let stages = Stages::of(&parse(text).expect("parses"));
        let base = |index: usize| stages.stages[index].from.image.clone();
        assert_eq!(
            stages.needed(2, &base, &|_| false),
            [0, 1, 2],
            "what a trigger copies from is needed"
        );
    }
}
