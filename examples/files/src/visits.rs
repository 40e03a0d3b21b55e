//! The number of a session among those of its key: the column of `--visit-number`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// How many sessions each key has had.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Visits(HashMap<Text, u64>);

impl Visits {
    /// The number of the next session of a key, from 1. Those of one key close in order of time.
    pub(crate) fn next(&mut self, key: &Text) -> u64 {
        match self.0.get_mut(key) {
            Some(number) => {
                *number += 1;
                *number
            }
            None => {
                self.0.insert(key.clone(), 1);
                1
            }
        }
    }
}
