//! One page for a browser that is offline: no scripts, nothing fetched, pictures as SVG in the page, light and dark. Whatever comes from
//! a log or a file is escaped.

mod beside;
mod page;
mod plot;
mod plots;
mod sections;
mod tables;

pub use page::html_page;

/// Text as HTML shows it literally; control characters are left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}
