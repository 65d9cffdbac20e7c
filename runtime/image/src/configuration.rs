//! `config.toml` files in; out: the rules for reaching each registry, and how much of the disk what builds keep may take.
//! **Invariant:** nothing a file says is ignored: an unknown key or a wrong type is an error with its line.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml_edit::{Document, Item, TableLike};

use crate::build::Room;
use crate::byte_size;
use crate::reference::DOCKER_HUB;
use crate::registry::Proxies;

const KEYS: [&str; 4] = ["plain-http", "mirrors", "ca-file", "token-servers"];
const BUILD_KEYS: [&str; 3] = ["reserved-space", "max-used-space", "min-free-space"];

/// Why a configuration file is not usable.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// The file exists but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// How to reach registries, and what builds may keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// By `HOST` or `HOST:PORT`, as in image names; `docker.io` for Docker Hub.
    pub registries: BTreeMap<String, RegistryConfiguration>,
    /// Docker's `config.json` with the logins, usually `~/.docker/config.json`; need not exist.
    pub docker_config: Option<PathBuf>,
    /// Proxies on the way to registries.
    pub proxies: Proxies,
    /// `[build]`: what is kept of builds is brought below this after each.
    pub build_room: Room,
}

/// What one file says.
#[derive(Debug, Default)]
struct Said {
    registries: BTreeMap<String, RegistryConfiguration>,
    build_room: Option<Room>,
}

/// How to reach one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryConfiguration {
    /// Speak http instead of https. Unset: https, but http on loopback addresses, as docker does.
    pub plain_http: Option<bool>,
    /// `http://HOST[:PORT][/PATH]`, asked in order before the registry itself.
    pub mirrors: Vec<String>,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Further hosts that may be sent this registry's login when it asks for a token from there.
    pub token_servers: Vec<String>,
}

/// One place to ask for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `https://registry-1.docker.io`: everything before `/v2/`.
    pub(crate) base: String,
    /// Whose login to use.
    pub(crate) registry: String,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) token_servers: Vec<String>,
}

impl Configuration {
    /// Reads the files that exist, in order; a later file replaces what an earlier one says of the same registry, or of builds.
    pub fn load(paths: &[&Path], docker_config: Option<&Path>) -> Result<Self, ConfigurationError> {
        let mut configuration = Self {
            docker_config: docker_config.map(Path::to_owned),
            ..Self::default()
        };
        for path in paths {
            match fs::read_to_string(path) {
                Ok(text) => {
                    let said = parse(path, &text)?;
                    configuration.registries.extend(said.registries);
                    configuration.build_room = said.build_room.unwrap_or(configuration.build_room);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(ConfigurationError::Read {
                        path: (*path).to_owned(),
                        source,
                    });
                }
            }
        }
        Ok(configuration)
    }

    /// Where to ask for images of `registry`: its mirrors in order, then the registry itself.
    pub(crate) fn endpoints(&self, registry: &str) -> Vec<Endpoint> {
        let absent = RegistryConfiguration::default();
        let settings = self.registries.get(registry).unwrap_or(&absent);
        let mut endpoints: Vec<Endpoint> = settings.mirrors.iter().map(|base| self.mirror(base)).collect();
        let host = if registry == DOCKER_HUB {
            "registry-1.docker.io"
        } else {
            registry
        };
        let plain_http = settings.plain_http.unwrap_or_else(|| is_loopback(host));
        endpoints.push(Endpoint {
            base: format!("{}://{host}", if plain_http { "http" } else { "https" }),
            registry: registry.to_owned(),
            ca_file: settings.ca_file.clone(),
            token_servers: settings.token_servers.clone(),
        });
        endpoints
    }

    /// A mirror is reached as its own section says, if it has one, except for the scheme, which its URL gives.
    fn mirror(&self, base: &str) -> Endpoint {
        let base = base.trim_end_matches('/');
        let host = authority(base).to_owned();
        let settings = self.registries.get(&host);
        Endpoint {
            base: base.to_owned(),
            ca_file: settings.and_then(|settings| settings.ca_file.clone()),
            token_servers: settings
                .map(|settings| settings.token_servers.clone())
                .unwrap_or_default(),
            registry: host,
        }
    }
}

/// `HOST[:PORT]` of a URL.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The host of `HOST[:PORT]`; brackets of IPv6 addresses go.
pub(crate) fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// `localhost`, `127.0.0.0/8` and `::1`: bytes to these never leave this host.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host(authority);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse(path: &Path, text: &str) -> Result<Said, ConfigurationError> {
    let reader = Reader { path, text };
    let document =
        Document::parse(text).map_err(|error| reader.invalid(error.span(), error.message().to_owned()))?;
    let mut said = Said::default();
    for (key, item) in document.as_table() {
        match key {
            "registries" => {
                let table = item
                    .as_table_like()
                    .ok_or_else(|| reader.expected(item, key, "a table for each registry"))?;
                for (registry, item) in table.iter() {
                    let section = item
                        .as_table_like()
                        .ok_or_else(|| reader.expected(item, registry, "a table"))?;
                    said.registries
                        .insert(registry.to_owned(), reader.registry(section)?);
                }
            }
            "build" => {
                let section = item
                    .as_table_like()
                    .ok_or_else(|| reader.expected(item, key, "a table"))?;
                said.build_room = Some(reader.build_room(section)?);
            }
            _ => return Err(reader.unknown(document.as_table(), key, &["registries", "build"])),
        }
    }
    Ok(said)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn registry(&self, section: &dyn TableLike) -> Result<RegistryConfiguration, ConfigurationError> {
        let mut settings = RegistryConfiguration::default();
        for (key, item) in section.iter() {
            match key {
                "plain-http" => {
                    let value = item
                        .as_bool()
                        .ok_or_else(|| self.expected(item, key, "true or false"))?;
                    settings.plain_http = Some(value);
                }
                "mirrors" => {
                    settings.mirrors = self.texts(item, key)?;
                    for mirror in &settings.mirrors {
                        if !mirror.starts_with("http://") && !mirror.starts_with("https://")
                            || authority(mirror).is_empty()
                        {
                            return Err(self.invalid(
                                item.span(),
                                format!("mirror {mirror:?} is not http://HOST or https://HOST"),
                            ));
                        }
                    }
                }
                "ca-file" => {
                    let value = item.as_str().ok_or_else(|| self.expected(item, key, "a path"))?;
                    settings.ca_file = Some(PathBuf::from(value));
                }
                "token-servers" => settings.token_servers = self.texts(item, key)?,
                _ => return Err(self.unknown(section, key, &KEYS)),
            }
        }
        Ok(settings)
    }

    fn build_room(&self, section: &dyn TableLike) -> Result<Room, ConfigurationError> {
        let mut room = Room::default();
        for (key, item) in section.iter() {
            let limit = match key {
                "reserved-space" => &mut room.reserved,
                "max-used-space" => &mut room.max_used,
                "min-free-space" => &mut room.min_free,
                _ => return Err(self.unknown(section, key, &BUILD_KEYS)),
            };
            let what = "a size such as \"20GB\"";
            let text = item.as_str().ok_or_else(|| self.expected(item, key, what))?;
            let bytes = byte_size::parse(text)
                .ok_or_else(|| self.invalid(item.span(), format!("{key:?} must be {what}, not {text:?}")))?;
            *limit = Some(bytes);
        }
        Ok(room)
    }

    fn texts(&self, item: &Item, key: &str) -> Result<Vec<String>, ConfigurationError> {
        let values = item
            .as_array()
            .ok_or_else(|| self.expected(item, key, "a list of texts"))?;
        let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
        texts
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| self.expected(item, key, "a list of texts"))
    }

    fn unknown(&self, table: &dyn TableLike, key: &str, known: &[&str]) -> ConfigurationError {
        let span = table.get_key_value(key).and_then(|(key, _)| key.span());
        self.invalid(
            span,
            format!("unknown key {key:?}: expected {}", known.join(", ")),
        )
    }

    fn expected(&self, item: &Item, key: &str, what: &str) -> ConfigurationError {
        self.invalid(
            item.span(),
            format!("{key:?} must be {what}, not {}", item.type_name()),
        )
    }

    fn invalid(&self, span: Option<Range<usize>>, problem: String) -> ConfigurationError {
        let before = span.map_or(0, |span| span.start.min(self.text.len()));
        let line = self.text[..before].matches('\n').count() + 1;
        ConfigurationError::Invalid {
            path: self.path.to_owned(),
            line,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Configuration, ConfigurationError> {
        Ok(Configuration {
            registries: parse(Path::new("/c.toml"), text)?.registries,
            ..Configuration::default()
        })
    }

    fn bases(configuration: &Configuration, registry: &str) -> Vec<String> {
        configuration
            .endpoints(registry)
            .into_iter()
            .map(|endpoint| endpoint.base)
            .collect()
    }

    #[test]
    fn mirrors_come_first_and_loopback_speaks_http() {
        let configuration = read(concat!(
            "[registries.\"docker.io\"]\nmirrors = [\"http://127.0.0.1:5000/\", \"https://mirror.example/hub\"]\n",
            "[registries.\"plain.example:80\"]\nplain-http = true\nca-file = \"/ca.pem\"\n",
            "[registries.\"localhost:443\"]\nplain-http = false\n",
        ))
        .unwrap();
        assert_eq!(
            bases(&configuration, "docker.io"),
            [
                "http://127.0.0.1:5000",
                "https://mirror.example/hub",
                "https://registry-1.docker.io"
            ]
        );
        assert_eq!(
            bases(&configuration, "plain.example:80"),
            ["http://plain.example:80"]
        );
        assert_eq!(bases(&configuration, "localhost:443"), ["https://localhost:443"]);
        for (registry, base) in [
            ("localhost", "http://localhost"),
            ("127.8.9.1:5000", "http://127.8.9.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("localhost.example", "https://localhost.example"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
            ("127.0.0.1.example", "https://127.0.0.1.example"),
        ] {
            assert_eq!(bases(&configuration, registry), [base]);
        }
    }

    #[test]
    fn errors_name_file_and_line() {
        for (text, message) in [
            (
                "\n[registries.\"a.b\"]\nplain_http = true\n",
                "/c.toml:3: unknown key \"plain_http\": expected plain-http, mirrors, ca-file, token-servers",
            ),
            (
                "[registry]\n",
                "/c.toml:1: unknown key \"registry\": expected registries, build",
            ),
            (
                "[registries.\"a.b\"]\nplain-http = \"yes\"\n",
                "/c.toml:2: \"plain-http\" must be true or false, not string",
            ),
            (
                "[registries.\"a.b\"]\n\nmirrors = [\"mirror.example\"]\n",
                "/c.toml:3: mirror \"mirror.example\" is not http://HOST or https://HOST",
            ),
            (
                "[registries.\"a.b\"]\nmirrors = [1]\n",
                "/c.toml:2: \"mirrors\" must be a list of texts, not array",
            ),
            (
                "[build]\n\nmax-used = \"1GB\"\n",
                "/c.toml:3: unknown key \"max-used\": expected reserved-space, max-used-space, min-free-space",
            ),
            (
                "[build]\nmax-used-space = 20\n",
                "/c.toml:2: \"max-used-space\" must be a size such as \"20GB\", not integer",
            ),
            (
                "[build]\nmin-free-space = \"much\"\n",
                "/c.toml:2: \"min-free-space\" must be a size such as \"20GB\", not \"much\"",
            ),
            (
                "registries = 1\n",
                "/c.toml:1: \"registries\" must be a table for each registry, not integer",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message);
        }
        assert!(
            read("[registries.\n")
                .unwrap_err()
                .to_string()
                .starts_with("/c.toml:1: ")
        );
    }

    #[test]
    fn a_later_file_wins_and_an_absent_one_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("1"), directory.path().join("2"));
        fs::write(
            &one,
            "[registries.\"a.b\"]\nplain-http = true\n[registries.\"c.d\"]\nplain-http = true\n",
        )
        .unwrap();
        fs::write(&other, "[registries.\"a.b\"]\nplain-http = false\n").unwrap();
        let absent = directory.path().join("3");
        let rooms = [
            "[build]\nmax-used-space = \"1GB\"\n",
            "[build]\nreserved-space = \"1k\"\n",
        ];
        for (path, room) in [&one, &other].into_iter().zip(rooms) {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, format!("{room}{text}")).unwrap();
        }
        let configuration = Configuration::load(&[&one, &other, &absent], None).unwrap();
        let room = Room {
            reserved: Some(1024),
            ..Room::default()
        };
        assert_eq!(configuration.build_room, room);
        assert_eq!(configuration.registries["a.b"].plain_http, Some(false));
        assert_eq!(configuration.registries["c.d"].plain_http, Some(true));
        assert!(
            Configuration::load(&[directory.path()], None)
                .unwrap_err()
                .to_string()
                .starts_with("cannot read")
        );
    }
}
