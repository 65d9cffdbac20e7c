//! In: a kernel parameter's name and the container's namespaces. Out: whether setting it stays inside them.
//! **Invariant:** what would change the host is refused.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::spec::{NamespaceChoice, NamespaceSpec};

/// Parameters of a private IPC namespace, besides everything below `fs.mqueue`.
const OF_IPC: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.msg_next_id",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Checks one parameter, dotted or with slashes.
///
/// # Errors
/// A sentence naming the parameter and what is in the way.
pub fn check(name: &str, namespaces: &NamespaceSpec) -> Result<(), String> {
    // sysctl(8): when the first separator is a slash, dots belong to names (network interfaces have them).
    let slashes = name
        .find(['.', '/'])
        .is_some_and(|first| name.as_bytes()[first] == b'/');
    let parts: Vec<&str> = name.split(if slashes { '/' } else { '.' }).collect();
    if parts
        .iter()
        .any(|part| part.is_empty() || *part == ".." || part.contains('\0'))
    {
        return Err(format!("`{name}` is no kernel parameter's name"));
    }
    let dotted = parts.join(".");
    let private = |choice: &NamespaceChoice, kind: &str| match choice {
        NamespaceChoice::Host => Err(format!(
            "`{name}` would change the host: the container shares its {kind} namespace"
        )),
        NamespaceChoice::Private | NamespaceChoice::Container(_) => Ok(()),
    };
    if OF_IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        private(&namespaces.ipc, "ipc")
    } else if dotted.starts_with("net.") {
        private(&namespaces.network, "network")
    } else if dotted == "kernel.domainname" {
        private(&namespaces.uts, "uts")
    } else {
        Err(format!(
            "`{name}` belongs to no namespace of a container: it would change the host"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(choice: NamespaceChoice) -> NamespaceSpec {
        NamespaceSpec {
            network: choice.clone(),
            pid: choice.clone(),
            ipc: choice.clone(),
            uts: choice.clone(),
            cgroup: choice,
        }
    }

    #[test]
    fn only_parameters_of_private_namespaces_pass() {
        let (private, host) = (
            namespaces(NamespaceChoice::Private),
            namespaces(NamespaceChoice::Host),
        );
        for name in [
            "net.core.somaxconn",
            "net/ipv4/conf/eth0.1/forwarding",
            "kernel.shmmax",
            "fs.mqueue.msg_max",
            "kernel.domainname",
        ] {
            assert_eq!(check(name, &private), Ok(()), "{name}");
            assert!(check(name, &host).is_err(), "{name}");
        }
        for name in [
            "vm.swappiness",
            "kernel.core_pattern",
            "kernel.hostname",
            "net",
            "",
            ".",
            "net..x",
            "net/../vm/swappiness",
            "fs.file-max",
        ] {
            assert!(check(name, &private).is_err(), "{name}");
        }
    }
}
