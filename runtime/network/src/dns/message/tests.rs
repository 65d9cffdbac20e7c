//! The wire format against RFC 1035's bytes, and against bytes that mean harm.

use super::*;
use proptest::prelude::*;

pub(super) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = header(0x1234, RECURSION_DESIRED, 1);
    bytes.extend_from_slice(&wire_name(name).expect(name));
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
    bytes
}

fn with_edns(mut bytes: Vec<u8>, udp_size: u16, flags: u16) -> Vec<u8> {
    bytes[10..12].copy_from_slice(&1_u16.to_be_bytes());
    bytes.push(0);
    for word in [TYPE_OPT, udp_size, 0, flags, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[test]
fn a_query_is_read_with_its_name_in_lower_case_and_its_edns() {
    let bytes = with_edns(query("DB.Shop", TYPE_A), 1232, DNSSEC_OK);
    let parsed = parse(&bytes).expect("well formed");
    assert_eq!(
        (parsed.id, parsed.name.as_str(), parsed.kind),
        (0x1234, "db.shop", TYPE_A)
    );
    assert_eq!(
        parsed.edns,
        Some(Edns {
            udp_size: 1232,
            dnssec_ok: true
        })
    );
    assert_eq!(parsed.udp_limit(), 1232);
    assert_eq!(parse(&query("db", TYPE_A)).expect("plain").udp_limit(), 512);
}

#[test]
fn a_response_has_the_bytes_rfc_1035_says() {
    let bytes = query("Db", TYPE_A);
    let response = parse(&bytes).expect("well formed").respond(
        ResponseCode::NoError,
        &[Record::Address(Ipv4Addr::new(10, 89, 0, 2))],
        UDP_SIZE,
    );
    assert_eq!(
        response,
        b"\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00\x02Db\x00\x00\x01\x00\x01\
          \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x59\x00\x02"
    );
    let pointer = query("2.0.89.10.in-addr.arpa", TYPE_PTR);
    let response = parse(&pointer).expect("well formed").respond(
        ResponseCode::NoError,
        &[Record::Pointer("db.shop".into())],
        UDP_SIZE,
    );
    assert!(response.ends_with(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x05\x00\x09\x02db\x04shop\x00"));
}

#[test]
fn too_many_addresses_for_udp_set_the_truncation_bit() {
    let records: Vec<_> = (0..40)
        .map(|last| Record::Address(Ipv4Addr::new(10, 89, 0, last)))
        .collect();
    let plain = query("web", TYPE_A);
    let cut = parse(&plain)
        .expect("parses")
        .respond(ResponseCode::NoError, &records, UDP_SIZE);
    assert_eq!(
        (word(&cut, 2).map(|flags| flags & TRUNCATED), word(&cut, 6)),
        (Some(TRUNCATED), Some(0))
    );
    let whole = parse(&plain)
        .expect("parses")
        .respond(ResponseCode::NoError, &records, 65_535);
    assert_eq!(
        (word(&whole, 2).map(|flags| flags & TRUNCATED), word(&whole, 6)),
        (Some(0), Some(40))
    );
    let edns = with_edns(plain, 1232, 0);
    let parsed = parse(&edns).expect("parses");
    let fits = parsed.respond(ResponseCode::NoError, &records, parsed.udp_limit());
    assert_eq!((word(&fits, 6), word(&fits, 10)), (Some(40), Some(1)));
}

#[test]
fn queries_that_cannot_be_answered_say_how_to_treat_them() {
    let mut response = query("db", TYPE_A);
    response[2] |= 0x80;
    assert_eq!(parse(&response), Err(QueryError::NotAQuery));
    assert_eq!(parse(&response[..7]), Err(QueryError::NotAQuery));
    let mut update = query("db", TYPE_A);
    update[2] |= 0x28;
    assert_eq!(
        parse(&update),
        Err(QueryError::Answer(ResponseCode::NotImplemented))
    );
    assert_eq!(
        refusal(&update, ResponseCode::NotImplemented).expect("has a header")[2..4],
        [0xa9, 0x84],
        "opcode and recursion bit are repeated"
    );
    let mut two = query("db", TYPE_A);
    two[5] = 2;
    assert_eq!(parse(&two), Err(QueryError::Answer(ResponseCode::FormatError)));
}

#[test]
fn a_name_that_points_or_is_too_long_is_malformed() {
    let malformed = Err(QueryError::Answer(ResponseCode::FormatError));
    // A pointer to itself, as a loop would start.
    let mut pointing = header(1, 0, 1);
    pointing.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01");
    assert_eq!(parse(&pointing), malformed);
    let mut long = header(1, 0, 1);
    for _ in 0..5 {
        long.push(60);
        long.extend_from_slice(&[b'a'; 60]);
    }
    long.extend_from_slice(b"\0\x00\x01\x00\x01");
    assert_eq!(parse(&long), malformed);
    let mut claimed = query("db", TYPE_A);
    claimed[11] = 9;
    assert_eq!(
        parse(&claimed),
        malformed,
        "nine additional records that are not there"
    );
}

#[test]
fn odd_bytes_and_inner_dots_never_look_like_a_plain_name() {
    let mut bytes = header(1, 0, 1);
    bytes.extend_from_slice(b"\x05a.b\\\xff\0\x00\x01\x00\x01");
    assert_eq!(parse(&bytes).expect("well formed").name, "a\\046b\\092\\255");
}

#[test]
fn a_response_is_matched_by_number_and_question() {
    let asked = query("db.example", TYPE_A);
    let mut response = asked.to_ascii_uppercase();
    response[..4].copy_from_slice(&[0x12, 0x34, 0x81, 0x80]);
    assert!(answers(&response, &asked));
    assert!(!answers(&asked, &asked), "a query answers nothing");
    assert!(!answers(&response, &query("db.example", 28)));
    response[0] = 0;
    assert!(!answers(&response, &asked));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        match parse(&bytes) {
            Ok(query) => {
                let limit = query.udp_limit();
                let answer = query.respond(ResponseCode::NoError, &[Record::Address(Ipv4Addr::LOCALHOST)], limit);
                prop_assert!(answer.len() <= limit && answers(&answer, &bytes));
            }
            Err(QueryError::Answer(code)) => prop_assert!(refusal(&bytes, code).is_some()),
            Err(QueryError::NotAQuery) => {}
        }
        drop(server_failure(&bytes));
    }

    #[test]
    fn a_damaged_query_is_parsed_without_panic(at in 0_usize..40, byte in any::<u8>(), cut in 12_usize..45) {
        let mut bytes = with_edns(query("db.example.org", TYPE_A), 1232, 0);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        bytes.truncate(cut);
        drop(parse(&bytes));
    }
}
