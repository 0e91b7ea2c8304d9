//! Threads that compute the parts of one product after another together: for lines that come alone, when no other line is there that
//! another thread could take.
//!
//! A part is claimed by whichever thread is free, so a thread that the system holds back delays only what it has begun. Between two pieces of
//! work the others wait in a loop: a pass has dozens of pieces of some ten microseconds each, and waking a thread takes longer than that.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Looks at the state that a waiting thread takes before it lets others have the processor.
const PATIENCE: u32 = 4096;

/// Set while threads may begin with a piece of work. The bits below count those that have begun, those above the pieces.
const OPEN: u64 = 1 << 31;
const PIECE: u64 = 1 << 32;

/// A piece of work, its lifetime taken away: that of a call to [`Crew::share`], which ends only when nobody works on it any more.
type Work = *const (dyn Fn(usize) + Sync);

/// The calling thread, alone or with others that wait for its work.
pub struct Crew<'a> {
    others: Option<&'a Others>,
    /// Work is shared by the thread that gathered the crew alone, and not from within work: this makes the crew neither `Send` nor `Sync`.
    calling: PhantomData<*const ()>,
}

/// What the threads of a crew know of each other.
struct Others {
    threads: usize,
    state: AtomicU64,
    /// The next part that nobody has claimed.
    next: AtomicUsize,
    /// What is done, and in how many parts.
    work: UnsafeCell<Option<(Work, usize)>>,
    over: AtomicBool,
    /// A part panicked in another thread.
    broken: AtomicBool,
}

// SAFETY: `work` is written by the one thread that holds the crew while the state is closed and nobody has begun, and read only by threads
// that have begun while it was open. The closure that it points to is `Sync`.
unsafe impl Sync for Others {}

impl Crew<'_> {
    /// The calling thread by itself.
    pub fn alone() -> Self {
        Self { others: None, calling: PhantomData }
    }

    /// Runs `act` with a crew of `threads`, the calling one among them; the others are gone when it returns. Those that the system refuses are
    /// not missed: the rest do their parts.
    pub fn gather<R>(threads: usize, act: impl FnOnce(&Crew<'_>) -> R) -> R {
        if threads <= 1 {
            return act(&Crew::alone());
        }
        let others = Others {
            threads,
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            over: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Without it there is one helper less.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || others.help());
            }
            let end = End(&others);
            let result = act(&Crew { others: Some(&others), calling: PhantomData });
            drop(end);
            result
        })
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.others.map_or(1, |others| others.threads)
    }

    /// Runs `act(0)` to `act(parts - 1)`, each once, in any order and on any thread of the crew, and returns when all are done.
    ///
    /// # Panics
    /// If a part does.
    pub fn share(&self, parts: usize, act: impl Fn(usize) + Sync) {
        match self.others.filter(|_| parts > 1) {
            Some(others) => others.share(parts, &act),
            None => (0..parts).for_each(act),
        }
    }
}

impl Others {
    fn share(&self, parts: usize, act: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes. Nobody reads the pointer after `Closing` below has seen the last thread leave.
        let work = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Work>(act) };
        // SAFETY: the state is closed and nobody has begun; see `Closing`. So nobody else looks at it.
        unsafe { *self.work.get() = Some((work, parts)) };
        self.next.store(0, Ordering::Relaxed);
        let piece = self.state.load(Ordering::Relaxed) & !(PIECE - 1);
        self.state.store(piece.wrapping_add(PIECE) | OPEN, Ordering::Release);
        let closing = Closing(self);
        self.claim(parts, act);
        drop(closing);
        assert!(!self.broken.load(Ordering::Relaxed), "a part of the work panicked in another thread");
    }

    fn claim(&self, parts: usize, act: &(dyn Fn(usize) + Sync)) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return;
            }
            act(part);
        }
    }

    /// Works on every piece that is open until all is over.
    fn help(&self) {
        let (mut last, mut looks) = (0, 0);
        while !self.over.load(Ordering::Relaxed) {
            let state = self.state.load(Ordering::Relaxed);
            if state & OPEN == 0 || state / PIECE == last {
                wait(&mut looks);
                continue;
            }
            if self.state.compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            (last, looks) = (state / PIECE, 0);
            let _leaving = Leaving(self);
            // SAFETY: this thread has begun while the state was open, so what was written before that stays until it has left.
            let (work, parts) = unsafe { (*self.work.get()).expect("open work is there") };
            // SAFETY: the call to `share` whose closure this is waits for this thread to leave.
            self.claim(parts, unsafe { &*work });
        }
    }
}

/// Lets time pass between two looks at the state, of which there have been `looks`.
fn wait(looks: &mut u32) {
    *looks = looks.saturating_add(1);
    if *looks < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// Lets nobody begin any more and waits for those that have, also when a part panics here.
struct Closing<'a>(&'a Others);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.0.state.load(Ordering::Acquire) & (OPEN - 1) != 0 {
            wait(&mut looks);
        }
    }
}

struct Leaving<'a>(&'a Others);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
        self.0.state.fetch_sub(1, Ordering::Release);
    }
}

struct End<'a>(&'a Others);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// A slice of which the parts of shared work write different elements.
pub(crate) struct Apart<'a, T> {
    first: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a mutable slice whose elements go to one thread each, by the promise of `part`'s callers.
unsafe impl<T: Send> Sync for Apart<'_, T> {}

impl<'a, T> Apart<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { first: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// `len` elements from `start`.
    ///
    /// # Safety
    /// While they are borrowed nobody else asks for any of them.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the caller promises that no two are the same")]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "within the slice");
        // SAFETY: the elements are in the slice, and the caller promises that nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn every_part_of_every_piece_is_done_once_and_before_the_next() {
        for threads in [0, 1, 2, 5] {
            Crew::gather(threads, |crew| {
                let mut counts = vec![0u32; 40];
                for piece in 1..500u32 {
                    let parts = piece as usize % 41;
                    let before = counts.clone();
                    let apart = Apart::new(&mut counts);
                    // SAFETY: every part asks for its own element.
                    crew.share(parts, |part| unsafe { apart.part(part, 1)[0] += piece });
                    assert!((0..40).all(|part| counts[part] == before[part] + if part < parts { piece } else { 0 }));
                }
            });
        }
    }

    #[test]
    fn a_panic_in_any_part_reaches_the_caller_and_nobody_waits_for_ever() {
        for broken in 0..8 {
            let work = AssertUnwindSafe(|| Crew::gather(3, |crew| crew.share(8, |part| assert!(part != broken, "part {part}"))));
            assert!(catch_unwind(work).is_err(), "{broken}");
        }
    }
}
