//! Options that a configuration makes up for itself (uWSGI: `--declare-option`).
//!
//! `declare-option = name=chdir=$1;harakiri=$2` makes `name = /srv 30` set the two. Called by
//! `Config::load` when placeholders are replaced, because they are replaced in what is given to
//! such an option, not in its template.

use std::collections::HashMap;

use super::is_option;
use super::setting::{Record, Setting, Stage};

/// The record itself, or what it stands for when its key is one of the `declared`.
///
/// uWSGI: settings between `;`, arguments between blanks, `$1` the first of them; a `$n` without
/// an argument stays. An option that exists can't be declared.
pub fn unfold(record: Record, declared: &HashMap<String, String>) -> Vec<Record> {
    let template = declared.get(&record.setting.key).filter(|_| record.stage == Stage::Open);
    let Some(template) = template.filter(|_| !is_option(&record.setting.key)) else {
        return vec![record];
    };
    let mut arguments: Vec<&str> = record.setting.value.split(' ').filter(|word| !word.is_empty()).collect();
    if arguments.is_empty() {
        arguments.push("");
    }
    let filled = arguments
        .iter()
        .take(MOST_ARGUMENTS)
        .enumerate()
        .fold(template.clone(), |text, (index, argument)| text.replace(&format!("${}", index + 1), argument));
    let pairs = filled.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| Record {
            setting: Setting { key: key.into(), value: value.into(), origin: record.setting.origin.clone() },
            stage: record.stage,
        })
        .collect()
}

/// How many arguments are looked at.
const MOST_ARGUMENTS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Origin;

    fn unfolded(key: &str, value: &str) -> Vec<(String, String)> {
        let declared = [("mine", "foo=$1;bar=$1=<$2|$3|$10>;;bare"), ("chdir", "foo=$1")];
        let declared = declared.map(|(name, template)| (name.into(), template.into())).into();
        let setting = Setting { key: key.into(), value: value.into(), origin: Origin::CommandLine };
        let records = unfold(Record { setting, stage: Stage::Open }, &declared);
        records.into_iter().map(|record| (record.setting.key, record.setting.value)).collect()
    }

    #[test]
    fn declared_options_stand_for_others() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        assert_eq!(unfolded("mine", "x  y z"), pairs(&[("foo", "x"), ("bar", "x=<y|z|x0>")]));
        assert_eq!(unfolded("mine", ""), pairs(&[("foo", ""), ("bar", "=<$2|$3|0>")]));
        assert_eq!(unfolded("chdir", "/srv"), pairs(&[("chdir", "/srv")]));
        assert_eq!(unfolded("other", "/srv"), pairs(&[("other", "/srv")]));
    }
}
