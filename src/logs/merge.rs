//! In: several logs being read. Out: their records in time order, each with the number of its log.
//! **Invariant:** records of one log keep their order, whatever their clocks say; memory does not grow with the logs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use super::reader::LogReader;
use super::record::Record;

/// Hands all records there are to `take`, the earliest first, each with the index of its log.
///
/// # Errors
/// A log cannot be read, or `take` failed.
pub fn drain(
    logs: &mut [&mut LogReader],
    take: &mut dyn FnMut(usize, Record<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut heads = BinaryHeap::with_capacity(logs.len());
    for (index, log) in logs.iter_mut().enumerate() {
        if log.advance()?
            && let Some(time) = log.time()
        {
            heads.push(Reverse((time, index)));
        }
    }
    while let Some(Reverse((_, index))) = heads.pop() {
        let limit = heads.peek().map(|Reverse(next)| *next);
        let log = &mut *logs[index];
        // As long as no other log is due, this one goes on without the heap.
        while let Some(record) = log.record() {
            if limit.is_some_and(|limit| (record.time, index) > limit) {
                heads.push(Reverse((record.time, index)));
                break;
            }
            take(index, record)?;
            if !log.advance()? {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_interleave_by_time_and_keep_their_own_order() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, lines: &[(&str, u32)]| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).expect("directory");
            let record = |(text, second): &(&str, u32)| {
                let time = format!("2026-01-02T03:04:{second:02}Z");
                format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n")
            };
            let text: Vec<String> = lines.iter().map(record).collect();
            std::fs::write(path.join("container.log"), text.concat()).expect("write");
            LogReader::from_start(&path).expect("open")
        };
        let mut one = write("one", &[("a1", 1), ("a2", 9), ("a3", 5)]);
        let mut other = write("other", &[("b1", 2), ("b2", 7)]);
        let mut empty = write("empty", &[]);
        let mut seen = Vec::new();
        drain(&mut [&mut one, &mut other, &mut empty], &mut |index, record| {
            let mut text = Vec::new();
            record.append_text(&mut text);
            seen.push((index, String::from_utf8_lossy(&text).into_owned()));
            Ok(())
        })
        .expect("readable");
        let seen: Vec<(usize, &str)> = seen.iter().map(|(index, text)| (*index, text.as_str())).collect();
        assert_eq!(seen, [(0, "a1"), (1, "b1"), (1, "b2"), (0, "a2"), (0, "a3")]);
    }
}
