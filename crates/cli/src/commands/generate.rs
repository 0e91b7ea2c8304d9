//! `attackline generate`.

use super::hint::hint;
use crate::diagnostics::say;
use crate::exit::Status;
use crate::output::unwritten;
use anyhow::{Result, anyhow};
use attackline_dataset::{DatasetError, GenerateOptions, LabelSet, Row, Shortfall, generate, holds_data, label_table, write_folder};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  attackline generate -o data/
  attackline generate --samples 100000 --seed 1 -o data/ --clobber

Rows made from one template, and near duplicates, stand in one of the three files only: 80, 10 and 10 per cent of the rows. The tables that
are shown tell how often each wrapper, rendering and obfuscation occurs in each label: none of them gives a label away.";

/// Make labelled lines: train.csv, validation.csv, test.csv and manifest.json.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// How many lines, over all three files
    #[arg(long, value_name = "N", default_value = "20000")]
    samples: usize,
    /// Seed; the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value = "7")]
    seed: u64,
    /// Benign and these techniques, divided by commas, or all that there are templates for [default: the specification's T1003.002,
    /// T1087.001 and T1049]
    #[arg(long, value_name = "LIST|all", value_delimiter = ',')]
    labels: Vec<String>,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace the files of an earlier run
    #[arg(long)]
    clobber: bool,
}

/// A column that must not give the label away.
type Property = fn(&Row) -> &str;

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    if !args.clobber && holds_data(&args.output) {
        anyhow::bail!("{} holds data already; --clobber replaces them", args.output.display());
    }
    let labels = match &args.labels[..] {
        [] => LabelSet::Specification,
        [all] if all == "all" => LabelSet::All,
        named => LabelSet::Only(named.iter().map(|label| label.trim().to_owned()).collect()),
    };
    let many = labels != LabelSet::Specification;
    let set = generate(&GenerateOptions { labels, samples: args.samples, seed: args.seed }).map_err(|error| match &error {
        DatasetError::NoTemplates(label) => anyhow!("--labels: there are no templates for {label:?}{}; all generates what there is", hint(label)),
        _ => error.into(),
    })?;
    let manifest = write_folder(&args.output, &set, args.clobber).map_err(|error| unwritten(&args.output, error))?;
    let properties: [(&str, Property); 3] =
        [("wrapper", |row| &row.wrapper), ("rendering", |row| &row.rendering), ("obfuscation", |row| &row.obfuscation)];
    // With hundreds of labels the tables would be wider than any screen.
    for (title, property) in properties.into_iter().filter(|_| !many) {
        let rows = set.train.iter().chain(&set.validation).chain(&set.test);
        say(format_args!("{}", label_table(title, rows, property)));
    }
    for (side, counts) in &manifest.counts {
        let counts: Vec<String> = counts.iter().map(|(label, count)| format!("{label} {count}")).collect();
        let labels = if many { format!("{} labels", counts.len()) } else { counts.join(", ") };
        say(format_args!("{side:<10}  {labels}"));
    }
    tell_shortfall(&set.shortfall);
    say(format_args!("{} templates, seed {}, written to {}", manifest.templates, manifest.seed, args.output.display()));
    Ok(Status::Done)
}

/// Says what is missing of the rows that were asked for, and why.
fn tell_shortfall(found: &Shortfall) {
    let Shortfall { asked, made, techniques, thin, enough, exhausted, without } = found;
    if made < asked {
        let rounded = if *thin == 0 && *exhausted == 0 { ": shares are rounded down to whole rows" } else { "" };
        say(format_args!("{made} rows instead of {asked}{rounded}"));
    }
    if *thin > 0 {
        say(format_args!(
            "warning: for {thin} of the {techniques} techniques a tenth of {asked} samples has no row; from --samples {enough} on each has one \
             in every file"
        ));
    }
    if *exhausted > 0 {
        say(format_args!(
            "{exhausted} labels have fewer rows than their share, for their templates give no more lines: a template stands in one file only"
        ));
    }
    for (side, kind) in without {
        say(format_args!("warning: {}.csv has no {kind} row: all templates of these labels stand in the other files; add labels", side.name()));
    }
}
