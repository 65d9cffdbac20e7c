//! In: requests to make, rename and remove containers. Out: their directories, complete or not there at all.
//! **Invariant:** a container appears and disappears by one rename; everything before and after is repaired by whoever comes next.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcompose_container::spec::{ContainerSpec, MountSource, MountSpec, Workload};

use crate::atomic;
use crate::complete::{self, HostFacts, MARKS, Peer, Places};
use crate::host;
use crate::host_view;
use crate::local::{LocalRuntime, Located};
use crate::observe::Life;
use crate::record::{self, ContainerRecord};
use crate::request::{ContainerRequest, MountRequestSource, NamespaceRequest, NetworkingRequest};
use crate::root::{self, failed};
use crate::runtime::RuntimeError;

/// What the directory of a container is called while it is made, before its id.
pub(crate) const NEW: &str = ".new-";
/// What the directory of a container is called while it is removed, before its id.
pub(crate) const GONE: &str = ".gone-";

/// Stands for a container that does not exist yet; its name is bound when the one that shares with it is wired.
pub(crate) const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl LocalRuntime {
    pub(crate) fn make_container(
        &self,
        request: &ContainerRequest,
        inherit: Option<&str>,
    ) -> Result<String, RuntimeError> {
        self.host()?;
        let _lease = self.image_lease()?;
        let image = self
            .image_view(&request.image)?
            .ok_or_else(|| RuntimeError::NotFound {
                kind: "image",
                name: request.image.clone(),
            })?;
        if !image.is_host() {
            self.note_image_use(&image.id)?;
        }
        self.make_container_of(request, &image, inherit, |_| {})
    }

    /// A container of the given layers; `adjust` has the last word on its spec.
    pub(crate) fn make_container_of(
        &self,
        request: &ContainerRequest,
        image: &complete::ImageView,
        inherit: Option<&str>,
        adjust: impl FnOnce(&mut ContainerSpec),
    ) -> Result<String, RuntimeError> {
        let id = self.new_id()?;
        let containers = self.roots.project_containers(&request.project)?;
        let directory = containers.join(&id);
        let places = self.places(request, &id, &directory, inherit)?;
        let (_, resolver) = host::resolver();
        let facts = HostFacts {
            hostname: host::hostname(),
            upstreams: resolver.nameservers.iter().map(ToString::to_string).collect(),
            processors: self.host()?.processors,
            seccomp: &|capabilities| self.seccomp(capabilities),
        };
        let mut completed = complete::complete(request, &id, image, &facts, &places)?;
        adjust(&mut completed.spec);
        if image.is_host() {
            self.see_host(&mut completed.spec)?;
        }
        let joined = places
            .peers
            .iter()
            .map(|(name, peer)| (name.clone(), peer.id.clone()))
            .collect();
        let record = ContainerRecord {
            id: id.clone(),
            name: request.name.clone(),
            image_id: image.id.clone(),
            command: completed.spec.process.arguments.clone(),
            created_at: jiff::Timestamp::now().to_string(),
            exposed: completed.exposed,
            mounts: completed.mounts,
            anonymous_volumes: completed.anonymous_volumes,
            hostname: completed.spec.hostname.clone(),
            joined,
            request: request.clone(),
        };

        root::directory(&containers, 0o700)?;
        let unfinished = containers.join(format!("{NEW}{id}"));
        root::directory(&unfinished, 0o700)?;
        let made = self.claim_name(&request.name, &id).and_then(|()| {
            self.fill_directory(&unfinished, &directory, &record, image, completed.spec)
                .inspect_err(|_| self.give_name_back(&request.name, &id))
        });
        if let Err(error) = made {
            root::remove_directory(&unfinished)?;
            return Err(error);
        }
        self.remember(&id, &directory);
        Ok(id)
    }

    /// The parts of the host's root that are file systems of their own, below whatever was asked for, and masks of what is hidden there.
    fn see_host(&self, spec: &mut ContainerSpec) -> Result<(), RuntimeError> {
        let mut submounts = host_view::submounts()?;
        submounts.retain(|own| !spec.mounts.iter().any(|mount| mount.target == own.target));
        let hidden = host_view::parts_of_this_host(&self.roots);
        spec.masked_paths.extend(host_view::masks(&hidden, &submounts)?);
        spec.mounts.splice(0..0, submounts);
        Ok(())
    }

    /// Everything in the directory, then the directory itself under its final name.
    fn fill_directory(
        &self,
        unfinished: &Path,
        directory: &Path,
        record: &ContainerRecord,
        image: &complete::ImageView,
        spec: ContainerSpec,
    ) -> Result<(), RuntimeError> {
        let upper = unfinished.join("upper");
        root::directory(&unfinished.join("work"), 0o700)?;
        fs::create_dir(&upper).map_err(failed("make directory", &upper))?;
        // The upper directory lends its mode to the container's `/`.
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755)).map_err(failed("open up", &upper))?;
        let marks = unfinished.join(MARKS);
        let over_host = if image.is_host() {
            Some(&upper)
        } else if mentions(&spec, &text(&directory.join(MARKS))?) {
            host_view::can_be_base()?;
            root::directory(&marks, 0o755)?;
            Some(&marks)
        } else {
            None
        };
        if let Some(marks) = over_host {
            host_view::mark(marks, &host_view::parts_of_this_host(&self.roots))?;
        }
        for volume in &record.anonymous_volumes {
            self.make_anonymous_volume(volume, &record.request.project)?;
        }
        write_spec(unfinished, &Workload::Container(Box::new(spec)))?;
        record.write(unfinished)?;
        fs::rename(unfinished, directory).map_err(failed("finish", directory))
    }

    pub(crate) fn new_id(&self) -> Result<String, RuntimeError> {
        loop {
            let mut bytes = [0_u8; 32];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
                .map_err(failed("read", "random bytes"))?;
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            let id: String = bytes
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
                .collect();
            // Run directories and control groups have the beginning of the id only.
            if !self.roots.run_container(&id).exists() {
                return Ok(id);
            }
        }
    }

    /// Where the container's things are, and what the names in its request stand for.
    fn places(
        &self,
        request: &ContainerRequest,
        id: &str,
        directory: &Path,
        inherit: Option<&str>,
    ) -> Result<Places, RuntimeError> {
        let mut places = Places {
            container: text(directory)?,
            run: text(&self.roots.run_container(id))?,
            cgroup: self.roots.container_cgroup(id),
            volume_root: text(&self.roots.volumes())?,
            ..Places::default()
        };
        for mount in &request.mounts {
            match &mount.source {
                MountRequestSource::Volume { name, .. } => {
                    let volume = self.observe_volume(name)?.ok_or_else(|| RuntimeError::NotFound {
                        kind: "volume",
                        name: name.clone(),
                    })?;
                    places.volumes.insert(name.clone(), volume.mountpoint);
                }
                MountRequestSource::Image { image, .. } => {
                    let view = self.image_view(image)?.ok_or_else(|| RuntimeError::NotFound {
                        kind: "image",
                        name: image.clone(),
                    })?;
                    places.images.insert(image.clone(), view.lower(&places.marks()));
                }
                MountRequestSource::Bind { .. }
                | MountRequestSource::Anonymous { .. }
                | MountRequestSource::Tmpfs { .. } => {}
            }
        }
        for name in shared_with(request) {
            let record = record::find_by_name(&self.roots, name)?;
            let (id, hostname) = record.map_or_else(
                || (NOBODY.to_owned(), String::new()),
                |record| (record.id, record.hostname),
            );
            let run = text(&self.roots.run_container(&id))?;
            places.peers.insert(name.to_owned(), Peer { id, hostname, run });
        }
        if let Some(old) = inherit.map(|id| self.find(id)).transpose()?.flatten() {
            places.inherited = anonymous_by_target(&old.record);
        }
        Ok(places)
    }

    /// Makes the name stand for the id. A name left by a container that is gone is taken over.
    fn claim_name(&self, name: &str, id: &str) -> Result<(), RuntimeError> {
        let path = self.roots.container_name(name)?;
        loop {
            let new = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match new.and_then(|mut file| file.write_all(id.as_bytes())) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("write", &path)(error)),
            }
            let holder = atomic::read(&path)?.unwrap_or_default();
            let holder = String::from_utf8_lossy(holder.trim_ascii()).into_owned();
            if let Some(user) = self.holder_of_name(name, &holder)? {
                return Err(RuntimeError::InUse {
                    kind: "container name",
                    name: name.to_owned(),
                    user,
                });
            }
            root::remove_file(&path)?;
        }
    }

    /// Who has the name; none when the id stands for no container, or for one that is called something else.
    pub(crate) fn holder_of_name(&self, name: &str, id: &str) -> Result<Option<String>, RuntimeError> {
        if let Some(located) = self.find(id)? {
            let record = located.record;
            let described = || {
                format!(
                    "service {} of project {}",
                    record.request.service, record.request.project
                )
            };
            return Ok((record.name == name).then(described));
        }
        for project in root::entries(&self.roots.projects())? {
            if self
                .roots
                .project_containers(&project)?
                .join(format!("{NEW}{id}"))
                .is_dir()
            {
                return Ok(Some(format!(
                    "a container of project {project} that is being made"
                )));
            }
        }
        Ok(None)
    }

    fn give_name_back(&self, name: &str, id: &str) {
        // Left behind, it is taken over by the next one who wants it.
        let _left = self
            .roots
            .container_name(name)
            .and_then(|path| match atomic::read(&path)? {
                Some(holder) if holder.trim_ascii() == id.as_bytes() => root::remove_file(&path),
                Some(_) | None => Ok(()),
            });
    }

    pub(crate) fn delete_container(&self, id: &str, volumes: bool) -> Result<(), RuntimeError> {
        let Some(Located { directory, record }) = self.find(id)? else {
            return Ok(());
        };
        match self.life(&self.roots.run_container(id))? {
            Life::Kept(_) | Life::Orphaned(_) => {
                return Err(RuntimeError::Invalid(format!(
                    "container {} runs: stop it first",
                    record.name
                )));
            }
            Life::Unsettled(_) | Life::Down(_) => {}
        }
        self.unwire_containers(&[id.to_owned()])?;
        let gone = directory.with_file_name(format!("{GONE}{id}"));
        match fs::rename(&directory, &gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &directory)(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.give_name_back(&record.name, id);
        if volumes {
            for name in &record.anonymous_volumes {
                self.delete_anonymous_volume(name, &record.request.project)?;
            }
        }
        root::remove_directory(&gone)
    }

    pub(crate) fn change_name(&self, id: &str, name: &str) -> Result<(), RuntimeError> {
        let Located {
            directory,
            mut record,
        } = self.locate(id)?;
        if record.name == name {
            return Ok(());
        }
        self.claim_name(name, id)?;
        let old = std::mem::replace(&mut record.name, name.to_owned());
        record.write(&directory)?;
        self.give_name_back(&old, id);
        Ok(())
    }
}

/// Whether a tree of the container's has the directory among its layers.
fn mentions(spec: &ContainerSpec, layer: &str) -> bool {
    let has = |lower: &[String]| lower.iter().any(|path| path == layer);
    let mounts = |mount: &MountSpec| matches!(&mount.source, MountSource::Layers { lower, .. } if has(lower));
    has(&spec.rootfs.lower) || spec.mounts.iter().any(mounts)
}

/// Writes `spec.cbor` into a directory.
pub(crate) fn write_spec(directory: &Path, workload: &Workload) -> Result<(), RuntimeError> {
    let path = directory.join("spec.cbor");
    let bytes =
        minicbor::to_vec(workload).map_err(|error| failed("encode", &path)(io::Error::other(error)))?;
    atomic::write(&path, &bytes, 0o600)
}

/// Reads `spec.cbor` of a container's directory.
pub(crate) fn read_spec(directory: &Path) -> Result<ContainerSpec, RuntimeError> {
    let path = directory.join("spec.cbor");
    let bytes = fs::read(&path).map_err(failed("read", &path))?;
    match minicbor::decode(&bytes) {
        Ok(Workload::Container(spec)) => Ok(*spec),
        Ok(Workload::Process(_)) => Err(failed("read", &path)(io::Error::other("it is not a container's"))),
        Err(error) => Err(failed("decode", &path)(io::Error::other(error))),
    }
}

/// The names of the containers whose namespaces a request shares.
pub(crate) fn shared_with(request: &ContainerRequest) -> Vec<&str> {
    let mut names = Vec::new();
    if let NetworkingRequest::Container(name) = &request.network {
        names.push(name.as_str());
    }
    for namespace in [&request.pid, &request.ipc] {
        if let NamespaceRequest::Container(name) = namespace {
            names.push(name.as_str());
        }
    }
    names
}

fn anonymous_by_target(record: &ContainerRecord) -> BTreeMap<String, String> {
    let own = |name: &String| record.anonymous_volumes.contains(name);
    record
        .mounts
        .iter()
        .filter(|mount| mount.kind == "volume" && own(&mount.source))
        .map(|mount| (mount.target.clone(), mount.source.clone()))
        .collect()
}

/// A path as text; records hold text only.
pub(crate) fn text(path: &Path) -> Result<String, RuntimeError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| RuntimeError::Invalid(format!("{} is not UTF-8", path.display())))
}

/// The path of the log file of a container directory.
pub(crate) fn log_path(directory: &Path) -> PathBuf {
    directory.join("container.log")
}
