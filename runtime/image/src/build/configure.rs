//! In: an instruction that changes no file, its words expanded. Out: the image configuration with it applied.
//! **Invariant:** pure; what an instruction means for containers is decided here and nowhere else in the builder.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::dockerfile::{HealthcheckInstruction, Instruction, Words};
use crate::image_config::{HealthCheck, ImageConfig};

/// `PATH` of images that set none (moby, system.DefaultPathEnv).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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

/// Applies an instruction, its words expanded; false when it is one that changes files and so is not for here.
/// `command_set` remembers that this stage has its own CMD: an ENTRYPOINT clears only an inherited one.
pub(crate) fn apply(
    config: &mut ImageConfig,
    instruction: &Instruction,
    command_set: &mut bool,
) -> Result<bool, String> {
    // An empty list is as none: an image that was saved and loaded could not tell them apart.
    let list =
        |words: &Words, config: &ImageConfig| Some(arguments(words, config)).filter(|list| !list.is_empty());
    match instruction {
        Instruction::Env(pairs) => {
            for pair in pairs {
                set_environment(&mut config.env, &pair.name, &pair.value);
            }
        }
        Instruction::Label(pairs) => {
            let pairs = pairs.iter().cloned();
            config.labels.extend(pairs.map(|pair| (pair.name, pair.value)));
        }
        Instruction::User(user) => config.user.clone_from(user),
        Instruction::Expose(ports) => config.exposed_ports.extend(ports.iter().cloned()),
        Instruction::Volume(paths) => {
            if paths.contains(&String::new()) {
                return Err("VOLUME has a path that is empty".to_owned());
            }
            config.volumes.extend(paths.iter().cloned());
        }
        Instruction::Cmd(words) => {
            config.cmd = list(words, config);
            config.args_escaped = true;
            *command_set = true;
        }
        Instruction::Entrypoint(words) => {
            config.entrypoint = list(words, config);
            if !*command_set {
                config.cmd = None;
            }
        }
        Instruction::Shell(list) => config.shell = Some(list.clone()),
        Instruction::Healthcheck(check) => config.healthcheck = Some(healthcheck(check)?),
        Instruction::StopSignal(signal) => {
            stop_signal(signal)?;
            config.stop_signal.clone_from(signal);
        }
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

/// Ports of EXPOSE as `port/protocol` each: of `80`, `80/udp` and `8000-8002`; of `[[address:]host:]port` the last counts.
pub(crate) fn exposed(words: &[String]) -> Result<Vec<String>, String> {
    let mut ports = Vec::new();
    for text in words {
        let wrong = || format!("`{text}` is no port: write 80, 80/udp or 8000-8010");
        let (range, protocol) = text.split_once('/').unwrap_or((text, ""));
        let range = range.rsplit(':').next().unwrap_or(range);
        let protocol = match protocol.to_ascii_lowercase() {
            name if name.is_empty() => "tcp".to_owned(),
            name if matches!(name.as_str(), "tcp" | "udp" | "sctp") => name,
            _ => return Err(wrong()),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(ports)
}

/// A number, or a name as kill(1) knows it, with or without SIG.
fn stop_signal(text: &str) -> Result<(), String> {
    const NAMES: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS \
                         TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX";
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: Option<&str>, signs: [char; 1], most: u32| {
        text.and_then(|text| text.strip_prefix(signs)?.parse().ok())
            .is_some_and(|count: u32| (1..=most).contains(&count))
    };
    let known = text.parse::<i32>().is_ok_and(|number| number != 0)
        || NAMES.split_whitespace().any(|known| known == name)
        || offset(name.strip_prefix("RTMIN"), ['+'], 15)
        || offset(name.strip_prefix("RTMAX"), ['-'], 14);
    if known {
        Ok(())
    } else {
        Err(format!("`{text}` is no signal: write SIGTERM, TERM or 15"))
    }
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
            let time = |text: &Option<String>| {
                text.as_deref()
                    .filter(|text| !text.is_empty())
                    .map_or(Ok(0), nanoseconds)
            };
            let retries = retries
                .as_deref()
                .filter(|text| !text.is_empty())
                .map_or(Ok(0), |text| {
                    text.parse::<i32>()
                        .ok()
                        .filter(|count| *count >= 0)
                        .map(i64::from)
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

/// A Go duration (`1m30s`, `500ms`, `0`) in nanoseconds; one that is not zero is a millisecond at the least.
pub(crate) fn nanoseconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no duration: write 30s, 500ms or 1m30s");
    let mut total = 0.0_f64;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
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
            "us" | "µs" | "μs" => 1e3,
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
    if total > 0.0 && total < 1e6 {
        return Err(format!(
            "{text} is too short: a health check counts in milliseconds"
        ));
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
    use super::super::substitute::substitute;
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
            let instruction = substitute(&located.instruction, '\\', &|_| None).expect("expands");
            assert!(apply(&mut config, &instruction, &mut command_set).expect("applies"));
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
    fn signals_and_ports_are_checked() {
        for right in ["9", "SIGTERM", "term", "SIGRTMIN+3", "RTMAX-14", "99"] {
            assert_eq!(stop_signal(right), Ok(()), "{right}");
        }
        for wrong in ["", "0", "SIGFOO", "RTMIN+99", "RTMAX+1", "TERM KILL"] {
            assert!(stop_signal(wrong).is_err(), "{wrong}");
        }
        let ports = |text: &str| exposed(&[text.to_owned()]);
        assert_eq!(ports("127.0.0.1:81:80/UDP"), Ok(vec!["80/udp".to_owned()]));
        assert_eq!(ports("80/"), Ok(vec!["80/tcp".to_owned()]));
        for wrong in ["", "x", "-1", "70000", "9-8", "80/foo", "1.5"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
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
        assert!(nanoseconds("1us").is_err() && nanoseconds("-1s").is_err());
        assert_eq!((nanoseconds("0"), nanoseconds(".5s")), (Ok(0), Ok(500_000_000)));
    }
}
