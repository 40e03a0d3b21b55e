//! The ids of the events of one session, where each event may be in it once.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashSet;

/// Few ids lie in order beside each other: to find one there costs less than a hash. Written as two halves each, in
/// order.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>"))]
pub(crate) enum EventIds {
    Few(Vec<u128>),
    Many(Box<HashSet<u128>>),
}

/// The greatest number of ids that counts as few.
const FEW: usize = 32;

impl Default for EventIds {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl EventIds {
    pub(crate) fn contains(&self, id: u128) -> bool {
        match self {
            Self::Few(ids) => ids.binary_search(&id).is_ok(),
            Self::Many(ids) => ids.contains(&id),
        }
    }

    pub(crate) fn insert(&mut self, id: u128) {
        match self {
            Self::Few(ids) if ids.len() < FEW => {
                if let Err(at) = ids.binary_search(&id) {
                    ids.insert(at, id);
                }
            }
            Self::Few(ids) => {
                *self = Self::Many(Box::new(ids.drain(..).chain([id]).collect()));
            }
            Self::Many(ids) => _ = ids.insert(id),
        }
    }
}

#[cfg(feature = "serde")]
impl From<Vec<(u64, u64)>> for EventIds {
    fn from(halves: Vec<(u64, u64)>) -> Self {
        let mut ids = Self::default();
        halves.into_iter().for_each(|(high, low)| ids.insert(u128::from(high) << 64 | u128::from(low)));
        ids
    }
}

#[cfg(feature = "serde")]
impl From<EventIds> for Vec<(u64, u64)> {
    fn from(ids: EventIds) -> Self {
        let halves = |id: u128| ((id >> 64) as u64, id as u64);
        match ids {
            EventIds::Few(ids) => ids.into_iter().map(halves).collect(),
            EventIds::Many(ids) => {
                let mut all: Self = ids.into_iter().map(halves).collect();
                all.sort_unstable();
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids in no order.
    fn ids(number: u128) -> impl Iterator<Item = u128> {
        (0..number).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    #[test]
    fn few_and_many_hold_what_was_inserted() {
        for number in [0, 1, FEW - 1, FEW, FEW + 1, 10 * FEW] {
            let mut held = EventIds::default();
            let number = number as u128;
            ids(number).chain(ids(number)).for_each(|id| held.insert(id));
            let found: Vec<_> = ids(number + 2).map(|id| held.contains(id)).collect();
            let expected: Vec<_> = (0..number + 2).map(|n| n < number).collect();
            assert_eq!(found, expected, "{number}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn ids_are_written_in_order_and_read_back() {
        for number in [3, FEW as u128 + 3] {
            let mut held = EventIds::default();
            ids(number).for_each(|id| held.insert(id));
            let halves: Vec<(u64, u64)> = held.clone().into();
            assert!(halves.is_sorted() && halves.len() == number as usize);
            assert_eq!(EventIds::from(halves), held);
        }
    }
}
