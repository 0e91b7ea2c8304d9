//! How much a client may send, and for how long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bounds on requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a JSON body.
    pub body_bytes: usize,
    /// Bytes of a file, or of an NDJSON body.
    pub file_bytes: u64,
    /// Bytes of one line: a row of NDJSON, or a text of a JSON request. What files hold is cut at 1 MB instead, as everywhere.
    pub line_bytes: usize,
    /// Lines of one request.
    pub lines: u64,
    /// Lines that wait at a time, of all requests.
    pub waiting_lines: usize,
    /// Connections at a time.
    pub connections: usize,
    /// The longest pause in what a client sends, and in what it takes. A JSON body must be there within four of them.
    pub pause: Duration,
    /// How long a request that is under way may go on after the server was told to stop.
    pub shutdown: Duration,
    /// Requests a second of one client; `None` does not count.
    pub requests_per_second: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            file_bytes: 1 << 30,
            line_bytes: 1 << 20,
            lines: 10_000_000,
            waiting_lines: 20_000,
            connections: 1024,
            pause: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
            requests_per_second: None,
        }
    }
}

/// Clients that are remembered; the longest silent are forgotten first.
const CLIENTS: usize = 10_000;

/// A token bucket for each client: a second's worth of requests at once, then so many a second.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<String, (f64, Instant)>>);

impl Rates {
    /// Whether this client may send one more request now.
    pub fn allow(&self, client: &str, per_second: u32) -> bool {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if clients.len() >= CLIENTS && !clients.contains_key(client) {
            // Who was silent for a second has a full bucket and need not be remembered.
            clients.retain(|_, (_, last)| now.duration_since(*last) < Duration::from_secs(1));
        }
        let full = f64::from(per_second);
        let (left, last) = clients.entry(client.to_owned()).or_insert((full, now));
        *left = (*left + now.duration_since(*last).as_secs_f64() * full).min(full);
        *last = now;
        let allowed = *left >= 1.0;
        *left -= f64::from(u8::from(allowed));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_rate() {
        let rates = Rates::default();
        assert_eq!((0..10).filter(|_| rates.allow("one", 5)).count(), 5);
        assert!(rates.allow("two", 5));
    }
}
