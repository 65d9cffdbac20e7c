//! In: `--change` of an import, one Dockerfile instruction. Out: the configuration with it applied.
//! **Invariant:** pure; an instruction that changes files is refused, never skipped.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::configure;
use super::dockerfile::{self, Instruction};
use super::substitute::substitute;
use super::workdir_step::absolute;
use crate::image_config::ImageConfig;

/// Applies one instruction, such as `CMD ["httpd"]` or `ENV A=1`. Variables in it are those of the configuration.
///
/// # Errors
/// What is wrong with the instruction, or that it needs a build.
pub fn change(config: &mut ImageConfig, text: &str) -> Result<(), String> {
    let parsed = dockerfile::parse(&format!("FROM scratch\n{text}\n")).map_err(|error| error.message)?;
    let environment = config.env.clone();
    let lookup = |name: &str| {
        let values = environment.iter().filter_map(|entry| entry.split_once('='));
        values
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    };
    let mut command_set = config.cmd.is_some();
    for located in parsed.instructions.iter().skip(1) {
        let instruction = substitute(&located.instruction, '\\', &lookup)?;
        if let Instruction::Workdir(path) = &instruction {
            config.working_dir = absolute(&config.working_dir, path);
        } else if !configure::apply(config, &instruction, &mut command_set)? {
            return Err(format!("`{}` needs a build", located.source));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_change_the_configuration_and_files_cannot_be_changed() {
        let mut config = ImageConfig::default();
        for text in [
            "CMD [\"httpd\", \"-f\"]",
            "ENV A=1",
            "env B=$A-x",
            "WORKDIR /srv",
            "WORKDIR data",
            "EXPOSE 80",
            "USER app",
        ] {
            change(&mut config, text).unwrap();
        }
        assert_eq!(config.cmd, Some(vec!["httpd".to_owned(), "-f".to_owned()]));
        assert_eq!(config.env, ["A=1", "B=1-x"]);
        assert_eq!(
            (config.working_dir.as_str(), config.user.as_str()),
            ("/srv/data", "app")
        );
        assert!(config.exposed_ports.contains("80/tcp"));
        change(&mut config, "ENTRYPOINT [\"/init\"]").unwrap();
        assert_eq!(
            config.cmd,
            Some(vec!["httpd".to_owned(), "-f".to_owned()]),
            "a command given stays"
        );
        assert!(
            change(&mut config, "RUN true")
                .unwrap_err()
                .contains("needs a build")
        );
        assert!(change(&mut config, "NONSENSE x").is_err());
    }
}
