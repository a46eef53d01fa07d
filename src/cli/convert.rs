//! `rustwsgi convert`: how a site is served today, as a flat uwsgi.ini on stdout.
//!
//! Called by `run` with the words behind `convert`: a `uwsgi.ini`, a `gunicorn.conf.py`, or the
//! command line of gunicorn or Granian as it is typed. Reads files; runs and changes nothing.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::{complain, say};
use crate::config::Source;
use crate::config::convert::{CONFIG_FILE, Conversion, configuration_named};
use crate::error::{Code, Error, Result};

/// Larger is no configuration file.
const LARGEST: u64 = 1 << 20;

/// Converts what `words` name and says it on stdout. Answers with the exit code.
///
/// Errors: nothing that is known how to convert, a file that can't be read.
pub fn convert(words: &[String]) -> Result<i32> {
    let words = taken_apart(words);
    let Some(first) = words.first() else {
        return Err(unclear("`convert` needs something to convert".into()));
    };
    let file = first.rsplit_once(':').map_or(first.as_str(), |(file, _)| file);
    if words.len() == 1 && is_configuration(first, file) {
        return flatten(first);
    }
    if words.len() == 1 && first.ends_with(".py") {
        return Ok(say(&Conversion::of_gunicorn_configuration(first, &read(first)?).text()));
    }
    let named = configuration_named(&words);
    let name = named.clone().unwrap_or_else(|| CONFIG_FILE.into());
    let configuration = match named.is_some() || Path::new(&name).is_file() {
        // gunicorn also takes a module, which only Python finds.
        true if !name.starts_with("python:") && is_gunicorn(&words) => Some(read(&name)?),
        _ => None,
    };
    let configuration = configuration.as_deref().map(|text| (name.as_str(), text));
    match Conversion::of_command(&words, configuration) {
        Some(conversion) => Ok(say(&conversion.text())),
        None => Err(unclear(format!("cannot tell how to convert `{first}`"))),
    }
}

/// One word that is a whole command line is taken apart at its blanks and quotes.
fn taken_apart(words: &[String]) -> Vec<String> {
    match words {
        [line] if line.contains(' ') && !Path::new(line).exists() => split(line),
        _ => words.to_vec(),
    }
}

fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn is_configuration(whole: &str, file: &str) -> bool {
    [".ini", ".yaml", ".yml", ".json", ".xml", ".toml"]
        .iter()
        .any(|ending| whole.ends_with(ending) || file.ends_with(ending))
}

fn is_gunicorn(words: &[String]) -> bool {
    words.iter().any(|word| Path::new(word).file_name().is_some_and(|name| name == "gunicorn"))
}

fn flatten(file: &str) -> Result<i32> {
    let directory =
        std::env::current_dir().map_err(|cause| Error::system("cannot tell the working directory", cause))?;
    let source = Source {
        files: vec![file.to_owned()],
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        started: SystemTime::now(),
        ..Source::default()
    };
    Ok(match Conversion::flatten(&source, &directory) {
        Ok((conversion, warnings)) => {
            warnings.iter().for_each(|warning| complain(warning));
            say(&conversion.text())
        }
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            1
        }
    })
}

fn read(name: &str) -> Result<String> {
    let unreadable =
        |cause: String| Error::new(Code::ConfigUnreadable, format!("cannot read `{name}`: {cause}")).at("argv");
    match fs::metadata(name) {
        Ok(metadata) if !metadata.is_file() => return Err(unreadable("it is not a file".into())),
        Ok(metadata) if metadata.len() > LARGEST => return Err(unreadable("it is larger than 1 MiB".into())),
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(unreadable("no such file".into())),
        Err(cause) => return Err(unreadable(cause.to_string())),
    }
    let bytes = fs::read(name).map_err(|cause| unreadable(cause.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unclear(message: String) -> Error {
    Error::new(Code::BadCommandLine, message)
        .at("argv")
        .hint("rustwsgi convert uwsgi.ini")
        .hint("rustwsgi convert gunicorn.conf.py")
        .hint("rustwsgi convert gunicorn blog.wsgi --workers 4")
        .hint("rustwsgi convert granian --interface wsgi blog.wsgi:application")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_a_shell_does() {
        assert_eq!(split("gunicorn  'a b' \"c\" d'e f'g ''"), ["gunicorn", "a b", "c", "de fg", ""]);
        assert_eq!(taken_apart(&["gunicorn a".into()]), ["gunicorn", "a"]);
        assert_eq!(taken_apart(&["gunicorn".into(), "a b".into()]), ["gunicorn", "a b"]);
    }

    #[test]
    fn what_it_does_not_know_is_refused_with_examples() {
        let error = convert(&["uvicorn".into(), "blog:app".into()]).unwrap_err();
        assert_eq!(error.message, "cannot tell how to convert `uvicorn`");
        assert_eq!(error.hints.len(), 4);
        assert_eq!(convert(&[]).unwrap_err().message, "`convert` needs something to convert");
        assert_eq!(convert(&["no/such.py".into()]).unwrap_err().message, "cannot read `no/such.py`: no such file");
    }
}
