//! In: records of several logs. Out: the same records in time order, each with the number of its log.
//! **Invariant:** records of one log keep their order, whatever their clocks say.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::record::Record;

/// Sorts what several logs gave by time. Each inner list is in its own order; a stable sort by the latest time seen so far
/// in the list keeps it so.
pub fn by_time(logs: Vec<Vec<Record>>) -> Vec<(usize, Record)> {
    let mut all = Vec::with_capacity(logs.iter().map(Vec::len).sum());
    for (number, records) in logs.into_iter().enumerate() {
        let mut latest = None;
        for record in records {
            let key = latest.take().map_or_else(|| record.time.clone(), |latest| std::cmp::max(latest, record.time.clone()));
            latest = Some(key.clone());
            all.push((key, number, record));
        }
    }
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all.into_iter().map(|(_, number, record)| (number, record)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::Moment;
    use super::*;

    fn record(text: &str, second: u32) -> Record {
        let time = Moment::parse(&format!("2026-01-02T03:04:{second:02}Z")).expect("valid");
        Record { text: text.to_owned(), stderr: false, time }
    }

    #[test]
    fn logs_interleave_by_time_and_keep_their_own_order() {
        let merged = by_time(vec![vec![record("a1", 1), record("a2", 9), record("a3", 5)], vec![record("b1", 2), record("b2", 7)]]);
        let texts: Vec<&str> = merged.iter().map(|(_, record)| record.text.as_str()).collect();
        assert_eq!(texts, ["a1", "b1", "b2", "a2", "a3"]);
    }
}
