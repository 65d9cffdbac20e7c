//! In: the platform of a stage. Out: whether this machine can run its programs: it is its own, or an emulator is registered.
//! The kernel's list is `/proc/sys/fs/binfmt_misc` (Documentation/admin-guide/binfmt-misc.rst).

use crate::platform::Platform;

const REGISTERED: &str = "/proc/sys/fs/binfmt_misc";

/// An error says what to do.
pub(super) fn check(platform: &Platform) -> Result<(), String> {
    let host = Platform::host();
    let (wanted, own) = (platform.architecture.as_str(), host.architecture.as_str());
    let native =
        wanted.is_empty() || wanted == own || matches!((own, wanted), ("amd64", "386") | ("arm64", "arm"));
    if native || is_emulated(wanted) {
        return Ok(());
    }
    Err(format!(
        "this stage is for {platform}, and this machine ({host}) cannot run it: register an emulator (Debian's qemu-user-binfmt), or begin the stage with `FROM --platform=$BUILDPLATFORM` and compile for the other machine"
    ))
}

fn is_emulated(architecture: &str) -> bool {
    let name = match architecture {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        "386" => "i386",
        other => other,
    };
    let interpreter = format!("qemu-{name}");
    let entries = std::fs::read_dir(REGISTERED)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .any(|text| text.starts_with("enabled") && text.contains(&interpreter))
}
