//! YAML within bounds: aliases that unfold to millions of nodes, and nesting without end, are refused.

use serde::de::DeserializeOwned;
use serde_saphyr::{budget, options, options::DuplicateKeyPolicy};

/// Bytes of the largest YAML file that is read.
pub(super) const LARGEST: u64 = 4 << 20;

/// Reads one document. The message says where it is wrong.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = options! {
        budget: budget! { max_aliases: 100, max_anchors: 100, max_depth: 40, max_nodes: 200_000, max_documents: 1 },
        // As most readers of YAML do: what comes later holds.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| format!("not the YAML that is wanted: {error}"))
}
