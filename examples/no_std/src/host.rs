//! What std would bring: an entry point, memory, and an end for panics. From the C library.
#![allow(unsafe_code)] // an allocator and C functions cannot be had without

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_char, c_int, c_void};
use core::panic::PanicInfo;

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
    fn abort() -> !;
}

struct FromC;

// SAFETY: `aligned_alloc` returns null or memory of the size and alignment asked for, which belongs
// to the caller until it is freed. The size is rounded up to a multiple of the alignment, as C asks.
unsafe impl GlobalAlloc for FromC {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = layout.pad_to_align();
        // SAFETY: alignment is a power of two, and the size a multiple of it.
        unsafe { aligned_alloc(layout.align(), layout.size()).cast() }
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: the caller hands back what `alloc` returned.
        unsafe { free(memory.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: FromC = FromC;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: ends the process; nothing runs after it.
    unsafe { abort() }
}

// `alloc` comes compiled to unwind and names these two. Here a panic aborts, so neither is called.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

/// Where the C library begins. 0: all is right.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    c_int::from(super::all_is_right() != Ok(true))
}
