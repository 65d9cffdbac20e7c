//! In: fields and attributes. Out: the bytes of one netlink message; and the way back, attributes out of bytes.
//!
//! **Invariant:** no length is written that does not fit its field, none is read past the end (netlink(7), rtnetlink(7)).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rustix::io::Errno;

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `NLA_TYPE_MASK`: what is left without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE_MASK: u16 = 0x3fff;

/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub(crate) const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`.
pub(crate) const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
pub(crate) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub(crate) const APPEND: u16 = 0x800;

/// One netlink message being written.
pub(crate) struct Message {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Message {
    /// A message of type `kind`; `REQUEST` is added to `flags`.
    pub(crate) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self {
            bytes,
            overflow: false,
        }
    }

    /// Appends the family's fixed header, padded to four bytes.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad()
    }

    /// Appends one attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        match u16::try_from(value.len() + 4) {
            Ok(length) => self.bytes.extend_from_slice(&length.to_ne_bytes()),
            Err(_) => self.overflow = true,
        }
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad()
    }

    /// Appends a text with its NUL.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends a number in the host's byte order, as rtnetlink wants it.
    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network byte order, as nfnetlink wants it.
    pub(crate) fn u32_be(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute whose value is what `fill` appends.
    pub(crate) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut filled = fill(self);
        match u16::try_from(filled.bytes.len() - start) {
            Ok(length) => filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => filled.overflow = true,
        }
        filled
    }

    /// The finished message with its length and `sequence` number.
    ///
    /// # Errors
    /// `EMSGSIZE` when some attribute was over 64 KiB.
    pub(crate) fn finish(mut self, sequence: u32) -> Result<Vec<u8>, Errno> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Errno::MSGSIZE)?;
        if self.overflow {
            return Err(Errno::MSGSIZE);
        }
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(self.bytes)
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }
}

/// One message as received.
pub(crate) struct Received<'a> {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_seq`.
    pub(crate) sequence: u32,
    /// What follows the header.
    pub(crate) payload: &'a [u8],
}

/// The messages in one datagram; stops at the first that is cut short.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(array(bytes, 0)?)).ok()?;
        let payload = bytes.get(HEADER..length)?;
        let received = Received {
            kind: u16::from_ne_bytes(array(bytes, 4)?),
            sequence: u32::from_ne_bytes(array(bytes, 8)?),
            payload,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(received)
    })
}

/// The attributes in `bytes` as (type, value); stops at the first that is cut short.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(array(bytes, 0)?));
        let kind = u16::from_ne_bytes(array(bytes, 2)?) & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of type `kind`.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// `N` bytes at `offset`, when they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// A text attribute without its NUL; lossless for what the kernel lets interfaces be called here.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back_with_padding_and_nesting() {
        let bytes = Message::new(16, ACK)
            .fixed(&[1, 2, 3])
            .text(3, "eth0")
            .nest(18, |inner| inner.text(1, "veth").u32(2, 7))
            .finish(9)
            .expect("fits");
        assert_eq!(bytes.len() % 4, 0);
        let received: Vec<_> = messages(&bytes).collect();
        assert_eq!(
            (received.len(), received[0].kind, received[0].sequence),
            (1, 16, 9)
        );
        let body = &received[0].payload[4..];
        assert_eq!(find(body, 3).map(text), Some("eth0".to_owned()));
        let nested = find(body, 18).expect("nested");
        assert_eq!(find(nested, 1), Some(b"veth\0".as_slice()));
        assert_eq!(find(nested, 2), Some(7_u32.to_ne_bytes().as_slice()));
    }

    #[test]
    fn an_attribute_that_does_not_fit_its_length_field_is_an_error() {
        assert!(matches!(
            Message::new(1, 0).attribute(1, &vec![0; 65_533]).finish(1),
            Err(Errno::MSGSIZE)
        ));
        assert!(
            Message::new(1, 0)
                .attribute(1, &vec![0; 65_531])
                .finish(1)
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_panic_or_endless_loop(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for message in messages(&bytes) {
                prop_assert!(attributes(message.payload).count() <= bytes.len());
            }
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }
    }
}
