//! What is said when a source can't be read: the sentences of the reader.
//!
//! Part of `read`, which decides that it can't.

use std::io::Error as IoError;
use std::path::PathBuf;

use super::*;

impl Reader<'_> {
    pub(super) fn unreadable(&self, named: &str, cause: &IoError, by: &Setting) -> Error {
        let directory = self.directory.display();
        let reason = reason(cause);
        let message = match Path::new(named).is_absolute() || named == "-" || named.contains("://") {
            true => format!("cannot read `{named}`: {reason}"),
            false => format!("cannot read `{named}` in {directory}: {reason}"),
        };
        let error = Error::new(Code::ConfigUnreadable, message).at(by);
        if ["%(", "$(", "@("].iter().any(|mark| named.contains(mark)) {
            let error = match by.key.as_str() {
                "" => error,
                key => error.fact(format!("`{key}` is followed before placeholders are replaced")),
            };
            return error.hint("`%d` is this file's directory; `inherit` comes after the placeholders");
        }
        if cause.kind() != std::io::ErrorKind::NotFound {
            return error;
        }
        if let Origin::File { .. } = by.origin {
            return self.hint_for_include(error, named, by);
        }
        nearby::hint_at_files(error, self.directory, named)
    }

    /// uWSGI looks for included files where it was started, not beside the file that names them.
    pub(super) fn hint_for_include(&self, error: Error, named: &str, by: &Setting) -> Error {
        let beside = self.open.last().and_then(|(path, _)| path.parent());
        match beside.map(|directory| directory.join(named)) {
            Some(path) if path.is_file() => {
                error.fact("it is looked for where rustwsgi was started").hint(format!("{} = %d{named}", by.key))
            }
            _ => error,
        }
    }

    /// The text behind a byte order mark, if there is one; uWSGI finds no section behind it.
    ///
    /// Errors: the mark is that of UTF-16.
    pub(super) fn without_mark<'t>(&mut self, text: &'t [u8], named: &str) -> Result<&'t [u8], Error> {
        if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
            let error = Error::new(Code::BadConfigFile, format!("`{named}` is written in UTF-16, and UTF-8 is read"));
            let file = Origin::File { file: named.into(), line: 1 };
            return Err(error.at(file).hint(format!("iconv -f UTF-16 -t UTF-8 {named} > new.ini")));
        }
        let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") else {
            return Ok(text);
        };
        let error = Error::new(Code::BadConfigFile, "the file begins with a byte order mark, which is skipped");
        let error = error.at(Origin::File { file: named.into(), line: 1 });
        self.findings.warn(error.fact("uWSGI would find no section in it").hint("save it as UTF-8 without a mark"));
        Ok(rest)
    }

    /// Names the block that is open, when there is too much.
    pub(super) fn looped(&self, error: Error) -> Error {
        match &self.block {
            Some(block) => error.fact(format!("in the block that begins at {}", block.setting)),
            None => error,
        }
    }

    pub(super) fn circle(&self, step: &(PathBuf, String), here: &FileFacts, by: &Setting) -> Error {
        let message = format!("`{}` includes itself", here.named);
        let chain: Vec<String> = self
            .open
            .iter()
            .chain([step])
            .map(|(path, section)| match section.as_str() {
                "" => path.display().to_string(),
                _ => format!("{}:{section}", path.display()),
            })
            .collect();
        Error::new(Code::BadConfigFile, message).at(by).fact(format!("read: {}", chain.join(" → ")))
    }
}

pub(super) fn takes(setting: &Setting, what: &str) -> Error {
    let message = format!("`{}` takes `{what}`, not `{}`", setting.key, setting.value);
    Error::new(Code::BadValue, message).at(setting)
}

pub(super) fn too_much(here: &FileFacts, by: &Setting) -> Error {
    let message =
        format!("`{}` has more than {MOST_SETTINGS} settings, or more than {} MB", here.named, MOST_FILE >> 20);
    Error::new(Code::TooLarge, message).at(by)
}

pub(super) fn no_file_before(setting: &Setting) -> Error {
    let message = format!("`{}` names a section, and no file was read before", setting.value);
    Error::new(Code::ConfigUnreadable, message)
        .at(setting)
        .hint(format!("{} = uwsgi.ini{}", setting.key, setting.value))
}

pub(super) fn unknown_format(named: &str, setting: &Setting) -> Error {
    let message = format!("cannot tell from the name how `{named}` is written");
    Error::new(Code::ConfigUnreadable, message).at(setting).hint(match setting.origin {
        Origin::CommandLine => format!("rustwsgi --ini {named}"),
        _ => format!("ini = {named}"),
    })
}

pub(super) fn no_section(ini: &Ini, here: &FileFacts, wanted: &str, by: &Setting) -> Error {
    let file = &here.named;
    let error = Error::new(Code::NoSection, format!("`{file}` has no section `[{wanted}]`"));
    let names = ini.names();
    let Some(first) = ini.sections.first() else {
        return error.at(by).fact("it has no section at all").hint(format!("make the first line `[{wanted}]`"));
    };
    let brackets: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
    let near = suggest::nearest(wanted, names.iter().copied()).first().copied();
    let (name, line) = match near {
        Some(near) => {
            let section = ini.sections.iter().find(|section| section.name == near);
            (near, section.map_or(first.line, |section| section.line))
        }
        None => (first.name.as_str(), first.line),
    };
    let error = error.at(format_args!("{file}:{line}: [{name}]")).fact(format!("it has: {}", brackets.join(", ")));
    match near {
        Some(near) => error.hint(format!("did you mean `[{wanted}]` where it says `[{near}]`?")),
        None => error,
    }
    .hint(format!("rustwsgi --ini {file}:{name}"))
}

/// What a section's line that does not end in `]` comes to. uWSGI cuts its last character all the same.
pub(super) fn unclosed(error: Error, name: &str, wanted: &str) -> Error {
    let shown = name.chars().take(SHOWN_NAME).collect::<String>();
    let error = error.fact(format!("the last character of the line is taken for the `]`: it is read as `[{shown}]`"));
    match is_near(name, wanted) {
        true if name.contains([';', '#']) => {
            error.hint(format!("[{wanted}]")).hint("a comment needs a line of its own")
        }
        true => error.hint(format!("[{wanted}]")),
        false => error,
    }
}

/// Whether one of the names begins with the other.
pub(super) fn is_near(name: &str, wanted: &str) -> bool {
    name.starts_with(wanted) || !name.is_empty() && wanted.starts_with(name)
}

/// How much of a section's name is shown.
const SHOWN_NAME: usize = 60;

/// A file of another format that has not what sections are in an ini file.
pub(super) fn no_top(format: Format, here: &FileFacts, wanted: &str, by: &Setting) -> Error {
    let message = format!("`{}` has no `{wanted}` at its top", here.named);
    let error = Error::new(Code::NoSection, message).at(by);
    match format {
        Format::Yaml => error.hint(format!("put all of it below a line `{wanted}:`, two blanks further in")),
        Format::Json => error.hint(format!("put all of it into {{\"{wanted}\": {{ … }}}}")),
        Format::Xml => error.hint(format!("put all of it into <{wanted}> … </{wanted}>")),
        Format::Toml => error.hint(format!("make the first line `[{wanted}]`")),
        Format::Ini => error,
    }
}
