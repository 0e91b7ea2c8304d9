use std::cell::RefCell;

thread_local! {
    static ROOMS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends room for `len` numbers, of any value, for as long as `use_it` runs. Large buffers of a moment that are made new each time come to
/// lie scattered among the activations that live longer, and the process grows.
pub(super) fn with_room<T>(len: usize, use_it: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut room = ROOMS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if room.len() < len {
        // What lay there is not wanted, so it need not be moved.
        room = Vec::new();
        room.resize(len, 0.0);
    }
    let result = use_it(&mut room[..len]);
    ROOMS.with_borrow_mut(|rooms| rooms.push(room));
    result
}
