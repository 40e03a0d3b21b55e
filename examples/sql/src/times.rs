//! Times in texts.

use events::parse::times::TimeFormat;
use stagger::Timestamp;

/// A date and a time, with a zone or in UTC.
pub(crate) fn iso(text: &str) -> Option<Timestamp> {
    TimeFormat::Iso.parse(text)
}
