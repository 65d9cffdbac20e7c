//! A real registry on loopback: Debian's docker-registry with its storage in a temporary directory.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::host::eventually;

/// Runs until dropped.
pub(crate) struct Registry {
    process: Child,
    port: u16,
    _storage: TempDir,
}

impl Registry {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// The same, for the user `me` with the password `secret` only.
    pub(crate) fn guarded() -> Self {
        // What bcrypt makes of `secret`.
        const ME: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
        static USERS: std::sync::OnceLock<TempDir> = std::sync::OnceLock::new();
        let users = USERS.get_or_init(|| tempfile::tempdir().expect("temporary directory"));
        let path = users.path().join("users");
        std::fs::write(&path, ME).expect("users");
        Self::start_with(&format!(
            "auth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
            path.display()
        ))
    }

    fn start_with(further: &str) -> Self {
        let storage = tempfile::tempdir().expect("temporary directory");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let configuration = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n{further}",
            storage.path().join("data").display()
        );
        std::fs::write(&configuration, text).expect("configuration");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (scripts/install-test-packages.sh all)");
        eventually("the registry listens", Duration::from_secs(10), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            process,
            port,
            _storage: storage,
        }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts a one-layer image made of a tar file of a root file system into it; returns its reference.
    pub(crate) fn push(&self, name: &str, tag: &str, root: &[u8]) -> String {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, root).expect("gzip");
        let layer = encoder.finish().expect("gzip");
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
            "config": {"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(root)]},
            "history": [{"created_by": "test"}]
        })
        .to_string()
        .into_bytes();
        self.push_blob(name, &layer);
        self.push_blob(name, &config);
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": config.len(), "digest": digest(&config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": layer.len(), "digest": digest(&layer)}]
        });
        self.push_manifest(name, tag, &manifest);
        format!("{}/{name}:{tag}", self.address())
    }

    /// Puts bytes into a repository; returns their digest.
    pub(crate) fn push_blob(&self, name: &str, blob: &[u8]) -> String {
        let answer = ureq::post(format!("http://{}/v2/{name}/blobs/uploads/", self.address()))
            .send_empty()
            .expect("upload begins");
        let place = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .expect("location")
            .to_owned();
        let place = if place.starts_with('/') {
            format!("http://{}{place}", self.address())
        } else {
            place
        };
        let separator = if place.contains('?') { '&' } else { '?' };
        ureq::put(format!("{place}{separator}digest={}", digest(blob)))
            .header("content-type", "application/octet-stream")
            .send(blob)
            .expect("upload ends");
        digest(blob)
    }

    /// Names a manifest or index by its own `mediaType`; returns its digest.
    pub(crate) fn push_manifest(&self, name: &str, tag: &str, manifest: &serde_json::Value) -> String {
        let kind = manifest["mediaType"].as_str().expect("a media type");
        let text = manifest.to_string();
        ureq::put(format!("http://{}/v2/{name}/manifests/{tag}", self.address()))
            .header("content-type", kind)
            .send(&text)
            .expect("manifest accepted");
        digest(text.as_bytes())
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Its sha256, as OCI writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex(&sha2::Sha256::digest(bytes)))
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
