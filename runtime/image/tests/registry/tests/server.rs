//! An HTTP server that answers as a test tells it to, and remembers what it was asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::tests::sample::{MANIFEST, Sample};

/// What was asked; names of headers in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// As much of it as was read.
    pub(crate) body: Vec<u8>,
    /// Not all of the body was read: nobody will see the answer.
    pub(crate) is_cut: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The value of a parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The first byte of `Range`, if there is one.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Close the connection after so many bytes of the body, which is announced whole.
    pub(crate) cut: Option<usize>,
    /// Wait so long between two pieces of 16 KiB.
    pub(crate) pause: Option<Duration>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn ok(body: &[u8]) -> Self {
        Self {
            status: 200,
            body: body.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `body`, or the rest of it that was asked for.
    pub(crate) fn ranged(request: &Request, body: &[u8]) -> Self {
        match request.range_start() {
            Some(start) => Self {
                status: 206,
                body: body[start..].to_vec(),
                ..Self::default()
            }
            .with(
                "Content-Range",
                &format!("bytes {start}-{}/{}", body.len() - 1, body.len()),
            ),
            None => Self::ok(body),
        }
    }
}

type Handler = dyn Fn(&Request, usize) -> Answer + Send + Sync;
/// How much of a request's body is read before the connection is cut; `None` is all of it.
type Intake = dyn Fn(&Request, usize) -> Option<u64> + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Answers every request by `handler`, which also gets how often the same path was asked for before.
    pub(crate) fn start(handler: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_cutting(handler, |_, _| None)
    }

    /// The same, and cuts requests where `intake` says so.
    pub(crate) fn start_cutting(
        handler: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
        intake: impl Fn(&Request, usize) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let intake: Arc<Intake> = Arc::new(intake);
        let server = Self {
            address,
            requests: Arc::clone(&requests),
            stop: Arc::clone(&stop),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (handler, requests) = (Arc::clone(&handler), Arc::clone(&requests));
                let intake = Arc::clone(&intake);
                thread::spawn(move || serve(&stream.unwrap(), &*handler, &*intake, &requests));
            }
        });
        server
    }

    /// Serves `sample` under any repository and tag, except where `twist` has another answer.
    pub(crate) fn serving(
        sample: Sample,
        twist: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |request, before| twist(request, before).unwrap_or_else(|| honest(&sample, request)))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Requests whose path contains `part`.
    pub(crate) fn asked(&self, part: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.path.contains(part))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener up.
        drop(TcpStream::connect(&self.address));
    }
}

/// What a good registry answers.
pub(crate) fn honest(sample: &Sample, request: &Request) -> Answer {
    if request.path.contains("/manifests/") {
        return Answer::ok(&sample.manifest).with("Content-Type", MANIFEST);
    }
    match request
        .path
        .rsplit('/')
        .next()
        .and_then(|digest| sample.blob(digest))
    {
        Some(blob) => Answer::ranged(request, blob),
        None => Answer::status(404),
    }
}

fn serve(stream: &TcpStream, handler: &Handler, intake: &Intake, requests: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut request) = read_head(&mut reader) {
        let same = |other: &&Request| other.path == request.path && other.method == request.method;
        let before = requests.lock().unwrap().iter().filter(same).count();
        let length: u64 = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let cut = intake(&request, before);
        let read = reader
            .by_ref()
            .take(cut.unwrap_or(length))
            .read_to_end(&mut request.body);
        request.is_cut = cut.is_some() || read.is_err() || request.body.len() as u64 != length;
        requests.lock().unwrap().push(request.clone());
        let answer = handler(&request, before);
        if request.is_cut || write_answer(stream, &request, &answer).is_err() || answer.cut.is_some() {
            drop(stream.shutdown(std::net::Shutdown::Both));
            return;
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request {
        method,
        path,
        headers,
        body: Vec::new(),
        is_cut: false,
    })
}

fn write_answer(mut stream: &TcpStream, request: &Request, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    if answer.status != 204 {
        write!(head, "Content-Length: {}\r\n", answer.body.len()).unwrap();
    }
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    match answer.pause {
        Some(pause) => {
            for piece in body.chunks(16 << 10) {
                stream.write_all(piece)?;
                thread::sleep(pause);
            }
            Ok(())
        }
        None => stream.write_all(body),
    }
}
