//! Panics of other people's code that reads damaged files, as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// What `read` gives, or the message of its panic, which is not printed. What `read` has changed must not be used
/// after a panic.
pub fn caught<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    keep_quiet();
    let outer = IS_CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    IS_CAUGHT.set(outer);
    result.map_err(|panic| message(&*panic))
}

/// Prints only panics that nobody catches.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                print(panic);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("its reader gave up").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u8 { panic!("width {}", 3) }), Err("width 3".to_owned()));
        assert_eq!(caught(|| -> u8 { panic!("no width") }), Err("no width".to_owned()));
        assert!(!IS_CAUGHT.get());
        assert_eq!(caught(|| caught(|| -> u8 { panic!("inner") }).is_err() && IS_CAUGHT.get()), Ok(true));
    }
}
