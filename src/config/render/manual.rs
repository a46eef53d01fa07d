//! The manual page, in roff, from the option table.
//!
//! Called through `--generate man`. Has every option that is built; the others are in the reference.

use std::fmt::Write as _;

use crate::config::Config;
use crate::config::option::{Group, OptionDef};

/// The text of `rustwsgi.1`.
pub fn manual() -> String {
    let mut text = format!(
        ".TH RUSTWSGI 1 \"\" \"rustwsgi {}\"\n\
         .SH NAME\nrustwsgi \\- serve Python sites from a uwsgi.ini\n\
         .SH SYNOPSIS\n.B rustwsgi\n[\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n\
         .SH DESCRIPTION\nServes WSGI applications with the options, the configuration files and the protocol of uWSGI.\n\
         Every option may stand in a file as \\fBoption = value\\fR.\n\
         .SH OPTIONS\n",
        env!("CARGO_PKG_VERSION")
    );
    for group in Group::ALL {
        let options: Vec<_> =
            OptionDef::all().filter(|option| option.group == *group && option.state.is_built()).collect();
        if !options.is_empty() {
            let _ = writeln!(text, ".SS {}", group.title());
        }
        for option in options {
            text.push_str(&entry(option));
        }
    }
    text.push_str(
        ".SH EXIT STATUS\n0 on success, 1 when a start is refused, 2 when \\-\\-check finds errors, \
         22 when the application can't be loaded.\n",
    );
    text
}

fn entry(option: &OptionDef) -> String {
    let short = option.short.map(|short| format!("\\-{short}"));
    let long = option.names.iter().map(|name| format!("\\-\\-{}", escaped(name)));
    let names: Vec<String> = short.into_iter().chain(long).map(|name| format!("\\fB{name}\\fR")).collect();
    let value = option.placeholder().map_or(String::new(), |value| format!(" \\fI{}\\fR", escaped(value)));
    let mut text = format!(".TP\n{}{value}\n{}.\n", names.join(", "), escaped(&option.help()));
    for line in option.doc.iter().skip(1) {
        let _ = writeln!(text, "{}", escaped(line.trim()));
    }
    if let Some(default) = Config::default().shown(option) {
        let _ = writeln!(text, "Default: {}.", escaped(&default));
    }
    text
}

/// Text as roff takes it: no line is a request, no backslash an escape, no letter beyond ASCII.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let text: String = text
        .chars()
        .map(|letter| if letter.is_ascii() { letter.into() } else { format!("\\[u{:04X}]", u32::from(letter)) })
        .collect();
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_option_has_an_entry() {
        let page = manual();
        assert!(page.is_ascii());
        for option in OptionDef::all() {
            let name = format!("\\fB\\-\\-{}\\fR", escaped(option.name()));
            assert_eq!(page.contains(&name), option.state.is_built(), "{}", option.name());
        }
        assert!(page.contains(".TP\n\\fB\\-p\\fR, \\fB\\-\\-processes\\fR, \\fB\\-\\-workers\\fR \\fIN\\fR\n"));
    }
}
