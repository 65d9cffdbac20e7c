//! Names of images: `refs/<registry>/<repository>/_tags/<tag>` and `…/_digests/<hex>`, each a small file naming the image.
//! **Invariant:** a name is replaced by one rename; a repository's parts never begin with `_`, so names never collide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ImageStore, file_names, read_json, write_json};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::reference::Reference;

const TAGS: &str = "_tags";
const DIGESTS: &str = "_digests";

/// The content of a name's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) image: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<Digest>,
}

/// What removing an image did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// The names that are gone.
    pub untagged: Vec<Reference>,
    /// The image, if it is gone too; its layers go with the next collection.
    pub deleted: Option<Digest>,
}

impl ImageStore {
    /// The local image called `reference`: two small reads.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Image>, ImageError> {
        let Some(target) = read_json::<Target>(&self.name_path(reference))? else {
            return Ok(None);
        };
        let image = self.image(&target.image)?;
        Ok(image.map(|image| Image {
            manifest: target.manifest.or(image.manifest),
            references: vec![reference.clone()],
            ..image
        }))
    }

    /// All tagged images of a repository, if `name` is one and nothing more: no tag, no digest.
    pub fn tagged(&self, name: &str) -> Result<Vec<Image>, ImageError> {
        let last = name.rsplit('/').next().unwrap_or(name);
        let Ok(reference) = name.parse::<Reference>() else {
            return Ok(Vec::new());
        };
        if last.contains([':', '@']) {
            return Ok(Vec::new());
        }
        let tags = self.name_path(&reference);
        let mut tags = file_names(tags.parent().unwrap_or(&tags))?;
        tags.sort();
        let mut images = Vec::new();
        for tag in tags {
            // An unfinished file's name is no tag.
            if let Ok(tag) = reference.with_tag(&tag) {
                images.extend(self.resolve(&tag)?);
            }
        }
        Ok(images)
    }

    /// When the name was last given to an image: by the last pull or build.
    pub fn named_at(&self, reference: &Reference) -> Result<Option<std::time::SystemTime>, ImageError> {
        let path = self.name_path(reference);
        match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
            Ok(time) => Ok(Some(time)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImageError::path("read", &path)(error)),
        }
    }

    /// Gives the image with this id another name. `manifest` is what the registry serves under the name, if it came from one.
    pub fn tag(
        &self,
        image: &Digest,
        reference: &Reference,
        manifest: Option<Digest>,
    ) -> Result<(), ImageError> {
        let path = self.name_path(reference);
        let directory = path.parent().unwrap_or(&self.root);
        let target = Target {
            image: *image,
            manifest,
        };
        if read_json::<Target>(&path).ok().flatten().as_ref() == Some(&target)
            && let Ok(file) = fs::File::open(&path)
            && file.set_modified(std::time::SystemTime::now()).is_ok()
        {
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            fs::create_dir_all(directory).map_err(ImageError::path("create", directory))?;
            match write_json(&path, &target, true) {
                // Somebody removed the last name of the repository, and its directory, at this very moment.
                Err(ImageError::Path { source, .. })
                    if source.kind() == ErrorKind::NotFound && attempts < 10 =>
                {
                    attempts += 1;
                }
                other => return other,
            }
        }
    }

    /// Removes the name `name` and, with its last name, the image; or by id all names and the image. An image that
    /// `in_use` (given its id) is not deleted: without `force` that is an error, with it only the names go.
    /// Collect afterwards to free the space.
    pub fn remove(
        &self,
        name: &str,
        force: bool,
        in_use: &dyn Fn(&Digest) -> bool,
    ) -> Result<Removal, ImageError> {
        let image = self.find(name)?.ok_or_else(|| ImageError::NoSuchImage {
            name: name.to_owned(),
        })?;
        let names = self.names()?.remove(&image.id).unwrap_or_default();
        let untagged = if let Some(asked) = image.references.first() {
            going_with(asked, &names)
        } else {
            let tags = names.iter().filter(|name| name.digest().is_none()).count();
            if tags > 1 && !force {
                let reason = format!("it has {tags} names: remove them one by one, or force it");
                return Err(ImageError::InUse {
                    name: name.to_owned(),
                    reason,
                });
            }
            names.clone()
        };
        let is_last = names.iter().all(|name| untagged.contains(name));
        let used = is_last && in_use(&image.id);
        if used && !force {
            let reason = "a container uses it: remove the container first, or force it to lose its name only"
                .to_owned();
            return Err(ImageError::InUse {
                name: name.to_owned(),
                reason,
            });
        }
        for reference in &untagged {
            self.remove_name(reference)?;
        }
        let deleted = (is_last && !used).then_some(image.id);
        if deleted.is_some() {
            let path = self.image_path(&image.id);
            fs::remove_file(&path).map_err(ImageError::path("remove", &path))?;
        }
        Ok(Removal { untagged, deleted })
    }

    fn remove_name(&self, reference: &Reference) -> Result<(), ImageError> {
        let path = self.name_path(reference);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ImageError::path("remove", &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let names = self.root.join("refs");
        for directory in path
            .ancestors()
            .skip(1)
            .take_while(|directory| *directory != names)
        {
            // Not empty: other names are below.
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Every image's names.
    pub(super) fn names(&self) -> Result<BTreeMap<Digest, Vec<Reference>>, ImageError> {
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        self.walk_names(&mut |reference, target| names.entry(target.image).or_default().push(reference))?;
        for references in names.values_mut() {
            references.sort();
        }
        Ok(names)
    }

    /// The manifests that names point at.
    pub(super) fn named_manifests(&self) -> Result<BTreeSet<Digest>, ImageError> {
        let mut manifests = BTreeSet::new();
        self.walk_names(&mut |_, target| manifests.extend(target.manifest))?;
        Ok(manifests)
    }

    fn walk_names(&self, visit: &mut dyn FnMut(Reference, Target)) -> Result<(), ImageError> {
        let root = self.root.join("refs");
        let mut pending: Vec<(PathBuf, String)> = vec![(root, String::new())];
        while let Some((directory, repository)) = pending.pop() {
            for name in file_names(&directory)? {
                let path = directory.join(&name);
                match name.as_str() {
                    TAGS => visit_names(&path, &|tag| format!("{repository}:{tag}"), visit)?,
                    DIGESTS => visit_names(&path, &|hex| format!("{repository}@sha256:{hex}"), visit)?,
                    _ if repository.is_empty() => pending.push((path, name)),
                    _ => pending.push((path, format!("{repository}/{name}"))),
                }
            }
        }
        Ok(())
    }

    fn name_path(&self, reference: &Reference) -> PathBuf {
        let repository = self
            .root
            .join("refs")
            .join(reference.registry())
            .join(reference.repository());
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => repository.join(DIGESTS).join(digest.hex()),
            (None, tag) => repository.join(TAGS).join(tag.unwrap_or("latest")),
        }
    }
}

/// The names that go when `asked` goes: a digest is a name of the pull that brought a tag, so it goes with its
/// repository's last tag.
fn going_with(asked: &Reference, names: &[Reference]) -> Vec<Reference> {
    let others = || {
        names
            .iter()
            .filter(|other| *other != asked && other.familiar_name() == asked.familiar_name())
    };
    let mut going = vec![asked.clone()];
    if others().all(|other| other.digest().is_some()) && asked.digest().is_none() {
        going.extend(others().cloned());
    }
    going
}

fn visit_names(
    directory: &Path,
    compose: &dyn Fn(&str) -> String,
    visit: &mut dyn FnMut(Reference, Target),
) -> Result<(), ImageError> {
    for name in file_names(directory)? {
        // An unfinished file's name is no tag, so it does not parse.
        if let Ok(reference) = compose(&name).parse::<Reference>()
            && let Some(target) = read_json::<Target>(&directory.join(&name))?
        {
            visit(reference, target);
        }
    }
    Ok(())
}
