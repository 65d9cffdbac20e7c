//! In: chunks of a byte stream. Out: its lines, without their newline; a line longer than 16 KB comes in pieces.
//! **Invariant:** pure; every byte but the newlines comes out once, in order, and a character is not cut unless it is broken.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Longest piece of a line, in bytes, as in Docker's json-file driver.
pub(super) const LONGEST: usize = 16 * 1024;

/// What of a line has come so far.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    pending: Vec<u8>,
}

impl LineSplitter {
    /// Calls `emit(piece, ended)` for each piece that is complete; `ended` when a newline followed it.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8], bool)) {
        if !self.pending.is_empty() {
            while !self.pending.is_empty() {
                let room = LONGEST - self.pending.len();
                let window = &bytes[..bytes.len().min(room)];
                if let Some(end) = newline(window) {
                    self.pending.extend_from_slice(&window[..end]);
                    emit(&self.pending, true);
                    self.pending.clear();
                    bytes = &bytes[end + 1..];
                } else {
                    self.pending.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.pending.len() < LONGEST {
                        return;
                    }
                    let cut = character_boundary(&self.pending);
                    emit(&self.pending[..cut], false);
                    self.pending.drain(..cut);
                }
            }
            self.pending = Vec::new();
        }
        while !bytes.is_empty() {
            let window = &bytes[..bytes.len().min(LONGEST)];
            if let Some(end) = newline(window) {
                emit(&window[..end], true);
                bytes = &bytes[end + 1..];
            } else if window.len() == LONGEST {
                let cut = character_boundary(window);
                emit(&window[..cut], false);
                bytes = &bytes[cut..];
            } else {
                self.pending.extend_from_slice(window);
                return;
            }
        }
    }

    /// The stream ended; true when a last, unterminated line was emitted.
    pub(super) fn finish(&mut self, emit: impl FnOnce(&[u8])) -> bool {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return false;
        }
        emit(&pending);
        true
    }
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Where to cut a full piece so that an UTF-8 sequence at its end stays whole.
fn character_boundary(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for index in (tail..bytes.len()).rev() {
        let length = match bytes[index] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            0x80..=0xBF => continue,
            0x00..=0x7F => 1,
        };
        return if index + length > bytes.len() {
            index
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut splitter = LineSplitter::default();
        let mut found = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line, ended| found.push((line.to_vec(), ended)));
        }
        splitter.finish(|line| found.push((line.to_vec(), false)));
        found
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_chunked() {
        let mut stream = Vec::new();
        for length in [0, 1, 5, LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST, 7] {
            stream.extend(std::iter::repeat_n(
                b'a' + u8::try_from(length % 7).unwrap(),
                length,
            ));
            stream.push(b'\n');
        }
        stream.extend_from_slice(b"no newline");
        let whole = split(&[&stream]);
        for size in [1, 7, 4096, LONGEST, 65_536] {
            assert_eq!(
                split(&stream.chunks(size).collect::<Vec<_>>()),
                whole,
                "chunks of {size}"
            );
        }
        assert!(whole.iter().all(|(piece, _)| piece.len() <= LONGEST));
        assert_eq!(whole.iter().filter(|(_, ended)| *ended).count(), 8);
    }

    #[test]
    fn long_lines_come_in_pieces_that_keep_characters_whole() {
        let text = format!("a{}", "€".repeat(12_000));
        for size in [1000, 65_536] {
            let pieces = split(&text.as_bytes().chunks(size).collect::<Vec<_>>());
            assert!(pieces.len() > 2);
            let joined: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
            assert_eq!(joined, text.as_bytes());
            for (piece, _) in pieces {
                std::str::from_utf8(&piece).expect("whole characters");
            }
        }
    }

    #[test]
    fn broken_bytes_do_not_stall_it() {
        let garbage = vec![0xF0; 3 * LONGEST];
        let joined: usize = split(&[&garbage]).iter().map(|(piece, _)| piece.len()).sum();
        assert_eq!(joined, garbage.len());
    }
}
