//! The way to a registry: TLS with a certificate authority of one's own, and proxies.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcompose_image::{Proxies, RegistryConfiguration};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tests::depot::Depot;
use crate::tests::push::Ground;
use crate::tests::real::chain;
use crate::tests::sample::{Packing, Sample};
use crate::tests::server::{Answer, Server};

/// A name nobody can look up: who reaches it does so through a proxy.
const NAME: &str = "registry.invalid";

/// Copies between two streams in one thread until one ends.
fn relay<A: Read + Write, B: Read + Write>(mut one: A, mut other: B) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match (
            carry(&mut one, &mut other, &mut buffer),
            carry(&mut other, &mut one, &mut buffer),
        ) {
            (None, _) | (_, None) => return,
            (Some(0), Some(0)) => thread::sleep(Duration::from_millis(1)),
            (Some(_), Some(_)) => {}
        }
    }
}

/// What was there to be read, if anything; none at the end. Neither stream blocks.
fn carry(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> Option<usize> {
    let count = match from.read(buffer) {
        Ok(0) => return None,
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(0),
        Err(_) => return None,
    };
    let mut written = 0;
    while written < count {
        match to.write(&buffer[written..count]) {
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(_) => return None,
        }
    }
    while to
        .flush()
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    {
        thread::sleep(Duration::from_millis(1));
    }
    Some(count)
}

fn quiet(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(true).unwrap();
    stream
}

fn openssl(directory: &Path, line: &str) {
    let output = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes `ca.pem`, and `server.pem` with `server.key` for [`NAME`] and loopback.
fn certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        directory,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=tests -days 2"),
    );
    openssl(
        directory,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
    );
    fs::write(
        directory.join("names"),
        format!("subjectAltName=DNS:{NAME},IP:127.0.0.1\n"),
    )
    .unwrap();
    openssl(
        directory,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
}

/// TLS in front of a plain server; its address.
fn tls(directory: &Path, plain: &str) -> String {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(directory.join("server.pem"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, plain) = (Arc::new(config), plain.to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let secure = StreamOwned::new(connection, quiet(stream.unwrap()));
            let plain = quiet(TcpStream::connect(&plain).unwrap());
            thread::spawn(move || relay(secure, plain));
        }
    });
    address
}

/// A proxy that leads every tunnel to `target`, and the heads of what it was asked.
fn proxy(target: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, target) = (Arc::new(Mutex::new(Vec::new())), target.to_owned());
    let asked = Arc::clone(&heads);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
            asked.lock().unwrap().push(head);
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .unwrap();
            let target = quiet(TcpStream::connect(&target).unwrap());
            thread::spawn(move || relay(quiet(stream), target));
        }
    });
    (address, heads)
}

fn sample() -> Sample {
    Sample::new(&[(Packing::Gzip, &[("a", "1")])])
}

fn settings(ground: &mut Ground, registry: &str, settings: RegistryConfiguration) {
    ground
        .configuration
        .registries
        .insert(registry.to_owned(), settings);
}

fn pull_error(ground: &Ground, name: &str) -> String {
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let reference = name.parse().unwrap();
    let pulled = rcompose_image::pull(
        &ground.store,
        &ground.configuration,
        &reference,
        None,
        &|_| (),
        &cancel,
    );
    assert_eq!(ground.store.list().unwrap(), []);
    chain(&pulled.unwrap_err())
}

#[test]
fn a_certificate_authority_of_ones_own_is_trusted_when_named() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let depot = Depot::default();
    let plain = depot.serve(|_, _| None);
    let address = tls(directory.path(), &plain.address);
    let name = format!("{address}/app:1");
    let secure = |ca: Option<&str>| RegistryConfiguration {
        plain_http: Some(false),
        ca_file: ca.map(|file| directory.path().join(file)),
        ..RegistryConfiguration::default()
    };
    let mut ground = Ground::new();
    settings(&mut ground, &address, secure(Some("ca.pem")));
    let built = ground.build(&name, &["one"]);
    ground.push(&name).unwrap();
    let mut other = Ground::new();
    settings(&mut other, &address, secure(Some("ca.pem")));
    assert_eq!(other.pull(&name).id, built.id);

    let before = plain.requests().len();
    let mut stranger = Ground::new();
    settings(&mut stranger, &address, secure(None));
    let error = pull_error(&stranger, &name);
    assert!(
        error.starts_with(&format!(
            "cannot pull {name} from https://{address}/v2/app/manifests/1: cannot reach the registry: "
        )) && error.to_lowercase().contains("certificate"),
        "{error}"
    );
    assert_eq!(plain.requests().len(), before, "nothing was asked without trust");
    settings(&mut stranger, &address, secure(Some("server.key")));
    let error = pull_error(&stranger, &name);
    assert!(error.contains("no certificate in it"), "{error}");
    settings(&mut stranger, &address, secure(Some("absent.pem")));
    let error = pull_error(&stranger, &name);
    assert!(error.contains("cannot use the certificates in"), "{error}");
}

#[test]
fn what_came_over_tls_leads_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let trap = Server::start(|_, _| Answer::ok(br#"{"token":"t"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\"", trap.address);
    let location = format!("http://{}/layer", trap.address);
    let plain = Server::serving(sample(), move |request, _| {
        if request.path.contains("/secret/") {
            return Some(Answer::status(401).with("WWW-Authenticate", &realm));
        }
        (request.path.contains("/blobs/")).then(|| Answer::status(307).with("Location", &location))
    });
    let address = tls(directory.path(), &plain.address);
    let mut ground = Ground::new();
    let secure = RegistryConfiguration {
        plain_http: Some(false),
        ca_file: Some(directory.path().join("ca.pem")),
        ..RegistryConfiguration::default()
    };
    settings(&mut ground, &address, secure);
    let error = pull_error(&ground, &format!("{address}/app:1"));
    assert!(error.contains("refused redirect to \"http://"), "{error}");
    let error = pull_error(&ground, &format!("{address}/secret/app:1"));
    assert!(error.contains("which is not https"), "{error}");
    assert_eq!(trap.requests().len(), 0);
}

#[test]
fn proxies_of_the_environment_lead_to_registries() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let plain = Server::serving(sample(), |_, _| None);
    let secure = tls(directory.path(), &plain.address);
    for (scheme, target) in [("http", &plain.address), ("https", &secure)] {
        let (address, heads) = proxy(target);
        let mut ground = Ground::new();
        let registry = format!("{NAME}:5000");
        let reach = RegistryConfiguration {
            plain_http: Some(scheme == "http"),
            ca_file: Some(directory.path().join("ca.pem")),
            ..RegistryConfiguration::default()
        };
        settings(&mut ground, &registry, reach);
        let url = format!("http://me:secret@{address}");
        ground.configuration.proxies = Proxies {
            http: Some(url.clone()).filter(|_| scheme == "http"),
            https: Some(url).filter(|_| scheme == "https"),
            none: Vec::new(),
        };
        let image = ground.pull(&format!("{registry}/app:1"));
        assert_eq!(image.id, sample().id());
        let heads = heads.lock().unwrap().clone();
        assert!(!heads.is_empty());
        for head in &heads {
            assert!(
                head.starts_with(&format!("CONNECT {NAME}:5000 HTTP/1.1\r\n"))
                    && head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0"),
                "{head}"
            );
        }
    }
    // Named in NO_PROXY, it is looked up, in vain.
    let (address, heads) = proxy(&plain.address);
    let mut ground = Ground::new();
    ground.configuration.proxies = Proxies {
        http: None,
        https: Some(format!("http://{address}")),
        none: vec![".invalid".to_owned()],
    };
    let error = pull_error(&ground, &format!("{NAME}/app:1"));
    assert!(error.contains("cannot reach the registry"), "{error}");
    assert_eq!(heads.lock().unwrap().len(), 0);
    ground.configuration.proxies.none.clear();
    ground.configuration.proxies.https = Some("socks5://me:secret@127.0.0.1:1".to_owned());
    let error = pull_error(&ground, &format!("{NAME}/app:1"));
    assert!(!error.contains("secret"), "{error}");
}
