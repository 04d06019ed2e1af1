//! An allocator that counts what this thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change: isize) {
    // Nothing is counted while a thread ends.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).expect("no allocation is so large")
}

#[allow(unsafe_code)]
// SAFETY: each call is handed on as it came to the allocator of the system; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How much more than before this thread held at most while it did something, in bytes.
pub(crate) fn most_held(act: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    act();
    usize::try_from(MOST.get() - before).unwrap_or(0)
}

#[test]
fn what_is_held_is_counted_and_what_is_given_back_is_not() {
    let most = most_held(|| {
        drop(vec![0_u8; 1_000_000]);
        let mut grown = vec![0_u8; 10];
        grown.reserve(2_000_000);
    });
    assert!((2_000_000..2_001_000).contains(&most), "{most}");
}
