//! Ctrl-C: no half-written file stays behind, and a training run saves its state.

use crate::exit::Status;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

static PARTIAL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static INSTALL: Once = Once::new();

/// Remembers a file to delete if the program is interrupted; dropping the guard forgets it.
pub struct PartialFile(PathBuf);

impl PartialFile {
    /// Watches over `path`.
    pub fn new(path: &Path) -> Self {
        // Where a handler can't be installed, Ctrl-C leaves the temporary file: untidy, not wrong.
        INSTALL.call_once(|| drop(ctrlc::set_handler(delete_and_end)));
        PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

#[expect(clippy::exit, reason = "the reader may be blocked on a terminal that says nothing more")]
fn delete_and_end() {
    for path in PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = std::fs::remove_file(path);
    }
    std::process::exit(Status::Interrupted as i32)
}

/// A second signal within this time is the same wish: `timeout` and terminals send theirs to the process and once more to its group.
const SAME_WISH: Duration = Duration::from_millis(500);

/// A flag that Ctrl-C raises; a second Ctrl-C ends at once.
#[expect(clippy::exit, reason = "who asks twice does not want to wait for the checkpoint")]
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    INSTALL.call_once(|| {
        let mut first = None;
        let handler = move || {
            raised.store(true, Ordering::SeqCst);
            if first.get_or_insert_with(Instant::now).elapsed() > SAME_WISH {
                std::process::exit(Status::Interrupted as i32)
            }
        };
        drop(ctrlc::set_handler(handler));
    });
    flag
}
