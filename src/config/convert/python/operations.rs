//! What calls and operators of the small part of Python amount to.
//!
//! Part of `python`, whose parser finds them.

use super::*;

/// The few functions that configuration files call.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Value> {
    let last = name.rsplit('.').next().unwrap_or(name);
    match (last, arguments) {
        ("cpu_count", []) => Some(Value::Number { factor: 1, constant: 0 }),
        ("getenv", [key]) => variable(key, None),
        ("getenv", [key, default]) => variable(key, Some(default)),
        ("get", [key]) if name.ends_with("environ.get") => variable(key, None),
        ("get", [key, default]) if name.ends_with("environ.get") => variable(key, Some(default)),
        ("int" | "str", [value]) if name == last => match value {
            Value::Number { .. } if name == "str" => value.parts().map(Value::Text),
            Value::Text(_) | Value::Number { .. } => Some(value.clone()),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn variable(key: &Value, default: Option<&Value>) -> Option<Value> {
    let name = key.text()?.to_owned();
    let default = match default {
        None | Some(Value::None) => None,
        Some(value) => Some(match &value.parts()?[..] {
            [] => String::new(),
            [Part::Literal(text)] => text.clone(),
            _ => return None,
        }),
    };
    Some(Value::Text(vec![Part::Variable { name, default }]))
}

pub(super) fn default(value: Value, otherwise: &Value) -> Option<Value> {
    match &value {
        Value::Text(parts) => match &parts[..] {
            [Part::Variable { name, default: None }] => variable(&Value::plain(name), Some(otherwise)),
            _ => None,
        },
        _ => Some(if value.truth() { value } else { otherwise.clone() }),
    }
}

pub(super) fn add(left: Value, right: Value) -> Option<Value> {
    if left.size().saturating_add(right.size()) > LARGEST {
        return None;
    }
    match (left, right) {
        (Value::Number { factor, constant }, Value::Number { factor: more, constant: other }) => {
            Some(Value::Number { factor: factor.checked_add(more)?, constant: constant.checked_add(other)? })
        }
        (Value::Text(mut left), Value::Text(right)) => {
            left.extend(right);
            Some(Value::Text(joined(left)))
        }
        (Value::List(mut left), Value::List(right)) => {
            left.extend(right);
            Some(Value::List(left))
        }
        _ => None,
    }
}

pub(super) fn times(left: Value, right: Value) -> Option<Value> {
    match (left, right) {
        (Value::Number { factor, constant }, Value::Number { factor: 0, constant: by })
        | (Value::Number { factor: 0, constant: by }, Value::Number { factor, constant }) => {
            Some(Value::Number { factor: factor.checked_mul(by)?, constant: constant.checked_mul(by)? })
        }
        _ => None,
    }
}

/// Neighbouring literals in one.
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => joined.push(part),
        }
    }
    joined
}

pub(super) fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next()? {
            '\n' => {}
            'n' => plain.push('\n'),
            't' => plain.push('\t'),
            quoted @ ('\\' | '\'' | '"') => plain.push(quoted),
            _ => return None,
        }
    }
    Some(plain)
}
