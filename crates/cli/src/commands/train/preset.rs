//! Presets: flags under a name. What the command line says itself goes first.

use std::ffi::OsString;

/// Names and the flags that they stand for.
const PRESETS: [(&str, &[(&str, &str)]); 2] = [
    (
        "specification-lora",
        &[
            ("--base", "microsoft/deberta-v3-base"),
            ("--method", "lora"),
            ("--lora-rank", "8"),
            ("--lora-alpha", "16"),
            ("--labels", "T1003.002,T1087.001,T1049"),
            ("--max-length", "128"),
            ("--dtype", "bf16"),
        ],
    ),
    (
        "specification-bitfit",
        &[("--base", "FacebookAI/roberta-base"), ("--method", "bitfit"), ("--labels", "T1003.002,T1087.001,T1049"), ("--max-length", "128")],
    ),
];

/// The names.
pub fn names() -> [&'static str; 2] {
    PRESETS.map(|(name, _)| name)
}

/// Puts the preset's flags, those that are not given, after the command `train`.
pub fn expand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|command| command != "train") {
        return arguments;
    }
    let said = |flag: &str| {
        arguments.iter().position(|argument| {
            argument.to_str().is_some_and(|text| text == flag || text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
        })
    };
    let name = said("--preset").and_then(|place| match arguments[place].to_str()?.split_once('=') {
        Some((_, name)) => Some(name.to_owned()),
        None => arguments.get(place + 1)?.to_str().map(str::to_owned),
    });
    let Some((_, flags)) = PRESETS.iter().find(|(preset, _)| name.as_deref() == Some(preset)) else { return arguments };
    // A preset's settings of LoRA are of no use to another method that was asked for.
    let lora = said("--method").is_none_or(|place| {
        let given = arguments[place].to_str().and_then(|text| Some(text.split_once('=')?.1)).or_else(|| arguments.get(place + 1)?.to_str());
        given == Some("lora")
    });
    let wanted = |flag: &str| said(flag).is_none() && (lora || !flag.starts_with("--lora-"));
    let added: Vec<OsString> =
        flags.iter().filter(|(flag, _)| wanted(flag)).flat_map(|(flag, value)| [OsString::from(flag), OsString::from(value)]).collect();
    arguments.splice(2..2, added);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> String {
        let words = expand(line.split(' ').map(OsString::from).collect());
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_preset_stands_for_its_flags_and_what_is_given_goes_first() {
        let line = expanded("attackline train --preset specification-lora --base mine --lora-rank=4 -o out");
        assert!(
            line.starts_with(
                "attackline train --method lora --lora-alpha 16 --labels T1003.002,T1087.001,T1049 --max-length 128 --dtype bf16 --preset"
            ),
            "{line}"
        );
        for method in ["--method full", "--method=full"] {
            assert!(!expanded(&format!("attackline train --preset specification-lora {method}")).contains("--lora-"), "{method}");
        }
        assert!(expanded("attackline train --preset specification-lora --method lora").contains("--lora-rank 8"));
        assert!(expanded("attackline train --preset=specification-bitfit").contains("--method bitfit"));
        for unchanged in
            ["attackline train --preset other", "attackline train --preset", "attackline classify --preset specification-lora", "attackline"]
        {
            assert_eq!(expanded(unchanged), unchanged);
        }
    }
}
