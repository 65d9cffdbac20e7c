//! In: a request and an image's defaults. Out: command line, environment and working directory.
//! **Invariant:** Docker's rules, so that a compose file behaves as it does there.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use rcompose_container::defaults;
use rcompose_image::ImageConfig;

use crate::request::ContainerRequest;

/// Whole milliseconds, saturating.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Entry point, then command. A request's entry point takes the image's command away, for it belongs to the image's entry point.
pub(super) fn command_line(request: &ContainerRequest, image: &ImageConfig) -> Result<Vec<String>, String> {
    let image_command = image.cmd.as_deref().unwrap_or_default();
    let (entrypoint, default_command) = match &request.entrypoint {
        Some(own) => (own.as_slice(), &[][..]),
        None => (image.entrypoint.as_deref().unwrap_or_default(), image_command),
    };
    let command = request.command.as_deref().unwrap_or(default_command);
    let line: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    match line.first() {
        Some(program) if !program.is_empty() => Ok(line),
        Some(_) => Err("the program to run is an empty word".to_owned()),
        None => Err(format!(
            "no command: image {} has none, and none was given",
            request.image
        )),
    }
}

/// `PATH`, `HOSTNAME` and `TERM`, then the image's variables, then the request's; later ones replace, and a request's name
/// without a value takes one out.
pub(super) fn environment(request: &ContainerRequest, image: &ImageConfig, hostname: &str) -> Vec<String> {
    let mut variables: Vec<(String, String)> = vec![
        ("PATH".to_owned(), defaults::SEARCH_PATH.to_owned()),
        ("HOSTNAME".to_owned(), hostname.to_owned()),
    ];
    if request.tty {
        variables.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    let image = image.env.iter().map(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.to_owned(), Some(value.to_owned()))
    });
    for (name, value) in image.chain(request.environment.iter().cloned()) {
        let place = variables.iter().position(|(known, _)| *known == name);
        match (place, value) {
            (Some(place), Some(value)) => variables[place].1 = value,
            (Some(place), None) => {
                variables.remove(place);
            }
            (None, Some(value)) => variables.push((name, value)),
            (None, None) => {}
        }
    }
    variables
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// The request's, else the image's, else `/`.
pub(super) fn working_directory(request: &ContainerRequest, image: &ImageConfig) -> Result<String, String> {
    let directory = request.working_directory.as_deref().unwrap_or(&image.working_dir);
    match directory {
        "" => Ok("/".to_owned()),
        absolute if absolute.starts_with('/') => Ok(absolute.to_owned()),
        relative => Err(format!("working directory {relative:?} is not an absolute path")),
    }
}
