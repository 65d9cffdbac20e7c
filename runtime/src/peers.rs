//! In: a container about to be wired that shares namespaces of others. Out: its spec and record, bound to whoever has those names now.
//! **Invariant:** a name in a request means the container that has it at the next start, not the one that had it at creation.

use rcompose_container::spec::{ContainerSpec, MountSource, NamespaceChoice, Workload};

use crate::container::{NOBODY, read_spec, shared_with, text, write_spec};
use crate::local::{LocalRuntime, Located};
use crate::record::{self, ContainerRecord};
use crate::request::{NamespaceRequest, NetworkingRequest};
use crate::runtime::RuntimeError;

impl LocalRuntime {
    /// Binds the names anew where they stand for other containers than before.
    pub(crate) fn rejoin(&self, located: &mut Located) -> Result<(), RuntimeError> {
        let mut changed = Vec::new();
        for name in shared_with(&located.record.request) {
            let peer = record::find_by_name(&self.roots, name)?.ok_or_else(|| RuntimeError::NotFound {
                kind: "container",
                name: name.to_owned(),
            })?;
            let old = located.record.joined.get(name).map_or(NOBODY, String::as_str);
            if old != peer.id {
                changed.push((name.to_owned(), old.to_owned(), peer));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let mut spec = read_spec(&located.directory)?;
        for (name, old, peer) in changed {
            self.rebind(&mut spec, &mut located.record, &name, &old, &peer)?;
            located.record.joined.insert(name, peer.id);
        }
        write_spec(&located.directory, &Workload::Container(Box::new(spec)))?;
        // Last: while it still names the old ones, all of this is done again.
        located.record.write(&located.directory)
    }

    /// Namespaces that the request shares with `name`; with its network come its files of `/etc` and its host name.
    fn rebind(
        &self,
        spec: &mut ContainerSpec,
        record: &mut ContainerRecord,
        name: &str,
        old: &str,
        peer: &ContainerRecord,
    ) -> Result<(), RuntimeError> {
        let shares =
            |namespace: &NamespaceRequest| matches!(namespace, NamespaceRequest::Container(n) if n == name);
        if shares(&record.request.pid) {
            spec.namespaces.pid = NamespaceChoice::Container(peer.id.clone());
        }
        if shares(&record.request.ipc) {
            spec.namespaces.ipc = NamespaceChoice::Container(peer.id.clone());
        }
        if !matches!(&record.request.network, NetworkingRequest::Container(n) if n == name) {
            return Ok(());
        }
        spec.namespaces.network = NamespaceChoice::Container(peer.id.clone());
        let from = text(&self.roots.run_container(old))?;
        let to = text(&self.roots.run_container(&peer.id))?;
        for mount in &mut spec.mounts {
            if let MountSource::Bind { path, .. } = &mut mount.source
                && let Some(file) = path.strip_prefix(&from).and_then(|rest| rest.strip_prefix('/'))
            {
                *path = format!("{to}/{file}");
            }
        }
        if record.request.hostname.is_none() {
            spec.hostname.clone_from(&peer.hostname);
            record.hostname.clone_from(&peer.hostname);
        }
        Ok(())
    }
}
