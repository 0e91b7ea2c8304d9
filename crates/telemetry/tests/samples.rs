//! The readers over real logs, which stand beside the checkout.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::path::PathBuf;

use attackline_telemetry::{Counts, InputPath, Inputs, LogLine, ReadError, ReadOptions};

fn sample(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples")).join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: the sample logs are not beside the checkout ({})", path.display());
    None
}

fn read(path: PathBuf) -> (Vec<LogLine>, Vec<ReadError>, Counts) {
    let mut inputs = Inputs::new(vec![InputPath::Path(path)], ReadOptions::default());
    let (lines, errors) = common::sort(inputs.by_ref());
    (lines, errors, inputs.counts())
}

#[test]
fn every_sample_is_read() {
    // Name, lines, errors, records skipped.
    let wanted: &[(&str, usize, usize, u64)] = &[
        ("Application_no_crc32.evtx", 0, 0, 17),
        ("Security_short_selected.evtx", 0, 0, 7),
        ("Security_with_size_t.evtx", 0, 0, 636),
        ("new-user-security.evtx", 0, 0, 4),
        ("sample-with-irregular-bool-values.evtx", 0, 0, 3028),
        ("sample-with-zero-data-size-event.evtx", 0, 1, 449),
        ("sample_with_a_bad_chunk_magic.evtx", 0, 3, 301),
        ("security_bad_string_cache.evtx", 0, 0, 2261),
        // Eight of its seventeen chunks are junk.
        ("sysmon.evtx", 227, 8, 131),
        ("system.evtx", 0, 0, 1881),
        ("cmd_psexec_lsa_secrets_dump.zip", 8, 0, 278),
        ("cmd_sam_copy_esentutl.zip", 2, 0, 913),
        ("cmd_seatbelt_group_user.zip", 4, 0, 447),
        // 42 events, of which seven are parts of two script blocks.
        ("empire_getsession_dcerpc_smb_srvsvc_NetSessEnum.zip", 37, 0, 5005),
        ("empire_shell_net_local_users.zip", 10, 0, 1897),
        ("empire_shell_reg_dump_sam.zip", 2, 0, 736),
        ("sh_arp_cache.zip", 2, 0, 0),
    ];
    let mut found = Vec::new();
    for folder in ["evtx", "json"] {
        let Some(folder) = sample(folder) else { return };
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (lines, errors, counts) = read(path);
            for error in errors.iter().take(3) {
                eprintln!("{error}");
            }
            found.push((name, lines.len(), errors.len(), counts.skipped));
        }
    }
    let found: Vec<_> = found.iter().map(|(name, lines, errors, skipped)| (name.as_str(), *lines, *errors, *skipped)).collect();
    assert_eq!(found, wanted);
}
