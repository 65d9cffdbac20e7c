//! In: a web address. Out: what it serves, as a file of its own directory; asked for again only when the server says that it changed.
//! **Invariant:** no redirect leads away from https, no password goes to another host than the one it was written for,
//! and nothing is kept that has not come whole.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::{Fetched, HTTP, Sources, named_by, said as store_said};
use crate::build::material::Material;
use crate::compression::HashingReader;
use crate::configuration::{Endpoint, authority};
use crate::digest::Digest;
use crate::registry::{
    ATTEMPTS, Agents, backoff, header, may_change, may_pass, next, origin, until_next, wait,
};
use crate::store::write_json;

const MOST_REDIRECTS: usize = 10;
/// No file of a build is longer.
const LONGEST: u64 = 64 << 30;

/// The file with it, beside what the address served.
pub(super) const RECORD: &str = "record.json";

/// What is known of an address: what it served last, and how to ask whether that still holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

/// A final answer.
enum Answer {
    Unchanged,
    Content(Box<Response<Body>>, Agent),
}

impl Sources<'_> {
    /// What `url` serves, in a file called `name`, mode 0600, with the time it was modified (or none: 1970).
    pub(crate) fn web(&self, url: &str, name: &str, checksum: Option<&Digest>) -> Result<Fetched, String> {
        let kind = format!("{HTTP}/{}", named_by(&format!("{url}\0{name}")));
        let above = self.place(&kind);
        let shown = without_password(url);
        let description = format!("http {shown}");
        let fetched = |digest: &Digest| Fetched {
            directory: above.join(digest.hex()),
            file: Some(name.to_owned()),
            material: Material::content(url, digest),
        };
        if let Some(known) = checksum.map(&fetched)
            && self.has(&known.directory, &description)?
        {
            return Ok(known);
        }
        let mut record: Option<Record> = fs::read(above.join(RECORD))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(known) = &record
            && !self.has(&fetched(&known.digest).directory, &description)?
        {
            record = None;
        }
        let said = |why: String| format!("cannot fetch `{shown}`: {why}");
        let (response, agent) = match self.ask(url, record.as_ref()).map_err(said)? {
            Answer::Unchanged => {
                let record =
                    record.ok_or_else(|| said("the server says that it did not change".to_owned()))?;
                check(&shown, checksum, &record.digest)?;
                return Ok(fetched(&record.digest));
            }
            Answer::Content(response, agent) => (response, agent),
        };
        let (etag, last_modified) = (
            header(response.headers(), "etag").map(str::to_owned),
            header(response.headers(), "last-modified").map(str::to_owned),
        );
        let download = self.store.prepare_layer().map_err(|error| store_said(&error))?;
        let served = download.path().join("served");
        let digest = self.download(*response, &agent, &served).map_err(said)?;
        check(&shown, checksum, &digest)?;
        let directory = self.filled(&kind, &digest.hex(), &description, |place| {
            keep(&served, &place.join(name), last_modified.as_deref())
                .map_err(|error| said(error.to_string()))
        })?;
        let record = Record {
            digest,
            etag,
            last_modified,
        };
        write_json(&above.join(RECORD), &record, false).map_err(|error| store_said(&error))?;
        Ok(Fetched {
            directory,
            file: Some(name.to_owned()),
            material: Material::content(url, &record.digest),
        })
    }

    /// Asks until there is an answer that is no redirect and no passing trouble.
    fn ask(&self, url: &str, known: Option<&Record>) -> Result<Answer, String> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let again = match self.follow(url, known) {
                Ok((response, agent)) => match response.status().as_u16() {
                    304 => return Ok(Answer::Unchanged),
                    200 => return Ok(Answer::Content(Box::new(response), agent)),
                    status if attempt < ATTEMPTS && may_change(response.status()) => {
                        until_next(response.headers(), attempt)
                            .map_err(|error| format!("the server answered {status}: {error}"))?
                    }
                    _ => return Err(format!("the server answered {}", response.status())),
                },
                Err(Refusal::Transport(error)) if attempt < ATTEMPTS && may_pass(&error) => backoff(attempt),
                Err(Refusal::Transport(error)) => return Err(error.to_string()),
                Err(Refusal::Final(why)) => return Err(why),
            };
            wait(self.cancel, again).map_err(|error| error.to_string())?;
        }
    }

    fn follow(&self, url: &str, known: Option<&Record>) -> Result<(Response<Body>, Agent), Refusal> {
        let (mut url, password) = split_password(url);
        let first = origin(&url);
        for _ in 0..=MOST_REDIRECTS {
            let host = authority(&url).to_owned();
            let settings = self.access.configuration.registries.get(&host);
            let endpoint = Endpoint {
                base: url.clone(),
                registry: host,
                ca_file: settings.and_then(|settings| settings.ca_file.clone()),
                token_servers: Vec::new(),
            };
            let agents = Agents::new(&self.access.configuration.proxies);
            let agent = agents
                .client(&endpoint, &url)
                .map_err(|error| Refusal::Final(error.to_string()))?;
            let mut request = agent.get(&url);
            if let Some(password) = password.as_ref().filter(|_| origin(&url) == first) {
                request = request.header("Authorization", password);
            }
            if let Some(etag) = known.and_then(|known| known.etag.as_deref()) {
                request = request.header("If-None-Match", etag);
            }
            if let Some(time) = known.and_then(|known| known.last_modified.as_deref()) {
                request = request.header("If-Modified-Since", time);
            }
            let response = self.ended_by_cancel(agent, || request.call());
            let response = response.map_err(|error| {
                if self.is_cancelled() {
                    Refusal::Final("cancelled".to_owned())
                } else {
                    Refusal::Transport(error)
                }
            })?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((response, agent.clone()));
            }
            url = redirected(&url, response.headers()).map_err(Refusal::Final)?;
        }
        Err(Refusal::Final(format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// Waits for the network, but not once the build is cancelled: then every connection of the agent breaks.
    fn ended_by_cancel<T>(&self, agent: &Agent, wait: impl FnOnce() -> T) -> T {
        let (done, waits) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let agent = agent.clone();
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(Duration::from_millis(50)) {
                    if self.is_cancelled() {
                        return agent.shutdown();
                    }
                }
            });
            let result = wait();
            drop(done);
            result
        })
    }

    fn download(&self, response: Response<Body>, agent: &Agent, path: &Path) -> Result<Digest, String> {
        let announced: Option<u64> =
            header(response.headers(), "content-length").and_then(|text| text.trim().parse().ok());
        let too_long = || format!("it is longer than {} GiB", LONGEST >> 30);
        if announced.is_some_and(|length| length > LONGEST) {
            return Err(too_long());
        }
        let mut file = File::create_new(path).map_err(|error| error.to_string())?;
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut body = HashingReader::new(body, LONGEST + 1);
        let mut block = vec![0; 128 << 10];
        let mut length = 0;
        self.ended_by_cancel(agent, || {
            loop {
                match body.read(&mut block) {
                    _ if self.is_cancelled() => return Err("cancelled".to_owned()),
                    Ok(0) => return Ok(()),
                    Ok(count) => {
                        length += count as u64;
                        if length > LONGEST {
                            return Err(too_long());
                        }
                        file.write_all(&block[..count])
                            .map_err(|error| error.to_string())?;
                    }
                    Err(error) => return Err(format!("the connection broke: {error}")),
                }
            }
        })?;
        let (digest, length) = body.finish();
        match announced {
            Some(announced) if announced != length => {
                Err(format!("{length} bytes came instead of {announced}"))
            }
            _ => Ok(digest),
        }
    }
}

/// Why there is no answer.
enum Refusal {
    Transport(ureq::Error),
    Final(String),
}

fn check(shown: &str, expected: Option<&Digest>, actual: &Digest) -> Result<(), String> {
    match expected {
        Some(expected) if expected != actual => Err(format!(
            "`{shown}` has the digest {actual}, but --checksum says {expected}"
        )),
        _ => Ok(()),
    }
}

/// Where a redirect leads, without a password.
fn redirected(url: &str, headers: &HeaderMap) -> Result<String, String> {
    let location = header(headers, "location").unwrap_or_default();
    let next = next(url, location).map_err(|error| error.to_string())?;
    Ok(split_password(&next).0)
}

/// The address without `user:password@` and fragment, and these as `Authorization`.
fn split_password(url: &str) -> (String, Option<String>) {
    let url = url.split('#').next().unwrap_or_default();
    let host = authority(url);
    match host.rsplit_once('@') {
        Some((login, bare)) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(login);
            (url.replacen(host, bare, 1), Some(format!("Basic {encoded}")))
        }
        None => (url.to_owned(), None),
    }
}

/// As it may be shown.
pub(super) fn without_password(url: &str) -> String {
    split_password(url).0
}

fn keep(from: &Path, to: &Path, modified: Option<&str>) -> std::io::Result<()> {
    // Linked: where somebody was faster and lost it again, it is wanted once more.
    fs::hard_link(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))?;
    let time = modified
        .and_then(|text| {
            jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(text)
                .ok()
        })
        .map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    File::options().write(true).open(to)?.set_modified(time)
}

/// The name BuildKit gives the file: the last part of the path, decoded; `__unnamed__` without one.
pub(crate) fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    match String::from_utf8(bytes) {
        // An encoded slash makes a path: its last part is the name.
        Ok(name) => match name.rsplit('/').next() {
            Some(last) if !matches!(last, "" | "." | "..") && !last.contains('\0') => last.to_owned(),
            _ => "__unnamed__".to_owned(),
        },
        Err(_) => "__unnamed__".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_the_last_part_of_its_path() {
        for (url, name) in [
            ("https://h/a/b.tar.gz?x=/y#z", "b.tar.gz"),
            ("https://h/a/", "a"),
            ("https://h/a%20b", "a b"),
            ("https://h/a%2Fb", "b"),
            ("https://h/%2e%2e", "__unnamed__"),
            ("https://h/", "__unnamed__"),
            ("https://h", "__unnamed__"),
            ("https://h?x=y", "__unnamed__"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
    }

    #[test]
    fn passwords_are_neither_shown_nor_sent_on() {
        let (url, password) = split_password("https://me:secret@h.example/a@b#f");
        assert_eq!(url, "https://h.example/a@b");
        assert_eq!(password.as_deref(), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(without_password("http://h/x"), "http://h/x");
    }

    #[test]
    fn redirects_stay_on_the_web_and_do_not_fall_back() {
        let to = |url: &str, location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("location", location.parse().expect("header"));
            redirected(url, &headers)
        };
        assert_eq!(to("https://h/a", "/b"), Ok("https://h/b".to_owned()));
        assert_eq!(to("http://h/a", "https://u:p@g/b"), Ok("https://g/b".to_owned()));
        for location in ["http://h/b", "http://", "//", ""] {
            let answer = to("https://h/a", location);
            assert!(answer.is_err(), "{location}: {answer:?}");
        }
        // A scheme that is none of the web's is a path at best.
        assert!(to("https://h/a", "file:///etc/passwd").is_ok_and(|url| url.starts_with("https://h/")));
    }
}
