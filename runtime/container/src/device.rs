//! In: device rules as text, nodes of the host. Out: what a container may do with which device, and the nodes it sees.
//! **Invariant:** a device is its numbers: a node's name decides nothing.

use std::fmt;
use std::str::FromStr;

use rustix::fs::{FileType, major, minor};

use crate::spec::{ContainerSpec, DeviceSpec};

/// Which kind of node a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Both.
    Any,
    /// `c`.
    Character,
    /// `b`.
    Block,
}

/// One permission, `c 1:3 rwm` in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// The kind of node.
    pub kind: DeviceKind,
    /// None is every one (`*`).
    pub major: Option<u32>,
    /// None is every one (`*`).
    pub minor: Option<u32>,
    /// `r`.
    pub read: bool,
    /// `w`.
    pub write: bool,
    /// `m`: mknod(2).
    pub make: bool,
}

/// Everything a container may do with devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceAccess {
    /// No rules at all (privileged).
    Everything,
    /// These and nothing else.
    Only(Vec<DeviceRule>),
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Any => return formatter.write_str("a"),
            DeviceKind::Character => 'c',
            DeviceKind::Block => 'b',
        };
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        write!(formatter, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        for (set, letter) in [(self.read, 'r'), (self.write, 'w'), (self.make, 'm')] {
            if set {
                write!(formatter, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for DeviceRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("device rule `{text}` is not like `c 1:3 rwm`, `b *:* m` or `a`");
        let mut fields = text.split_whitespace();
        let kind = match fields.next() {
            Some("a") => DeviceKind::Any,
            Some("c") => DeviceKind::Character,
            Some("b") => DeviceKind::Block,
            _ => return Err(wrong()),
        };
        let numbers = fields
            .next()
            .unwrap_or(if kind == DeviceKind::Any { "*:*" } else { "" });
        let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| {
            if text == "*" {
                Ok(None)
            } else {
                text.parse().map(Some).map_err(|_| wrong())
            }
        };
        let access = fields.next().unwrap_or("rwm");
        if fields.next().is_some()
            || access.is_empty()
            || access.chars().any(|letter| !"rwm".contains(letter))
        {
            return Err(wrong());
        }
        Ok(Self {
            kind,
            major: number(major)?,
            minor: number(minor)?,
            read: access.contains('r'),
            write: access.contains('w'),
            make: access.contains('m'),
        })
    }
}

/// What every container may use: making any node, and null, zero, full, random, urandom, tty, console, ptmx and pseudo terminals.
const DEFAULT_RULES: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// The rules of [`DEFAULT_RULES`].
pub fn default_rules() -> Vec<DeviceRule> {
    DEFAULT_RULES
        .iter()
        .filter_map(|rule| rule.parse().ok())
        .collect()
}

/// The rules a container gets: the default ones, one per device made visible, and those asked for.
///
/// # Errors
/// A sentence naming the rule or the path that is wrong.
pub fn access_of(spec: &ContainerSpec) -> Result<DeviceAccess, String> {
    if spec.privileged {
        return Ok(DeviceAccess::Everything);
    }
    let mut rules = default_rules();
    for device in &spec.devices {
        let node = HostDevice::find(device)?;
        let text = format!(
            "{} {}:{} {}",
            node.letter(),
            node.major,
            node.minor,
            device.permissions
        );
        rules.push(text.parse()?);
    }
    for text in &spec.cgroup.device_rules {
        let rule: DeviceRule = text.parse()?;
        if rule.kind == DeviceKind::Any
            && rule.major.is_none()
            && rule.minor.is_none()
            && rule.read
            && rule.write
            && rule.make
        {
            return Ok(DeviceAccess::Everything);
        }
        rules.push(rule);
    }
    Ok(DeviceAccess::Only(rules))
}

/// A device node of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostDevice {
    /// Character or block.
    pub kind: FileType,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits of the host's node.
    pub mode: u32,
    /// Owner of the host's node.
    pub uid: u32,
    /// Group of the host's node.
    pub gid: u32,
}

impl HostDevice {
    /// Looks at the host's node.
    ///
    /// # Errors
    /// A sentence, when the path does not exist or is no device.
    pub fn find(device: &DeviceSpec) -> Result<Self, String> {
        let path = &device.host_path;
        let status = rustix::fs::stat(path).map_err(|errno| format!("device {path}: {errno}"))?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
            return Err(format!("device {path}: it is no device node"));
        }
        Ok(Self {
            kind,
            major: major(status.st_rdev),
            minor: minor(status.st_rdev),
            mode: status.st_mode & 0o7777,
            uid: status.st_uid,
            gid: status.st_gid,
        })
    }

    fn letter(&self) -> char {
        if self.kind == FileType::BlockDevice {
            'b'
        } else {
            'c'
        }
    }
}

/// Every device of the host's `/dev` as a privileged container sees it, without what each container has of its own.
pub fn all_of_host() -> Vec<DeviceSpec> {
    let mut devices = Vec::new();
    collect("/dev", &mut devices);
    devices
}

/// Entries of `/dev` that containers get of their own.
const OWN_ENTRIES: [&str; 13] = [
    "pts",
    "shm",
    "fd",
    "mqueue",
    "console",
    "ptmx",
    "tty",
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    ".lxd-mounts",
];

fn collect(directory: &str, devices: &mut Vec<DeviceSpec>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if OWN_ENTRIES.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{directory}/{name}");
        let Ok(status) = rustix::fs::lstat(&path) else {
            continue;
        };
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => collect(&path, devices),
            FileType::CharacterDevice | FileType::BlockDevice => devices.push(DeviceSpec {
                host_path: path.clone(),
                container_path: path,
                permissions: "rwm".into(),
            }),
            FileType::RegularFile
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written_alike() {
        for text in ["c 1:3 rwm", "b *:* m", "c 136:* rw", "a"] {
            assert_eq!(text.parse::<DeviceRule>().unwrap().to_string(), text);
        }
        assert_eq!(
            "c 10:200".parse::<DeviceRule>().unwrap().to_string(),
            "c 10:200 rwm"
        );
        for text in [
            "",
            "d 1:3 r",
            "c 1 r",
            "c 1:3 x",
            "c 1:3 r w",
            "c -1:3 r",
            "c 1:4294967296 r",
        ] {
            assert!(text.parse::<DeviceRule>().unwrap_err().contains(text), "{text}");
        }
        assert_eq!(default_rules().len(), DEFAULT_RULES.len());
    }

    #[test]
    fn a_file_is_no_device() {
        let device = |path: &str| DeviceSpec {
            host_path: path.into(),
            container_path: path.into(),
            permissions: "r".into(),
        };
        assert!(
            HostDevice::find(&device("/etc/passwd"))
                .unwrap_err()
                .contains("no device node")
        );
        let null = HostDevice::find(&device("/dev/null")).unwrap();
        assert_eq!((null.letter(), null.major, null.minor), ('c', 1, 3));
    }
}
