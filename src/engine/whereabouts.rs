//! Where a session lies in the storage of its strategy.

use crate::windows::WindowId;

/// Where a session lies: its number, and its window where windows own their sessions. Eight bytes, so
/// that an outcome with it fits into registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whereabouts {
    window: u32,
    number: u32,
}

impl Whereabouts {
    /// That of a session in the only list or table there is.
    #[inline(always)]
    pub(crate) const fn numbered(number: u32) -> Self {
        Self { window: 0, number }
    }

    #[inline(always)]
    pub(crate) const fn in_window(window: WindowId, number: u32) -> Self {
        Self { window: window as u32, number } // a window has a session, and there are fewer sessions
    }

    #[inline(always)]
    pub(crate) const fn window(self) -> WindowId {
        self.window as WindowId
    }

    #[inline(always)]
    pub(crate) const fn number(self) -> u32 {
        self.number
    }
}
