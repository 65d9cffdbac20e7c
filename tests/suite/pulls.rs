//! `pull` across crashes, processes and dead lines: through a slow wire to a real registry that writes down what was asked.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::host::{Host, eventually};
use crate::registry::Registry;

/// A line to a server that lets pieces of 32 KiB through at a time.
struct Wire {
    address: String,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    fn to(server: &str, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (asked, server) = (Arc::new(Mutex::new(Vec::new())), server.to_owned());
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let upstream = TcpStream::connect(&server).expect("the server");
                let log = Arc::clone(&log);
                let (from, to) = (
                    client.try_clone().expect("a stream"),
                    upstream.try_clone().expect("a stream"),
                );
                thread::spawn(move || {
                    carry(from, to, |piece| {
                        log.lock().expect("the log").extend_from_slice(piece);
                    });
                });
                thread::spawn(move || carry(upstream, client, |_| thread::sleep(pause)));
            }
        });
        Self { address, asked }
    }

    /// The heads of requests for blobs of at least this many, each in one text.
    fn asked_for(&self, digest: &str) -> Vec<String> {
        let log = self.asked.lock().expect("the log");
        let text = String::from_utf8_lossy(&log).into_owned();
        let heads = text.split("\r\n\r\n").map(str::to_owned);
        heads
            .filter(|head| head.contains(&format!("/blobs/{digest} ")))
            .collect()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = vec![0; 32 << 10];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        before(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // Ended already, perhaps.
        stream.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// A tar of one file that no compressor makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "noise", content.as_slice())
        .expect("entry");
    archive.into_inner().expect("tar")
}

/// The digest of the only layer of what a registry has under a name.
fn layer_of(registry: &Registry, name: &str) -> String {
    let url = format!("http://{}/v2/{name}/manifests/1", registry.address());
    let mut answer = ureq::get(url)
        .header("accept", crate::registry::MANIFEST)
        .call()
        .expect("a manifest");
    let text = answer.body_mut().read_to_string().expect("text");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["layers"][0]["digest"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

fn part(host: &Host, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    host.data_root().join(format!("images/ingest/{hex}.part"))
}

fn start(host: &Host, name: &str) -> Child {
    host.command(["image", "pull", "-q", name])
        .spawn()
        .expect("rcompose starts")
}

#[test]
fn privileged_a_killed_pull_goes_on_where_it_was() {
    let registry = Registry::start();
    registry.push("noise", "1", &noise(4 << 20));
    let digest = layer_of(&registry, "noise");
    let wire = Wire::to(&registry.address(), Duration::from_millis(30));
    let name = format!("{}/noise:1", wire.address);
    let host = Host::empty();
    let mut pulling = start(&host, &name);
    let part = part(&host, &digest);
    let received = || fs::metadata(&part).map_or(0, |metadata| metadata.len());
    eventually("half a megabyte arrives", Duration::from_secs(30), || {
        received() > 500_000
    });
    pulling.kill().expect("SIGKILL");
    pulling.wait().expect("an end");
    let kept = received();
    assert!(kept > 500_000 && kept < 4 << 20, "{kept}");
    let listed = host.rcompose(["image", "ls", "-q"]).success();
    assert_eq!(listed.stdout, "", "nothing half-pulled has a name");
    for directory in ["layers", "refs", "images"] {
        let left = fs::read_dir(host.data_root().join("images").join(directory)).expect("a directory");
        assert_eq!(left.count(), 0, "{directory}");
    }

    host.rcompose(["image", "pull", "-q", &name]).success();
    let asked = wire.asked_for(&digest);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[1].to_lowercase().contains(&format!("range: bytes={kept}-")),
        "{kept}: {}",
        asked[1]
    );
    let layers = fs::read_dir(host.data_root().join("images/layers")).expect("layers");
    let whole = layers
        .filter_map(|entry| fs::metadata(entry.expect("an entry").path().join("noise")).ok())
        .any(|metadata| metadata.len() == 4 << 20);
    assert!(whole, "the layer is whole");
}

#[test]
fn privileged_two_processes_fetch_a_layer_once_and_a_digest_needs_no_registry() {
    let registry = Registry::start();
    registry.push("noise", "1", &noise(2 << 20));
    let digest = layer_of(&registry, "noise");
    let wire = Wire::to(&registry.address(), Duration::from_millis(15));
    let name = format!("{}/noise:1", wire.address);
    let host = Host::empty();
    let mut both = [start(&host, &name), start(&host, &name)];
    for child in &mut both {
        assert!(child.wait().expect("an end").success());
    }
    assert_eq!(wire.asked_for(&digest).len(), 1);

    drop(registry);
    let digests = host
        .rcompose(["image", "inspect", "-f", "{{.RepoDigests}}", &name])
        .success();
    let pinned = digests.stdout.trim().trim_matches(['[', ']', '"']).to_owned();
    assert!(pinned.contains("@sha256:"), "{pinned}");
    let offline = host.rcompose(["image", "pull", "-q", &pinned]).success();
    assert!(offline.stdout.contains(&pinned), "{}", offline.stdout);
    let error = host.rcompose(["image", "pull", "-q", &name]).fails_with(1);
    assert!(
        error.stderr.contains(&format!(
            "cannot pull {name} from http://{}/v2/noise/",
            wire.address
        )),
        "{}",
        error.stderr
    );
}
