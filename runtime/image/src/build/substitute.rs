//! In: an instruction as parsed, and how to expand a word. Out: the instruction with its words expanded.
//! **Invariant:** pure; what the Dockerfile reference does not expand (RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK, ONBUILD) stays as written.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::configure::exposed;
use super::dockerfile::{Copy, Heredoc, Instruction, KeyValue, Mount, Run};
use super::expand::{Lookup, expand, expand_heredoc, expand_words};

/// Expands an instruction. Defaults of ARG are left: whether they count is for the scope to say.
pub(super) fn substitute(
    instruction: &Instruction,
    escape: char,
    lookup: Lookup<'_>,
) -> Result<Instruction, String> {
    let word = |word: &str| expand(word, escape, lookup);
    Ok(match instruction {
        Instruction::Env(pairs) => Instruction::Env(key_values(pairs, &word)?),
        Instruction::Label(pairs) => Instruction::Label(key_values(pairs, &word)?),
        Instruction::Workdir(path) => Instruction::Workdir(word(path)?),
        Instruction::User(user) => Instruction::User(word(user)?),
        Instruction::Volume(paths) => Instruction::Volume(each(paths, &word)?),
        Instruction::StopSignal(signal) => Instruction::StopSignal(word(signal)?),
        Instruction::Expose(ports) => {
            let mut words = Vec::new();
            for port in ports {
                words.extend(expand_words(port, escape, lookup)?);
            }
            Instruction::Expose(exposed(&words)?)
        }
        Instruction::Copy(parsed) => Instruction::Copy(copy(parsed, &word, lookup)?),
        Instruction::Add(parsed) => Instruction::Add(copy(parsed, &word, lookup)?),
        Instruction::Run(run) => Instruction::Run(Run {
            mounts: run
                .mounts
                .iter()
                .map(|parsed| mount(parsed, &word))
                .collect::<Result<_, _>>()?,
            ..run.clone()
        }),
        Instruction::From(_)
        | Instruction::Arg(_)
        | Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Shell(_)
        | Instruction::Healthcheck(_)
        | Instruction::OnBuild(_)
        | Instruction::Maintainer(_) => instruction.clone(),
    })
}

type Word<'a> = &'a dyn Fn(&str) -> Result<String, String>;

fn each(words: &[String], word: Word<'_>) -> Result<Vec<String>, String> {
    words.iter().map(|text| word(text)).collect()
}

fn option(text: Option<&String>, word: Word<'_>) -> Result<Option<String>, String> {
    text.map(|text| word(text)).transpose()
}

/// All values see the environment before the instruction (Dockerfile reference, environment replacement).
fn key_values(pairs: &[KeyValue], word: Word<'_>) -> Result<Vec<KeyValue>, String> {
    let expanded = pairs.iter().map(|pair| {
        Ok(KeyValue {
            name: word(&pair.name)?,
            value: word(&pair.value)?,
        })
    });
    expanded.collect()
}

fn copy(copy: &Copy, word: Word<'_>, lookup: Lookup<'_>) -> Result<Copy, String> {
    let document = |heredoc: &Heredoc| {
        let text = heredoc.text();
        let content = if heredoc.expand {
            expand_heredoc(&text, lookup)?
        } else {
            text
        };
        Ok::<_, String>(Heredoc {
            content,
            ..heredoc.clone()
        })
    };
    Ok(Copy {
        sources: each(&copy.sources, word)?,
        heredocs: copy.heredocs.iter().map(document).collect::<Result<_, _>>()?,
        destination: word(&copy.destination)?,
        chown: option(copy.chown.as_ref(), word)?,
        chmod: option(copy.chmod.as_ref(), word)?,
        checksum: option(copy.checksum.as_ref(), word)?,
        ..copy.clone()
    })
}

fn mount(mount: &Mount, word: Word<'_>) -> Result<Mount, String> {
    Ok(Mount {
        target: option(mount.target.as_ref(), word)?,
        source: option(mount.source.as_ref(), word)?,
        id: option(mount.id.as_ref(), word)?,
        sharing: option(mount.sharing.as_ref(), word)?,
        mode: option(mount.mode.as_ref(), word)?,
        uid: option(mount.uid.as_ref(), word)?,
        gid: option(mount.gid.as_ref(), word)?,
        size: option(mount.size.as_ref(), word)?,
        env: option(mount.env.as_ref(), word)?,
        ..mount.clone()
    })
}
