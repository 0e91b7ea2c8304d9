//! The tldr pages: a command's page has examples, each a line between backticks, with what the reader is to fill in between braces.

use super::files::{files, has_extension, place, text};
use super::fill::{fill, user};
use super::{BENIGN, Import, ImportedRow, LONGEST_TEXT, Origin, TOO_LONG};
use std::path::Path;

/// Bytes of the largest page that is read.
const LARGEST: u64 = 1 << 20;

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    for file in files(path, "English pages (pages/*/*.md)", is_english, import) {
        let Some(text) = text(&file, LARGEST, import) else { continue };
        import.files += 1;
        let place = place(&file, path, "pages");
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let (platform, kind) = match &*folder {
            "windows" => ("windows", "process_creation"),
            "osx" => ("macos", "shell"),
            _ => ("linux", "shell"),
        };
        for line in text.lines().map(str::trim) {
            let Some(example) = line.strip_prefix('`').and_then(|line| line.strip_suffix('`')).filter(|example| !example.contains('`')) else {
                continue;
            };
            if example.len() > LONGEST_TEXT {
                import.pass_over(TOO_LONG, 1);
                continue;
            }
            let text = filled(example, platform == "windows");
            let cmdlet = platform == "windows" && is_cmdlet(&text);
            let kind = if cmdlet { "powershell" } else { kind };
            let row = origin.row(&place, BENIGN, kind, platform, text);
            import.take(ImportedRow { realism: "doc".into(), ..row });
        }
    }
}

/// Translations lie in `pages.de` and its like.
fn is_english(path: &Path) -> bool {
    let translated = path.components().any(|part| part.as_os_str().to_str().is_some_and(|name| name.starts_with("pages.") && name != "pages.en"));
    has_extension(path, &["md"]) && !translated && path.file_name().is_some_and(|name| name != "README.md" && name != "CONTRIBUTING.md")
}

/// `Add-AppxPackage`: a verb and a noun, each with a capital.
fn is_cmdlet(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.split_once('-').is_some_and(|(verb, noun)| [verb, noun].iter().all(|part| part.starts_with(|c: char| c.is_ascii_uppercase())))
}

/// The example with what stands between its braces, the first where it is a choice, and paths that a user may have.
fn filled(example: &str, windows: bool) -> String {
    let text = fill(example, "{{", "}}", |inner| Some(value(inner, example, windows)));
    text.replace("\\{\\{", "{{").replace("\\}\\}", "}}")
}

fn value(inner: &str, seed: &str, windows: bool) -> String {
    let inner = inner.trim();
    // An option's two names are written in square brackets.
    let choice = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).filter(|choice| choice.contains('|')).unwrap_or(inner);
    let first = choice.split('|').next().unwrap_or(choice).trim();
    let first = first.strip_suffix("...").unwrap_or(first).trim_end();
    let (open, home) =
        if windows { ("path\\to\\", format!("C:\\Users\\{}\\Documents\\", user(seed))) } else { ("path/to/", format!("/home/{}/", user(seed))) };
    let first = if windows { first.replace("path/to/", open) } else { first.to_owned() };
    first.replace(&format!("/{open}"), open).replace(open, &home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_filled_in_is_filled_in() {
        let user = user("x {{path/to/a b}} {{path/to/c ...}}");
        assert_eq!(filled("x {{path/to/a b}} {{path/to/c ...}}", false), format!("x /home/{user}/a b /home/{user}/c"));
        for (example, wanted) in [
            ("tar {{[-x|--extract]}} -t{{7z|zip}}", "tar -x -t7z"),
            ("echo {{{1,2}}} ${{variable}}", "echo {1,2} $variable"),
            ("docker --format \"\\{\\{.ID\\}\\}\"", "docker --format \"{{.ID}}\""),
            ("open {{never", "open {{never"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(example, false), wanted);
        }
        let windows = filled("attrib {{path\\to\\directory}} {{path/to/x}}", true);
        assert!(windows.starts_with("attrib C:\\Users\\") && !windows.contains("path"), "{windows}");
    }
}
