//! The cases that come out differently here, each with the rule that makes the difference.

/// How a case is read, so that the part that does not depend on the differing rule can still be checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lens {
    /// As it is: everything must agree.
    Plain,
    /// The watermark always stands one microsecond further.
    OneMicrosecondLater,
    /// Of each revision, the events that it adds to earlier reports.
    AddedByRevision,
    /// The events that the other system calls late are left out; here none of them is late.
    WithoutLateEvents,
    /// Windows that start before this time are left out.
    WindowsFrom(i64),
    /// Event times are rounded down to seconds.
    WholeSeconds,
    /// In the end there are these sessions instead.
    TheseSessions(&'static [&'static [&'static str]]),
    /// At this step the value is this JSON instead.
    ThisValue(usize, &'static str),
    /// The library has no such thing: nothing is checked.
    Outside,
}

/// Cases that differ for the same reason.
pub(crate) struct Differs {
    pub(crate) ids: &'static [&'static str],
    pub(crate) rule: &'static str,
    pub(crate) checked: &'static str,
    pub(crate) lens: Lens,
}

pub(crate) const DIFFERS: &[Differs] = &[
    Differs {
        ids: &[
            "flink-session-001",
            "x-exact-gap-flink",
            "x-exact-gap-spark",
            "x-bridge-closed-flink",
            "x-bridge-closed-spark",
        ],
        rule: "closing of inclusive sessions: they stay open while the watermark stands at their end, since an event \
               at the very edge may still come and join; Flink and Spark close them there",
        checked: "everything, with each watermark one microsecond further",
        lens: Lens::OneMicrosecondLater,
    },
    Differs {
        ids: &["flink-session-010", "flink-late-001"],
        rule: "revisions accumulate; Flink's purging trigger reports the new events alone",
        checked: "everything, comparing what each revision adds",
        lens: Lens::AddedByRevision,
    },
    Differs {
        ids: &["beam-session-019", "x-inside-beam"],
        rule: "an event is judged late after joining; Beam judges it by its own window, before merging",
        checked: "that the event is not late here, and everything else without it",
        lens: Lens::WithoutLateEvents,
    },
    Differs {
        ids: &["bytewax-late-001"],
        rule: "an event is late when every window it could join is past; in Bytewax, when it is behind the watermark",
        checked: "that the event is not late here, and everything else without it",
        lens: Lens::WithoutLateEvents,
    },
    Differs {
        ids: &["kafka-hop-003", "kafka-late-006"],
        rule: "windows begin before 1970 too; Kafka has none that starts below zero",
        checked: "everything, leaving out the windows that start below zero",
        lens: Lens::WindowsFrom(0),
    },
    Differs {
        ids: &["renoir-slide-002"],
        rule: "windows begin before their origin too; in Renoir the first event is the origin, and begins the first",
        checked: "everything, leaving out the windows that start before the first event",
        lens: Lens::WindowsFrom(1),
    },
    Differs {
        ids: &["dbt-segment-003"],
        rule: "a gap is measured exactly; that query counts the boundaries of seconds that lie between",
        checked: "everything, with event times rounded down to seconds",
        lens: Lens::WholeSeconds,
    },
    Differs {
        ids: &["asa-session-002"],
        rule: "the maximum duration is exact; Azure looks only at multiples of it, so that sessions reach further",
        checked: "the sessions that the exact rule gives",
        lens: Lens::TheseSessions(&[&["e0", "e1", "e2"], &["e3", "e4", "e5", "e6"], &["e7"]]),
    },
    Differs {
        ids: &["flink-mux-010"],
        rule: "removing a source frees at once what it held back; Flink waits for the next update of another one",
        checked: "everything, with the watermark of the other source after the removal",
        lens: Lens::ThisValue(4, "[-4333, false]"),
    },
    Differs {
        ids: &["kda-scalar-017"],
        rule: "functions on strings belong to SQL",
        checked: "nothing",
        lens: Lens::Outside,
    },
    Differs {
        ids: &["kda-scalar-019"],
        rule: "every event has a time: there is no NULL to round",
        checked: "nothing",
        lens: Lens::Outside,
    },
];

/// The entry of a case in the table.
pub(crate) fn listed(id: &str) -> Option<&'static Differs> {
    DIFFERS.iter().find(|differs| differs.ids.contains(&id))
}
