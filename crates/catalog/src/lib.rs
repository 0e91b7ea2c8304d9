//! Every technique and sub-technique of MITRE ATT&CK Enterprise: pure data, no I/O.
//!
//! The table under `data/` is made by `cargo xtask attack-table PATH` from ATT&CK's own data; it is parsed once, on the
//! first look-up.
//!
//! © The MITRE Corporation. ATT&CK data is reproduced and distributed with the permission of The MITRE Corporation; see
//! [`ATTRIBUTION`].

mod suggest;
mod table;
mod tactic;
mod technique;
mod versions;

pub use suggest::suggest;
pub use table::{technique, techniques};
pub use tactic::{TACTICS, Tactic};
pub use technique::Technique;
pub use versions::from_any_version;

/// The version of ATT&CK Enterprise that the table follows.
pub const ATTACK_VERSION: &str = "18.1";

/// What MITRE's terms of use ask to be said wherever ATT&CK's content is shown or copied.
pub const ATTRIBUTION: &str = "\
MITRE ATT&CK Enterprise 18.1. © 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of \
The MITRE Corporation. MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation.";
