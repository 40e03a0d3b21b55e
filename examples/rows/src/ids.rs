//! Session ids: the same session has the same id in `files` and in `kinesis`.
//!
//! Both programs make an id from the key as one text (`parse/keys.rs`), the bucket and the time that
//! anchors the session.

use stagger::{Clock, Key, SessionId, SessionSummary};

/// The id of a session of a strategy on this clock.
///
/// On the arrival clock it leaves the number of the part out: that number depends on how long a program
/// remembers earlier parts. The arrival that opened the window tells parts apart.
pub fn id_of<K: Key, V, O>(session: &mut SessionSummary<K, V, O>, clock: Clock) -> SessionId {
    if clock == Clock::Event {
        return session.id();
    }
    let part = std::mem::replace(&mut session.part, 1);
    let id = session.id();
    session.part = part;
    id
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stagger::{Bucket, Config, Event, Stagger, Timestamp};

    use super::*;

    /// Id and part of each window of one key, whose second event comes two minutes after the first.
    fn windows(remembered: Duration) -> Vec<(SessionId, u32)> {
        let second = Duration::from_secs(1);
        let windows = Stagger::on_arrival(Bucket::step(60 * second), second).remember_parts(remembered);
        let mut engine = Config::<String, ()>::new(windows).build().unwrap();
        let mut found = Vec::new();
        let mut take = |mut session: SessionSummary<String, ()>| {
            found.push((id_of(&mut session, Clock::Arrival), session.part));
        };
        for arrival in [0, 120] {
            let event = Event::new("ann", Timestamp::EPOCH, ()).arriving_at(Timestamp::from_secs(arrival));
            assert!(engine.push(event, &mut take).returned().is_none());
        }
        engine.flush(&mut take);
        found
    }

    #[test]
    fn how_long_parts_are_remembered_does_not_show_in_ids() {
        let (short, long) = (windows(Duration::from_secs(1)), windows(Duration::from_secs(3_600)));
        let parts = |found: &[(SessionId, u32)]| found.iter().map(|(_, part)| *part).collect::<Vec<_>>();
        assert_eq!((parts(&short), parts(&long)), (vec![1, 1], vec![1, 2]));
        let ids = |found: &[(SessionId, u32)]| found.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(ids(&short), ids(&long));
        assert_ne!(ids(&short)[0], ids(&short)[1]);
    }
}
