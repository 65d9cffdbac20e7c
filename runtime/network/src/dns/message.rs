//! In: the bytes of a DNS query. Out: its question; and the bytes of the responses to it (RFC 1035 §4, EDNS(0) RFC 6891).
//!
//! **Invariant:** no byte string makes this panic or loop: lengths are checked, a name in a question may not point.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::Ipv4Addr;

/// Length of the fixed header.
pub const HEADER: usize = 12;
/// Answers over UDP without EDNS fit in this (RFC 1035 §4.2.1).
pub const UDP_SIZE: usize = 512;
/// What we offer and use over UDP with EDNS at most; loopback carries it unfragmented.
pub const EDNS_SIZE: u16 = 4096;

/// How long a client may keep an answer, in seconds: short, since containers come and go.
pub const TTL: u32 = 5;

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const CHECKING_DISABLED: u16 = 0x0010;
const DNSSEC_OK: u16 = 0x8000;

/// Type A.
pub const TYPE_A: u16 = 1;
/// Type PTR.
pub const TYPE_PTR: u16 = 12;
/// Type OPT, the EDNS pseudo-record.
pub const TYPE_OPT: u16 = 41;
/// Question type ANY.
pub const TYPE_ANY: u16 = 255;
/// Class IN.
pub const CLASS_IN: u16 = 1;
/// Class ANY.
pub const CLASS_ANY: u16 = 255;

/// A compression pointer to offset 12, where the question's name is (RFC 1035 §4.1.4).
const QUESTION_NAME: u16 = 0xc00c;

/// A response code (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    /// No error, though there may be no such record.
    NoError = 0,
    /// The query makes no sense.
    FormatError = 1,
    /// No answer could be had.
    ServerFailure = 2,
    /// There is no such name.
    NoSuchName = 3,
    /// Not a kind of query that is answered.
    NotImplemented = 4,
}

/// What the client's EDNS record said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP answer the client takes, in bytes.
    pub udp_size: u16,
    /// The client wants DNSSEC records.
    pub dnssec_ok: bool,
}

/// A query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The client's number for it.
    pub id: u16,
    /// The second header word as received.
    pub flags: u16,
    /// The name asked for: lower case, without final dot; bytes that are no printable ASCII, and dots inside labels, as
    /// `\DDD`.
    pub name: String,
    /// The type asked for.
    pub kind: u16,
    /// The class asked for.
    pub class: u16,
    /// The EDNS record, if there was one.
    pub edns: Option<Edns>,
    /// The question as received, to be repeated byte for byte.
    pub question: &'a [u8],
}

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Too short for a header, or itself a response: no answer may be given.
    NotAQuery,
    /// Answer with this code.
    Answer(ResponseCode),
}

/// Reads a query.
///
/// # Errors
/// What to do instead, when it is none or not one that is answered.
pub fn parse(bytes: &[u8]) -> Result<Query<'_>, QueryError> {
    let malformed = QueryError::Answer(ResponseCode::FormatError);
    let id = word(bytes, 0).ok_or(QueryError::NotAQuery)?;
    let flags = word(bytes, 2).ok_or(QueryError::NotAQuery)?;
    if bytes.len() < HEADER || flags & QR != 0 {
        return Err(QueryError::NotAQuery);
    }
    if flags & OPCODE != 0 {
        return Err(QueryError::Answer(ResponseCode::NotImplemented));
    }
    if word(bytes, 4) != Some(1) {
        return Err(malformed);
    }
    let (name, end) = read_name(bytes, HEADER).ok_or(malformed)?;
    let kind = word(bytes, end).ok_or(malformed)?;
    let class = word(bytes, end + 2).ok_or(malformed)?;
    let question = bytes.get(HEADER..end + 4).ok_or(malformed)?;
    let records = [6, 8, 10]
        .iter()
        .filter_map(|at| word(bytes, *at))
        .map(usize::from)
        .sum();
    let edns = find_edns(bytes, end + 4, records).ok_or(malformed)?;
    Ok(Query {
        id,
        flags,
        name,
        kind,
        class,
        edns,
        question,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The name at `at` and where it ends. Compression is refused: before the first question there is nothing to point to.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let start = at;
    let mut name = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        // 255 bytes on the wire, length bytes and final zero included.
        if length > 63 || at - start + length > 255 {
            return None;
        }
        if length == 0 {
            return Some((name, at));
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in bytes.get(at..at + length)? {
            match byte {
                byte if byte.is_ascii_graphic() && !b".\\".contains(byte) => {
                    name.push(char::from(byte.to_ascii_lowercase()));
                }
                byte => name.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
            }
        }
        at += length;
    }
}

fn digit(value: u8) -> char {
    char::from(b'0' + value)
}

/// Where the name at `at` ends, without following a pointer.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *bytes.get(at)?;
        at += 1;
        match length {
            0 => return Some(at),
            1..=63 => at += usize::from(length),
            192.. => return Some(at + 1),
            64..=191 => return None,
        }
    }
}

/// The OPT record among the next `records` ones; `None` when they are cut short, `Some(None)` when there is none.
#[expect(
    clippy::option_option,
    reason = "malformed and absent are answered differently"
)]
fn find_edns(bytes: &[u8], mut at: usize, records: usize) -> Option<Option<Edns>> {
    let mut edns = None;
    for _ in 0..records {
        let name = at;
        at = skip_name(bytes, at)?;
        let kind = word(bytes, at)?;
        let length = usize::from(word(bytes, at + 8)?);
        if kind == TYPE_OPT && bytes.get(name) == Some(&0) {
            let dnssec_ok = word(bytes, at + 6)? & DNSSEC_OK != 0;
            edns = Some(Edns {
                udp_size: word(bytes, at + 2)?,
                dnssec_ok,
            });
        }
        at += 10 + length;
        if at > bytes.len() {
            return None;
        }
    }
    Some(edns)
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address of the name asked for.
    Address(Ipv4Addr),
    /// The name of the address asked for.
    Pointer(String),
}

impl Query<'_> {
    /// How many bytes an answer over UDP may have.
    pub fn udp_limit(&self) -> usize {
        self.edns
            .map_or(UDP_SIZE, |edns| usize::from(edns.udp_size.clamp(512, EDNS_SIZE)))
    }

    /// The response with `records`; with none of them and the truncation bit when it would exceed `limit` bytes.
    pub fn respond(&self, code: ResponseCode, records: &[Record], limit: usize) -> Vec<u8> {
        let complete = self.response(code, records, 0);
        if complete.len() <= limit {
            complete
        } else {
            self.response(code, &[], TRUNCATED)
        }
    }

    fn response(&self, code: ResponseCode, records: &[Record], truncated: u16) -> Vec<u8> {
        let echoed = self.flags & (RECURSION_DESIRED | CHECKING_DISABLED);
        let flags = QR | AUTHORITATIVE | RECURSION_AVAILABLE | truncated | echoed | code as u16;
        let mut bytes = header(self.id, flags, 1);
        bytes.extend_from_slice(self.question);
        let mut answers = 0_u16;
        for data in records.iter().filter_map(Record::data) {
            let (kind, data) = data;
            let Ok(length) = u16::try_from(data.len()) else {
                continue;
            };
            for word in [QUESTION_NAME, kind, CLASS_IN] {
                bytes.extend_from_slice(&u16::to_be_bytes(word));
            }
            bytes.extend_from_slice(&TTL.to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&data);
            answers += 1;
        }
        bytes[6..8].copy_from_slice(&answers.to_be_bytes());
        if let Some(edns) = self.edns {
            bytes[10..12].copy_from_slice(&1_u16.to_be_bytes());
            bytes.push(0);
            for word in [
                TYPE_OPT,
                EDNS_SIZE,
                0,
                if edns.dnssec_ok { DNSSEC_OK } else { 0 },
                0,
            ] {
                bytes.extend_from_slice(&u16::to_be_bytes(word));
            }
        }
        bytes
    }
}

impl Record {
    fn data(&self) -> Option<(u16, Vec<u8>)> {
        match self {
            Self::Address(address) => Some((TYPE_A, address.octets().to_vec())),
            Self::Pointer(name) => Some((TYPE_PTR, wire_name(name)?)),
        }
    }
}

/// `name` as labels; `None` when a label or the whole is too long or empty.
pub fn wire_name(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(
            u8::try_from(label.len())
                .ok()
                .filter(|length| (1..=63).contains(length))?,
        );
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= 255).then_some(bytes)
}

fn header(id: u16, flags: u16, questions: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(UDP_SIZE);
    for word in [id, flags, questions, 0, 0, 0] {
        bytes.extend_from_slice(&u16::to_be_bytes(word));
    }
    bytes
}

/// The response with only `code` to a query of which nothing but the header is used; `None` when it has none.
pub fn refusal(query: &[u8], code: ResponseCode) -> Option<Vec<u8>> {
    let flags = word(query, 2)?;
    let echoed = flags & (OPCODE | RECURSION_DESIRED);
    Some(header(
        word(query, 0)?,
        QR | RECURSION_AVAILABLE | echoed | code as u16,
        0,
    ))
}

/// The answer for when no upstream server answered: SERVFAIL with the question repeated.
pub fn server_failure(query: &[u8]) -> Option<Vec<u8>> {
    match parse(query) {
        Ok(query) => Some(query.respond(ResponseCode::ServerFailure, &[], UDP_SIZE)),
        Err(QueryError::NotAQuery) => None,
        Err(QueryError::Answer(code)) => refusal(query, code),
    }
}

/// Whether `response` is one to `query`: a response, the same number, the same question.
pub fn answers(response: &[u8], query: &[u8]) -> bool {
    let question = |bytes| parse(bytes).map(|query: Query<'_>| query.question.to_ascii_lowercase());
    let is_response = word(response, 2).is_some_and(|flags| flags & QR != 0);
    if !is_response || word(response, 0) != word(query, 0) {
        return false;
    }
    let Ok(asked) = question(query) else { return false };
    response
        .get(HEADER..HEADER + asked.len())
        .is_some_and(|echoed| echoed.to_ascii_lowercase() == asked)
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
