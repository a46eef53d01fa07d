//! `--check`: everything that is wrong with a configuration, with the lines it stands on.
//!
//! Reads the files that messages are about once more, to show a line as it was written. Serves
//! nothing and changes nothing. Answers 2 when a start would be refused.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::say;
use crate::config::render::counted;
use crate::config::{Config, Source};
use crate::error::{Code, Error};

/// The exit code where something would stop a start.
const REFUSED: i32 = 2;

/// Tells everything, in words or as JSON. Answers with the exit code.
pub fn check(source: &Source, json: bool) -> Result<i32, Error> {
    let directory =
        std::env::current_dir().map_err(|cause| Error::system("cannot tell the working directory", cause))?;
    let (config, errors, warnings) = Config::examine(source, &directory);
    let mut files = Files { directory, lines: HashMap::new() };
    let errors = errors.iter().map(|error| ("error", error));
    let warnings = warnings.iter().map(|warning| ("warning", warning.message()));
    let findings: Vec<Finding> =
        errors.chain(warnings).map(|(severity, message)| Finding::new(severity, message, &mut files)).collect();
    let wrong = findings.iter().filter(|finding| finding.severity == "error").count();
    let text = match json {
        true => serde_json::to_string_pretty(&findings)
            .map_err(|cause| Error::new(Code::Internal, format!("cannot write JSON: {cause}")))?,
        false => in_words(&findings, wrong, config.option_count()),
    };
    say(&format!("{text}\n"));
    Ok(if wrong > 0 { REFUSED } else { 0 })
}

fn in_words(findings: &[Finding], wrong: usize, options: usize) -> String {
    let mut text = String::new();
    for finding in findings {
        let _ = writeln!(text, "{}\n", finding.in_words());
    }
    let warnings = counted(findings.len() - wrong, "warning");
    text + &match wrong {
        0 => format!("{} can be started: {warnings}", counted(options, "option")),
        _ => format!("{} and {warnings}: this can't be started", counted(wrong, "error")),
    }
}

/// One message and where it belongs, as an editor wants it.
#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    code: &'static str,
    title: &'static str,
    message: String,
    /// The file as named; absent for what was set elsewhere or nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The first letter that is wrong, from 1, and the one behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<(usize, usize)>,
    /// The line as it was written, or where else it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    facts: Vec<String>,
    hints: Vec<String>,
}

impl Finding {
    fn new(severity: &'static str, error: &Error, files: &mut Files) -> Self {
        let place = error.place();
        let written = place.map(|(file, line, text)| files.line(file, line).unwrap_or_else(|| text.to_owned()));
        let text = written.clone().or_else(|| error.at.clone());
        Self {
            severity,
            code: error.code.as_str(),
            title: error.code.title(),
            message: error.message.clone(),
            file: place.map(|(file, ..)| file.to_owned()),
            line: place.map(|(_, line, _)| line),
            columns: written.as_deref().and_then(|line| columns(line, error.part.as_deref()?)),
            text,
            facts: error.facts.clone(),
            hints: error.hints.clone(),
        }
    }

    /// The message, the line with the wrong part marked, the facts and the hints.
    fn in_words(&self) -> String {
        let mut text = format!("{}[{}]: {}", self.severity, self.code, self.message);
        match (&self.file, self.line, &self.text) {
            (Some(file), Some(number), line) => {
                let _ = write!(text, "\n  --> {file}:{number}");
                let width = number.to_string().len();
                if let Some(line) = line.as_deref().filter(|line| !line.is_empty()) {
                    let _ = write!(text, "\n {number} | {line}");
                }
                if let Some((from, to)) = self.columns {
                    let _ = write!(text, "\n {:width$} | {:from$}{}", "", "", "^".repeat(to - from), from = from - 1);
                }
            }
            (_, _, Some(place)) => {
                let _ = write!(text, "\n  --> {place}");
            }
            _ => {}
        }
        for line in self.facts.iter().flat_map(|fact| fact.trim_end().lines()) {
            let _ = write!(text, "\n  {line}");
        }
        for hint in &self.hints {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }
}

/// Where `part` stands in a line, in letters from 1. A part that came out of a variable is not
/// there: then it is all of the value.
fn columns(line: &str, part: &str) -> Option<(usize, usize)> {
    let value = line.find('=').map_or(0, |equals| equals + 1);
    let at = match line[value..].rfind(part).filter(|_| !part.is_empty()) {
        Some(at) if !is_key(line, part) => value + at..value + at + part.len(),
        _ => match line.find(part).filter(|_| !part.is_empty()) {
            Some(at) => at..at + part.len(),
            None => {
                let blanks = line[value..].len() - line[value..].trim_start().len();
                value + blanks..line.trim_end().len()
            }
        },
    };
    let letters = |bytes: usize| line[..bytes].chars().count() + 1;
    (at.start < at.end).then(|| (letters(at.start), letters(at.end)))
}

fn is_key(line: &str, part: &str) -> bool {
    line.split('=').next().is_some_and(|key| key.trim() == part)
}

/// The lines of the files that messages are about.
struct Files {
    directory: PathBuf,
    lines: HashMap<String, Vec<String>>,
}

impl Files {
    /// A line as it was written, without its end; `None` where the file can't be read again.
    fn line(&mut self, file: &str, number: usize) -> Option<String> {
        let directory = &self.directory;
        let lines = self.lines.entry(file.to_owned()).or_insert_with(|| read(&directory.join(file)));
        lines.get(number.checked_sub(1)?).cloned()
    }
}

fn read(path: &Path) -> Vec<String> {
    // A pipe would be empty now, or never end.
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let text = is_file.then(|| std::fs::read(path).ok()).flatten().unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(|line| line.replace('\t', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_value_the_key_or_all_of_it() {
        assert_eq!(columns("processes = four", "four"), Some((13, 17)));
        assert_eq!(columns("procesess = 4", "procesess"), Some((1, 10)));
        assert_eq!(columns("module = module", "module"), Some((1, 7)));
        assert_eq!(columns("chdir = %(base)/x", "/srv/x"), Some((9, 18)));
        assert_eq!(columns("näme = 4x", "4x"), Some((8, 10)));
        assert_eq!(columns("master", "x"), Some((1, 7)));
        assert_eq!(columns("", "x"), None);
    }

    #[test]
    fn shows_the_line_and_the_mark() {
        let error = Error::new(Code::OutOfRange, "`processes` takes more").at("x.ini:12: processes = 0").part("0");
        let mut files = Files { directory: "/nonexistent".into(), lines: HashMap::new() };
        let finding = Finding::new("error", &error.hint("processes = 1"), &mut files);
        assert_eq!(
            finding.in_words(),
            "error[RW0107]: `processes` takes more\n  --> x.ini:12\n 12 | processes = 0\n    |             ^\n\
             hint: processes = 1"
        );
    }
}
