//! In: an instruction that changes no file, its words expanded. Out: the image configuration with it applied.
//! **Invariant:** pure; what an instruction means for containers is decided here and nowhere else in the builder.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::dockerfile::{HealthcheckInstruction, Instruction, Words};
use crate::image_config::{HealthCheck, ImageConfig};

/// `PATH` of images that set none (moby, system.DefaultPathEnv).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Expands one word.
pub(crate) type Expand<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The shell of shell forms.
pub(crate) fn shell(config: &ImageConfig) -> Vec<String> {
    config
        .shell
        .clone()
        .unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
}

/// A command line as a list: the shell form through the shell.
pub(crate) fn arguments(words: &Words, config: &ImageConfig) -> Vec<String> {
    match words {
        Words::Exec(list) => list.clone(),
        Words::Shell(line) => shell(config).into_iter().chain([line.clone()]).collect(),
    }
}

/// Sets `NAME=value`, in place when the name is there.
pub(crate) fn set_environment(environment: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match environment
        .iter_mut()
        .find(|entry| entry.split('=').next() == Some(name))
    {
        Some(existing) => *existing = entry,
        None => environment.push(entry),
    }
}

/// Applies an instruction; false when it is one that changes files and so is not for here.
/// `command_set` remembers that this stage has its own CMD: an ENTRYPOINT clears only an inherited one.
pub(crate) fn apply(
    config: &mut ImageConfig,
    instruction: &Instruction,
    expand: Expand<'_>,
    command_set: &mut bool,
) -> Result<bool, String> {
    match instruction {
        Instruction::Env(pairs) => {
            // All values see the environment before the instruction (Dockerfile reference, environment replacement).
            let pairs: Vec<(String, String)> = pairs
                .iter()
                .map(|pair| Ok((expand(&pair.name)?, expand(&pair.value)?)))
                .collect::<Result<_, String>>()?;
            for (name, value) in pairs {
                set_environment(&mut config.env, &name, &value);
            }
        }
        Instruction::Label(pairs) => {
            for pair in pairs {
                config.labels.insert(expand(&pair.name)?, expand(&pair.value)?);
            }
        }
        Instruction::User(user) => config.user = expand(user)?,
        Instruction::Expose(ports) => {
            for port in ports {
                for port in expand(port)?.split_whitespace() {
                    config.exposed_ports.extend(exposed(port)?);
                }
            }
        }
        Instruction::Volume(paths) => {
            for path in paths {
                config.volumes.insert(expand(path)?);
            }
        }
        Instruction::Cmd(words) => {
            config.cmd = Some(arguments(words, config));
            *command_set = true;
        }
        Instruction::Entrypoint(words) => {
            config.entrypoint = Some(arguments(words, config));
            if !*command_set {
                config.cmd = None;
            }
        }
        Instruction::Shell(list) => config.shell = Some(list.clone()),
        Instruction::Healthcheck(check) => config.healthcheck = Some(healthcheck(check)?),
        Instruction::StopSignal(signal) => config.stop_signal = expand(signal)?,
        Instruction::OnBuild(text) => config.on_build.push(text.clone()),
        Instruction::Maintainer(_) => {}
        Instruction::From(_)
        | Instruction::Arg(_)
        | Instruction::Run(_)
        | Instruction::Copy(_)
        | Instruction::Add(_)
        | Instruction::Workdir(_) => return Ok(false),
    }
    Ok(true)
}

/// `80`, `80/udp`, `8000-8002` as `port/protocol` each.
fn exposed(text: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("`{text}` is no port: write 80, 80/udp or 8000-8010");
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (
        first.parse().map_err(|_| wrong())?,
        last.parse().map_err(|_| wrong())?,
    );
    if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn healthcheck(check: &HealthcheckInstruction) -> Result<HealthCheck, String> {
    match check {
        HealthcheckInstruction::None => Ok(HealthCheck {
            test: vec!["NONE".to_owned()],
            ..HealthCheck::default()
        }),
        HealthcheckInstruction::Probe {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } => {
            let test = match command {
                Words::Exec(list) => ["CMD".to_owned()]
                    .into_iter()
                    .chain(list.iter().cloned())
                    .collect(),
                Words::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
            };
            let time = |text: &Option<String>| text.as_deref().map_or(Ok(0), nanoseconds);
            let retries = retries.as_deref().map_or(Ok(0), |text| {
                text.parse::<i64>()
                    .ok()
                    .filter(|count| *count >= 0)
                    .ok_or_else(|| format!("--retries={text} is no number"))
            })?;
            Ok(HealthCheck {
                test,
                interval: time(interval)?,
                timeout: time(timeout)?,
                start_period: time(start_period)?,
                start_interval: time(start_interval)?,
                retries,
            })
        }
    }
}

/// A Go duration (`1m30s`, `500ms`) in nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no duration: write 30s, 500ms or 1m30s");
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit_end = rest[end..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |at| end + at);
        let unit = match &rest[end..unit_end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    if text.is_empty() || !(0.0..=9e18).contains(&total) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked, and less than a nanosecond does not count"
    )]
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile::parse;
    use super::*;

    fn config(text: &str) -> ImageConfig {
        let mut config = ImageConfig {
            cmd: Some(vec!["inherited".into()]),
            ..ImageConfig::default()
        };
        let mut command_set = false;
        for located in parse(&format!("FROM scratch\n{text}"))
            .expect("parses")
            .instructions
            .iter()
            .skip(1)
        {
            let expand = |word: &str| super::super::expand::expand(word, '\\', &|_| None);
            assert!(apply(&mut config, &located.instruction, &expand, &mut command_set).expect("applies"));
        }
        config
    }

    #[test]
    fn an_entrypoint_clears_an_inherited_command_only() {
        assert_eq!(config("ENTRYPOINT [\"a\"]").cmd, None);
        assert_eq!(
            config("CMD [\"b\"]\nENTRYPOINT [\"a\"]").cmd,
            Some(vec!["b".to_owned()])
        );
        assert_eq!(
            config("SHELL [\"/bin/bash\", \"-c\"]\nCMD x y").cmd,
            Some(vec!["/bin/bash".into(), "-c".into(), "x y".into()])
        );
    }

    #[test]
    fn ports_probes_and_environment() {
        let config = config(
            "EXPOSE 80 53/udp 8000-8001\nHEALTHCHECK --interval=1m30s --retries=2 CMD x\nENV A=1 B='2 3'\nENV A=4",
        );
        let ports: Vec<&str> = config.exposed_ports.iter().map(String::as_str).collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
        let check = config.healthcheck.expect("probe");
        assert_eq!(
            (check.test, check.interval, check.retries),
            (vec!["CMD-SHELL".into(), "x".into()], 90_000_000_000, 2)
        );
        assert_eq!(config.env, ["A=4", "B=2 3"]);
        assert!(nanoseconds("5 s").is_err() && nanoseconds("").is_err() && nanoseconds("5").is_err());
    }
}
