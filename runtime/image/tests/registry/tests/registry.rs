//! Debian's docker-registry on a free port of the loopback interface, its data in a directory that goes with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcompose_image::Digest;
use tempfile::TempDir;

use crate::tests::sample::{MANIFEST, Sample};

const PROGRAM: &str = "/usr/bin/docker-registry";

pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    _data: TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let configuration = data.path().join("config.yml");
        let root = data.path().join("data");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            root.display()
        );
        fs::write(&configuration, text).unwrap();
        let log = fs::File::create(data.path().join("log")).unwrap();
        let mut process = Command::new(PROGRAM)
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}: install Debian's package docker-registry"));
        let start = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let log = || fs::read_to_string(data.path().join("log")).unwrap();
            if let Some(status) = process.try_wait().unwrap() {
                panic!("docker-registry ended with {status}: {}", log());
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "docker-registry does not listen: {}",
                log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Self {
            process,
            address,
            _data: data,
        }
    }

    /// Pushes an image's blobs and its manifest, the latter also under `tag`.
    pub(crate) fn push(&self, repository: &str, tag: &str, sample: &Sample) {
        for blob in sample.layers.iter().chain([&sample.config]) {
            self.push_blob(repository, blob);
        }
        self.push_manifest(repository, tag, MANIFEST, &sample.manifest);
    }

    pub(crate) fn push_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: &[u8]) {
        let url = format!("http://{}/v2/{repository}/manifests/{name}", self.address);
        let response = ureq::put(&url)
            .header("Content-Type", media_type)
            .send(bytes)
            .unwrap();
        assert_eq!(response.status(), 201, "{url}");
    }

    fn push_blob(&self, repository: &str, blob: &[u8]) {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.address);
        let response = ureq::post(&url).send_empty().unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={}", Digest::of(blob));
        let response = ureq::put(&url)
            .header("Content-Type", "application/octet-stream")
            .send(blob)
            .unwrap();
        assert_eq!(response.status(), 201, "{url}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
