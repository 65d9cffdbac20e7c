//! In: directories and files of the cgroup file systems. Out: their content read, written, made and removed.
//! **Invariant:** a missing file is only passed over where its limit was named unsupported beforehand.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::CgroupError;
use crate::spec::CgroupSpec;

/// Removes a group and those below it, deepest first.
pub(super) fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() != ErrorKind::ResourceBusy => return Err(error),
        Err(_) => {}
        Ok(()) => return Ok(()),
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// Makes a directory and its missing parent; another process may be removing the parent meanwhile.
pub(super) fn make_directory(root: &Path, path: &str) -> Result<PathBuf, CgroupError> {
    let directory = root.join(path);
    let mut attempts = 0;
    loop {
        match fs::create_dir_all(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < 100 => attempts += 1,
            Err(source) => {
                return Err(CgroupError::Make {
                    path: directory,
                    source,
                });
            }
        }
    }
}

pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::read(path, source))
}

pub(super) fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}

/// Writes a limit whose file may be missing on this host, as [`unsupported`] has told.
pub(super) fn write_if_present(path: &Path, value: &str) -> Result<(), CgroupError> {
    match write(path, value) {
        Err(CgroupError::Write { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
                && !path.exists() =>
        {
            Ok(())
        }
        other => other,
    }
}

/// The number after `name ` in a file of such lines.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `major:minor` of a block device of the host.
pub(super) fn block_device(path: &str) -> Result<String, CgroupError> {
    let status = rustix::fs::stat(path).map_err(|_| CgroupError::NoBlockDevice {
        path: path.to_owned(),
    })?;
    if rustix::fs::FileType::from_raw_mode(status.st_mode) != rustix::fs::FileType::BlockDevice {
        return Err(CgroupError::NoBlockDevice {
            path: path.to_owned(),
        });
    }
    Ok(format!(
        "{}:{}",
        rustix::fs::major(status.st_rdev),
        rustix::fs::minor(status.st_rdev)
    ))
}

/// Quota and period in microseconds that were asked for, thousandths of a processor first.
pub(super) fn quota(spec: &CgroupSpec) -> Option<(i64, u64)> {
    const PERIOD: u64 = 100_000;
    let period = spec.cpu_period.unwrap_or(PERIOD);
    match (spec.cpu_millis, spec.cpu_quota) {
        (Some(millis), _) => Some((
            i64::try_from(millis.saturating_mul(PERIOD) / 1000)
                .unwrap_or(i64::MAX)
                .max(1000),
            PERIOD,
        )),
        (None, Some(quota)) => Some((quota, period)),
        (None, None) => spec.cpu_period.map(|period| (-1, period)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_of_a_processor_become_a_quota() {
        let spec = CgroupSpec {
            cpu_millis: Some(1500),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((150_000, 100_000)));
        let spec = CgroupSpec {
            cpu_quota: Some(5_000),
            cpu_period: Some(10_000),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((5_000, 10_000)));
        // The kernel's minimum is one millisecond.
        let spec = CgroupSpec {
            cpu_millis: Some(1),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((1_000, 100_000)));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(
            field("oom 3\noom_kill 2\noom_group_kill 1\n", "oom_kill"),
            Some(2)
        );
        assert_eq!(field("usage_usec 5\n", "usage"), None);
    }
}
