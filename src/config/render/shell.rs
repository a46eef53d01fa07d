//! Completion for the shells, from the option table.
//!
//! Called through `--generate`. A script holds the names and asks for nothing at run time.

use std::fmt::Write as _;

use crate::config::option::{Argument, Kind, OptionDef};

/// A shell that completion is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// The completion script of a shell, for `rustwsgi`: every built option, files where files go.
pub fn completion(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    }
}

fn built() -> impl Iterator<Item = (&'static str, &'static OptionDef)> {
    let options = OptionDef::all().filter(|option| option.state.is_built());
    options.flat_map(|option| option.names.iter().map(move |name| (*name, option)))
}

fn takes_file(option: &OptionDef) -> bool {
    matches!(option.kind, Kind::File | Kind::Path | Kind::Socket(_))
        || option.placeholder().is_some_and(|value| value.contains("FILE"))
}

/// The words that are all an option takes, as in `--generate`.
fn choices(option: &OptionDef) -> Option<Vec<&'static str>> {
    let words: Vec<_> = option.placeholder()?.split('|').collect();
    let all_words = words.len() > 1 && words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    all_words.then_some(words)
}

fn bash() -> String {
    let words: Vec<String> = built().map(|(name, _)| format!("--{name}")).collect();
    let files: Vec<String> =
        built().filter(|(_, option)| takes_file(option)).map(|(name, _)| format!("--{name}")).collect();
    let valued: Vec<String> = built()
        .filter(|(_, option)| option.argument() == Argument::Required && !takes_file(option))
        .filter(|(_, option)| choices(option).is_none())
        .map(|(name, _)| format!("--{name}"))
        .collect();
    let chosen: String = built()
        .filter_map(|(name, option)| Some((name, choices(option)?.join(" "))))
        .map(|(name, words)| {
            format!("--{name}) COMPREPLY=($(compgen -W \"{words}\" -- \"$word\")); return ;;\n        ")
        })
        .collect();
    format!(
        "# bash completion for rustwsgi\n\
         _rustwsgi() {{\n    \
         local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
         case $before in\n        \
         {chosen}{}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n        \
         {}) COMPREPLY=(); return ;;\n    \
         esac\n    \
         case $word in\n        \
         -*) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")) ;;\n        \
         *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    \
         esac\n\
         }}\n\
         complete -o filenames -F _rustwsgi rustwsgi\n",
        files.join("|"),
        valued.join("|"),
        words.join(" ")
    )
}

fn zsh() -> String {
    let mut text = String::from("#compdef rustwsgi\n\n_arguments \\\n");
    for (name, option) in built() {
        let help = option.help().replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
        let star = if option.repeats() { "*" } else { "" };
        let value = match (option.argument(), takes_file(option)) {
            (Argument::Required, _) if choices(option).is_some() => {
                format!(":{name}:({})", choices(option).unwrap_or_default().join(" "))
            }
            (Argument::Optional, _) => String::new(),
            (Argument::Required, true) => ":file:_files".into(),
            (Argument::Required, false) => format!(":{}:", option.placeholder().unwrap_or("value")).replace('|', " "),
        };
        let equals = if value.is_empty() { "" } else { "=" };
        let _ = writeln!(text, "  '{star}--{name}{equals}[{help}]{value}' \\");
    }
    text.push_str("  '*:file:_files'\n");
    text
}

fn fish() -> String {
    let mut text = String::from("# fish completion for rustwsgi\n");
    for (name, option) in built() {
        let help = option.help().replace('\\', "\\\\").replace('\'', "\\'");
        let short = match option.short.filter(|_| name == option.name()) {
            Some(short) => format!(" -s {short}"),
            None => String::new(),
        };
        let words = choices(option).map(|words| format!(" -x -a '{}'", words.join(" ")));
        let value = match (option.argument(), takes_file(option)) {
            _ if words.is_some() => words.as_deref().unwrap_or_default(),
            (Argument::Optional, _) => "",
            (Argument::Required, true) => " -r -F",
            (Argument::Required, false) => " -x",
        };
        let _ = writeln!(text, "complete -c rustwsgi -l {name}{short}{value} -d '{help}'");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_name_is_completed() {
        let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(completion);
        for (name, _) in built() {
            assert!(scripts[0].contains(&format!("--{name}")), "{name}");
            assert!(scripts[1].contains(&format!("--{name}")), "{name}");
            assert!(scripts[2].contains(&format!(" -l {name} ")), "{name}");
        }
        assert!(!scripts[0].contains("--rawrouter"));
    }
}
