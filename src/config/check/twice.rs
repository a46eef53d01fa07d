//! Options of one value that one file sets twice.
//!
//! Called by `Config::load` with everything that was read. uWSGI takes the last value and says
//! nothing. A value that another file, or a block such as `if-env`, replaces is meant to be.

use std::collections::HashMap;

use crate::config::Findings;
use crate::config::logic::Directive;
use crate::config::option::{Kind, OptionDef};
use crate::config::setting::{Origin, Record, Setting};
use crate::error::{Code, Error};

/// Warns of each option that one file sets twice, to different values.
pub fn check(records: &[Record], findings: &mut Findings) {
    // One section may build on another of its file: then the order of the lines says nothing.
    if records.iter().any(|record| is_section_of_the_same_file(&record.setting)) {
        return;
    }
    let mut seen: HashMap<&str, &Setting> = HashMap::new();
    for Record { setting, .. } in records {
        if let Some(Directive::Open(_) | Directive::Close | Directive::Load(_)) = Directive::find(&setting.key) {
            seen.clear();
        }
        let Some(option) = OptionDef::find(&setting.key).filter(|option| has_one_value(option)) else { continue };
        let Some(first) = seen.insert(option.name(), setting).filter(|first| differ(option, first, setting)) else {
            continue;
        };
        let message = format!("`{}` is set twice, and the last value counts", setting.key);
        let error = Error::new(Code::SetTwice, message).at(setting).part(setting.value.as_str());
        findings.warn(error.fact(format!("first: {first}")));
    }
}

fn is_section_of_the_same_file(setting: &Setting) -> bool {
    matches!(Directive::find(&setting.key), Some(Directive::Load(_))) && setting.value.contains(':')
}

fn has_one_value(option: &OptionDef) -> bool {
    // `print` prints each time.
    let acts = Directive::find(option.name()).is_some() || option.name() == "print";
    !option.repeats() && !option.is_action() && option.kind != Kind::Logic && !acts
}

/// Whether two lines of one file ask for different things.
fn differ(option: &OptionDef, first: &Setting, second: &Setting) -> bool {
    let (Origin::File { file, line }, Origin::File { file: other, line: below }) = (&first.origin, &second.origin)
    else {
        return false;
    };
    let read = |setting: &Setting| option.kind.read(&setting.value).map(|reading| reading.value).ok();
    file == other && line != below && read(first) != read(second)
}
