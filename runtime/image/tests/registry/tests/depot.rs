//! A registry in memory that takes pushes, for tests that twist some of its answers (OCI distribution-spec, "Push").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rcompose_image::Digest;

use crate::tests::server::{Answer, Request, Server};

#[derive(Default)]
struct Shelves {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
}

/// What was pushed to a server.
#[derive(Clone, Default)]
pub(crate) struct Depot(Arc<Mutex<Shelves>>);

impl Depot {
    /// A server in front of it, whose answers `twist` may replace.
    pub(crate) fn serve(
        &self,
        twist: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Server {
        self.serve_cutting(twist, |_, _| None)
    }

    pub(crate) fn serve_cutting(
        &self,
        twist: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
        intake: impl Fn(&Request, usize) -> Option<u64> + Send + Sync + 'static,
    ) -> Server {
        let depot = self.clone();
        Server::start_cutting(
            move |request, before| twist(request, before).unwrap_or_else(|| depot.answer(request)),
            intake,
        )
    }

    pub(crate) fn blobs(&self, repository: &str) -> Vec<String> {
        let shelves = self.0.lock().unwrap();
        let of_repository = shelves.blobs.keys().filter(|(of, _)| of == repository);
        of_repository.map(|(_, digest)| digest.clone()).collect()
    }

    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        let key = (repository.to_owned(), name.to_owned());
        self.0.lock().unwrap().manifests.get(&key).cloned()
    }

    /// What a good registry answers.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let path = request.path.split('?').next().unwrap();
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Answer::status(404);
        };
        if let Some((repository, name)) = rest.split_once("/manifests/") {
            return self.manifests(request, repository, name);
        }
        if let Some((repository, id)) = rest.split_once("/blobs/uploads/") {
            return self.uploads(request, repository, id);
        }
        let Some((repository, digest)) = rest.split_once("/blobs/") else {
            return Answer::ok(b"{}");
        };
        let key = (repository.to_owned(), digest.to_owned());
        match self.0.lock().unwrap().blobs.get(&key) {
            Some(blob) => Answer::ranged(request, blob),
            None => Answer::status(404),
        }
    }

    fn manifests(&self, request: &Request, repository: &str, name: &str) -> Answer {
        let mut shelves = self.0.lock().unwrap();
        let key = |name: &str| (repository.to_owned(), name.to_owned());
        if request.method == "PUT" {
            let document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let layers = document["layers"].as_array().unwrap().iter();
            for blob in layers.chain([&document["config"]]) {
                if !shelves.blobs.contains_key(&key(blob["digest"].as_str().unwrap())) {
                    return Answer {
                        body: br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#
                            .to_vec(),
                        ..Answer::status(404)
                    };
                }
            }
            let manifest = (
                request.header("content-type").unwrap().to_owned(),
                request.body.clone(),
            );
            let digest = Digest::of(&request.body).to_string();
            shelves.manifests.insert(key(name), manifest.clone());
            shelves.manifests.insert(key(&digest), manifest);
            return Answer::status(201).with("Docker-Content-Digest", &digest);
        }
        match shelves.manifests.get(&key(name)) {
            Some((media_type, bytes)) => Answer::ok(bytes)
                .with("Content-Type", media_type)
                .with("Docker-Content-Digest", &Digest::of(bytes).to_string()),
            None => Answer::status(404),
        }
    }

    fn uploads(&self, request: &Request, repository: &str, id: &str) -> Answer {
        let mut shelves = self.0.lock().unwrap();
        let key = |repository: &str, digest: &str| (repository.to_owned(), digest.to_owned());
        if request.method == "POST" {
            if let (Some(digest), Some(from)) = (request.parameter("mount"), request.parameter("from"))
                && let Some(blob) = shelves.blobs.get(&key(from, digest)).cloned()
            {
                shelves.blobs.insert(key(repository, digest), blob);
                return Answer::status(201);
            }
            let id = format!("upload{}", shelves.uploads.len());
            shelves.uploads.insert(id.clone(), Vec::new());
            return Answer::status(202).with("Location", &format!("/v2/{repository}/blobs/uploads/{id}"));
        }
        let Some(upload) = shelves.uploads.get_mut(id) else {
            return Answer::status(404);
        };
        let range = request
            .header("content-range")
            .and_then(|range| range.split_once('-'));
        if range.is_some_and(|(start, _)| start.parse() != Ok(upload.len())) {
            return Answer::status(416);
        }
        upload.extend_from_slice(&request.body);
        let taken = format!("0-{}", upload.len().saturating_sub(1));
        let location = format!("/v2/{repository}/blobs/uploads/{id}");
        match request.method.as_str() {
            "GET" => Answer::status(204)
                .with("Range", &taken)
                .with("Location", &location),
            "PATCH" => Answer::status(202)
                .with("Range", &taken)
                .with("Location", &location),
            _ if request.is_cut => Answer::status(499),
            _ => {
                let blob = std::mem::take(upload);
                let digest = Digest::of(&blob).to_string();
                if request.parameter("digest") != Some(&digest) {
                    return Answer {
                        body: br#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}"#.to_vec(),
                        ..Answer::status(400)
                    };
                }
                shelves.blobs.insert(key(repository, &digest), blob);
                Answer::status(201).with("Docker-Content-Digest", &digest)
            }
        }
    }
}
