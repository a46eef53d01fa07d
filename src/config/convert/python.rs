//! The plain assignments of a `gunicorn.conf.py`, read without running anything.
//!
//! Used by `gunicorn`. Understands strings, numbers, lists, names set above, arithmetic on the
//! number of processors, and the environment with a default. All else is [`Value::Computed`], which
//! a reader has to write out. Never runs Python, never fails.

mod operations;

use operations::{add, call, default, joined, times, unescape, variable};
use std::collections::HashMap;

/// How much a sum may grow: a file of `a = a + a` lines must not fill the memory.
const LARGEST: usize = 1 << 16;

/// How deep brackets may be nested.
const DEPTH: usize = 40;

/// What stands behind the `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, which may hold the environment's.
    Text(Vec<Part>),
    /// `processors * factor + constant`.
    Number {
        /// How often the number of processors counts.
        factor: i64,
        /// What is added to that.
        constant: i64,
    },
    /// `True` or `False`.
    Switch(bool),
    /// `None`.
    None,
    /// A list or a tuple.
    List(Vec<Value>),
    /// Something that only Python can tell; its source.
    Computed(String),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Literal(String),
    /// As an ini has it, a placeholder.
    Ini(String),
    /// An environment variable, and what stands for it where there is none.
    Variable {
        /// Its name.
        name: String,
        /// The default.
        default: Option<String>,
    },
}

impl Part {
    /// A piece of plain text.
    pub fn literal(text: &str) -> Self {
        Self::Literal(text.into())
    }

    /// How the piece is written in an ini, a variable with a default as `stands_for`.
    pub fn in_ini(&self, stands_for: &str) -> String {
        match self {
            Self::Literal(text) => text.replace('%', "%%").replace(['\n', '\r'], " "),
            Self::Ini(text) => text.clone(),
            Self::Variable { default: Some(_), .. } => stands_for.to_owned(),
            Self::Variable { name, default: None } => format!("$({name})"),
        }
    }
}

impl Value {
    /// The value as pieces of an ini's; `None` where only Python knows it.
    pub fn parts(&self) -> Option<Vec<Part>> {
        let with_default = |part: &&Part| matches!(part, Part::Variable { default: Some(_), .. });
        Some(match self {
            // One `if-env` can hold one variable.
            Self::Text(parts) if parts.iter().filter(with_default).count() > 1 => return None,
            Self::Text(parts) => parts.clone(),
            Self::Switch(on) => vec![Part::literal(if *on { "true" } else { "false" })],
            Self::Number { factor: 0, constant } => vec![Part::Literal(constant.to_string())],
            Self::Number { factor, constant } => vec![Part::Ini(processors(*factor, *constant))],
            Self::None | Self::List(_) | Self::Computed(_) => return None,
        })
    }

    /// The number, where it is one without processors.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number { factor: 0, constant } => Some(*constant),
            Self::Text(parts) => match &parts[..] {
                [Part::Literal(text)] => text.trim().parse().ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text, where it is fixed.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(parts) => match &parts[..] {
                [Part::Literal(text)] => Some(text),
                [] => Some(""),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether Python takes it for true; what is not known counts as true.
    pub fn truth(&self) -> bool {
        match self {
            Self::Switch(on) => *on,
            Self::None => false,
            Self::Number { factor, constant } => *factor != 0 || *constant != 0,
            Self::Text(parts) => !parts.is_empty() && self.text() != Some(""),
            Self::List(values) => !values.is_empty(),
            Self::Computed(_) => true,
        }
    }

    /// How it is shown to whoever has to write it out.
    pub fn source(&self) -> String {
        match self {
            Self::Computed(source) => format!("`{source}`"),
            Self::None => "`None`".into(),
            Self::List(values) => values.iter().map(Self::source).collect::<Vec<_>>().join(", "),
            Self::Text(parts) => {
                let shown = |part: &Part| match part {
                    Part::Literal(text) | Part::Ini(text) => text.clone(),
                    Part::Variable { name, .. } => format!("$({name})"),
                };
                format!("`{}`", parts.iter().map(shown).collect::<String>())
            }
            _ => self.parts().map_or(String::new(), |parts| parts.iter().map(|part| part.in_ini("")).collect()),
        }
    }

    /// Roughly how many bytes it holds.
    fn size(&self) -> usize {
        match self {
            Self::Text(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Literal(text) | Part::Ini(text) => text.len(),
                    Part::Variable { name, default } => name.len() + default.as_ref().map_or(0, String::len),
                })
                .sum(),
            Self::List(values) => values.iter().map(Self::size).sum::<usize>() + values.len(),
            Self::Computed(source) => source.len(),
            _ => 1,
        }
    }

    fn plain(text: impl Into<String>) -> Self {
        Self::Text(vec![Part::Literal(text.into())])
    }
}

/// uWSGI: arithmetic goes from left to right.
fn processors(factor: i64, constant: i64) -> String {
    match (factor, constant) {
        (1, 0) => "%k".into(),
        (_, 0) => format!("%(%k * {factor})"),
        (1, 1..) => format!("%(%k + {constant})"),
        (1, _) => format!("%(%k - {})", constant.unsigned_abs()),
        (_, 1..) => format!("%(%k * {factor} + {constant})"),
        _ => format!("%(%k * {factor} - {})", constant.unsigned_abs()),
    }
}

/// What a configuration file says.
#[derive(Debug, Default)]
pub struct Assignments {
    /// Name, value and line of every assignment on the left margin, in order.
    pub assigned: Vec<(String, Value, usize)>,
    /// Functions (gunicorn's hooks), with their lines.
    pub functions: Vec<(String, usize)>,
    /// Lines on the left margin that are something else, such as `if`.
    pub others: Vec<(String, usize)>,
}

impl Assignments {
    /// Reads a file.
    pub fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let mut this = Self::default();
        let mut known: HashMap<String, Value> = HashMap::new();
        let mut line = 1;
        for statement in Statements(&text) {
            this.statement(statement, line, &mut known);
            line += statement.matches('\n').count();
        }
        this
    }

    fn statement(&mut self, statement: &str, line: usize, known: &mut HashMap<String, Value>) {
        let code = statement.trim_end();
        let first = code.split_whitespace().next().unwrap_or_default();
        if code.is_empty() || code.starts_with([' ', '\t', '#', '"', '\'', ')', ']', '}', '@']) {
            return;
        }
        if let Some(head) = code.strip_prefix("def ").or_else(|| code.strip_prefix("async def ")) {
            let name: String = head.trim_start().chars().take_while(|c| is_name(*c)).collect();
            self.functions.push((name, line));
            return;
        }
        if matches!(first, "import" | "from" | "pass") {
            return;
        }
        let (name, rest) = code.split_at(code.find(|c: char| !is_name(c)).unwrap_or(code.len()));
        // `workers: int = 4`
        let rest = rest.trim_start();
        let value = match rest.strip_prefix(':').and_then(|rest| rest.split_once('=')) {
            Some((_, value)) if !first.ends_with(':') || rest.contains('=') => Some(value),
            _ => rest.strip_prefix('=').filter(|value| !value.starts_with('=')),
        };
        match value.filter(|_| !name.is_empty()) {
            Some(source)
                if !matches!(name, "if" | "else" | "elif" | "for" | "while" | "try" | "except" | "with" | "class") =>
            {
                let mut parser = Parser { rest: source, known, depth: 0 };
                let value = parser.whole().unwrap_or_else(|| Value::Computed(squeeze(source)));
                known.insert(name.into(), value.clone());
                self.assigned.push((name.into(), value, line));
            }
            _ => self.others.push((squeeze(code), line)),
        }
    }
}

fn squeeze(source: &str) -> String {
    let squeezed = source.split_whitespace().collect::<Vec<_>>().join(" ");
    match squeezed.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &squeezed[..end]),
        None => squeezed,
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A file cut where lines end outside of brackets and strings.
struct Statements<'a>(&'a str);

impl<'a> Iterator for Statements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = self.0.as_bytes();
        let (mut depth, mut at) = (0_usize, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b'\\' => at += 1,
                b'#' => {
                    at += self.0[at..].find('\n').unwrap_or(bytes.len() - at);
                    continue;
                }
                b'"' | b'\'' => {
                    at += string_length(&bytes[at..]);
                    continue;
                }
                b'\n' if depth == 0 => {
                    at += 1;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        // Everything looked at is ASCII, but a backslash may stand before a letter of several bytes.
        let mut at = at.min(bytes.len());
        while !self.0.is_char_boundary(at) {
            at += 1;
        }
        let (statement, rest) = self.0.split_at(at);
        self.0 = rest;
        Some(statement)
    }
}

/// How many bytes the string takes that begins here, quotes included; one that is not closed ends
/// with its line, or with the file where it has three quotes.
fn string_length(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let triple = bytes.len() >= 3 && bytes[1] == quote && bytes[2] == quote;
    let mut at = if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\n' if !triple => return at,
            byte if byte == quote && !triple => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Reads one expression.
struct Parser<'a> {
    rest: &'a str,
    known: &'a HashMap<String, Value>,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// The whole of what is left.
    fn whole(&mut self) -> Option<Value> {
        let value = self.sum()?;
        if self.eat(",") {
            let mut values = vec![value];
            while !self.at_end() {
                values.push(self.sum()?);
                if !self.eat(",") {
                    break;
                }
            }
            return self.at_end().then_some(Value::List(values));
        }
        self.at_end().then_some(value)
    }

    fn blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start().trim_start_matches("\\\n");
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    fn at_end(&mut self) -> bool {
        self.blanks();
        self.rest.is_empty()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<Value> {
        let mut value = self.product()?;
        loop {
            value = if self.eat("+") {
                add(value, self.product()?)?
            } else if self.eat("-") {
                add(value, times(self.product()?, Value::Number { factor: 0, constant: -1 })?)?
            } else if let Some(word) =
                ["or", "if", "and", "in", "is", "not", "=="].iter().find(|word| self.rest.starts_with(**word))
            {
                // `os.environ.get("X") or 4` is the environment with a default.
                if *word != "or" {
                    return None;
                }
                self.eat("or");
                default(value, &self.product()?)?
            } else {
                return Some(value);
            };
        }
    }

    fn product(&mut self) -> Option<Value> {
        let mut value = self.atom()?;
        loop {
            value = if self.eat("**") || self.eat("//") || self.eat("/") || self.eat("%") {
                return None;
            } else if self.eat("*") {
                times(value, self.atom()?)?
            } else {
                return Some(value);
            };
        }
    }

    fn atom(&mut self) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > DEPTH { None } else { self.unbounded_atom() };
        self.depth -= 1;
        value
    }

    fn unbounded_atom(&mut self) -> Option<Value> {
        self.blanks();
        let next = self.rest.chars().next()?;
        match next {
            '-' => {
                self.eat("-");
                times(self.atom()?, Value::Number { factor: 0, constant: -1 })
            }
            '(' | '[' => self.brackets(),
            '"' | '\'' => self.strings(),
            '0'..='9' => self.number(),
            _ if next.is_alphabetic() || next == '_' => self.name(),
            _ => None,
        }
    }

    fn brackets(&mut self) -> Option<Value> {
        let close = if self.eat("(") {
            ")"
        } else if self.eat("[") {
            "]"
        } else {
            return None;
        };
        let (mut values, mut comma) = (Vec::new(), close == "]");
        while !self.eat(close) {
            values.push(self.sum()?);
            if self.eat(",") {
                comma = true;
            } else if self.eat(close) {
                break;
            } else {
                return None;
            }
        }
        match comma || values.is_empty() {
            true => Some(Value::List(values)),
            false => values.pop(),
        }
    }

    fn number(&mut self) -> Option<Value> {
        let digits: String = self.rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
        self.rest = &self.rest[digits.len()..];
        let plain = digits.replace('_', "");
        if plain.contains('.') {
            let whole: f64 = plain.parse().ok()?;
            return Some(match whole.fract() == 0.0 && whole.abs() < 1e15 {
                true => Value::plain(format!("{whole:.0}")),
                false => Value::plain(plain),
            });
        }
        let radix =
            |prefix: &str, radix| plain.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
        let constant = radix("0o", 8).or_else(|| radix("0x", 16)).or_else(|| plain.parse().ok())?;
        Some(Value::Number { factor: 0, constant })
    }

    /// One string, or several that stand side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut parts = self.string("")?;
        loop {
            self.blanks();
            let prefix: String = self.rest.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
            if prefix.len() > 2 || !self.rest[prefix.len()..].starts_with(['"', '\'']) {
                return Some(Value::Text(joined(parts)));
            }
            self.rest = &self.rest[prefix.len()..];
            parts.extend(self.string(&prefix)?);
        }
    }

    fn string(&mut self, prefix: &str) -> Option<Vec<Part>> {
        let bytes = self.rest.as_bytes();
        let length = string_length(bytes);
        let quotes = if length >= 6 && self.rest.as_bytes()[1] == bytes[0] && bytes[2] == bytes[0] { 3 } else { 1 };
        let inner = self.rest.get(quotes..length.checked_sub(quotes)?)?;
        self.rest = &self.rest[length..];
        let prefix = prefix.to_ascii_lowercase();
        if prefix.contains('b') {
            return None;
        }
        let text = if prefix.contains('r') { inner.to_owned() } else { unescape(inner)? };
        match prefix.contains('f') {
            true => self.formatted(&text),
            false => Some(vec![Part::Literal(text)]),
        }
    }

    /// The inside of an f-string; names and calls between the braces, nothing with a format.
    fn formatted(&self, text: &str) -> Option<Vec<Part>> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find(['{', '}']) {
            parts.push(Part::literal(&rest[..open]));
            let brace = &rest[open..];
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                parts.push(Part::literal(&brace[..1]));
                rest = after;
                continue;
            }
            let (inner, after) = brace.strip_prefix('{')?.split_once('}')?;
            let mut parser = Parser { rest: inner, known: self.known, depth: self.depth + 1 };
            if parser.depth > DEPTH {
                return None;
            }
            parts.extend(parser.whole()?.parts()?);
            rest = after;
        }
        parts.push(Part::literal(rest));
        Some(parts)
    }

    fn name(&mut self) -> Option<Value> {
        let length = self.rest.find(|c: char| !is_name(c) && c != '.').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        if name.len() <= 2 && rest.starts_with(['"', '\'']) {
            self.rest = rest;
            let parts = self.string(name)?;
            return Some(Value::Text(joined(parts)));
        }
        self.rest = rest;
        match name {
            "True" => return Some(Value::Switch(true)),
            "False" => return Some(Value::Switch(false)),
            "None" => return Some(Value::None),
            _ => {}
        }
        if self.eat("[") {
            let key = self.sum()?;
            return (name.ends_with("environ") && self.eat("]")).then(|| variable(&key, None)).flatten();
        }
        if !self.eat("(") {
            return self.known.get(name).filter(|value| !matches!(value, Value::Computed(_))).cloned();
        }
        let mut arguments = Vec::new();
        while !self.eat(")") {
            arguments.push(self.sum()?);
            if !self.eat(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
        call(name, &arguments)
    }
}
