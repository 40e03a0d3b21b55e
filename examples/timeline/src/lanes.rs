//! Sessions that overlap are drawn below each other.

use crate::strategies::Session;

/// More would be no drawing to look at.
const MOST_LANES: usize = 6;

/// A session and the place it takes on the axis, from (inclusive) to (exclusive).
pub(crate) struct Placed<'s> {
    /// Neighbours in a lane take turns with the colours.
    pub(crate) turn: usize,
    pub(crate) session: &'s Session,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Puts each session into the first lane that is free, and tells how many found none.
pub(crate) fn pack(sessions: &[Session], place: impl Fn(&Session) -> (usize, usize)) -> (Vec<Vec<Placed<'_>>>, usize) {
    let mut lanes: Vec<Vec<Placed<'_>>> = Vec::new();
    let mut left_out = 0;
    for session in sessions {
        let (from, to) = place(session);
        let free = |lane: &Vec<Placed<'_>>| lane.last().is_none_or(|last| last.to <= from);
        let lane = lanes.iter().position(free).unwrap_or(lanes.len());
        if lane == MOST_LANES {
            left_out += 1;
            continue;
        }
        if lane == lanes.len() {
            lanes.push(Vec::new());
        }
        let turn = lane + lanes[lane].len();
        lanes[lane].push(Placed { turn, session, from, to });
    }
    (lanes, left_out)
}
