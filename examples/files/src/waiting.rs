//! Events kept until all are read, to be processed in order of their arrival.
//!
//! On the arrival clock the result depends on the order of arrival, so exactness needs a sort. One
//! event takes 56 bytes beside its texts.

use std::ops::Range;

use stagger::{Event, Timestamp};

use crate::text::{EventRef, Origin, Place};

#[derive(Default)]
pub(crate) struct Waiting {
    events: Vec<Stored>,
    texts: String,
}

struct Stored {
    arrival: Timestamp,
    time: Timestamp,
    place: Place,
    marks: u8,
    /// Where its texts begin: key, value, further fields.
    start: usize,
    key: u32,
    value: u32,
    more: u32,
}

impl Waiting {
    pub(crate) fn add(&mut self, event: &EventRef<'_>) {
        let (value, Origin { place, marks, more }) = event.value;
        self.events.push(Stored {
            arrival: event.arrival_time,
            time: event.event_time,
            place,
            marks,
            start: self.texts.len(),
            key: event.key.len() as u32,
            value: value.len() as u32,
            more: more.len() as u32,
        });
        self.texts.push_str(event.key);
        self.texts.push_str(value);
        self.texts.push_str(more);
    }

    /// By arrival; what arrived at once stays in order of the lines.
    pub(crate) fn sort(&mut self) {
        self.events.sort_by_key(|stored| stored.arrival);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = EventRef<'_>> {
        self.events.iter().map(|stored| {
            let text = |start: usize, length: u32| -> &str {
                let range: Range<usize> = start..start + length as usize;
                &self.texts[range]
            };
            let value = text(stored.start + stored.key as usize, stored.value);
            let more = text(stored.start + (stored.key + stored.value) as usize, stored.more);
            let origin = Origin { place: stored.place, marks: stored.marks, more };
            Event::new(text(stored.start, stored.key), stored.time, (value, origin)).arriving_at(stored.arrival)
        })
    }
}
