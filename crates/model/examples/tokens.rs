//! Prints the tokens of lines as they are, to compare them with another implementation's: `tokens MODEL_DIR < lines.ndjson`, each line
//! `{"text": …}`, gives one JSON list of ids a line. Special tokens, preparation and truncation are left out.
#![allow(clippy::print_stdout, reason = "an example that reports")]

use attackline_model::ModelFolder;
use std::{error::Error, io::Write, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1) else {
        println!("usage: tokens MODEL_DIR < lines.ndjson");
        return Ok(());
    };
    let tokenizer = ModelFolder::read_tokenizer(Path::new(&folder), 1 << 20)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut out, &tokenizer.tokens(row["text"].as_str().unwrap_or_default())?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
