//! Sums in a placeholder: `%(workers * 2)`, `%(port ++)`, `%(name suffix)`.
//!
//! Called by `expand` with what stands between the parentheses. Knows no setting: names are looked
//! up by the caller.

/// What `text` comes to, or `None` when it holds no blank and therefore is a name.
///
/// uWSGI: words between blanks, from left to right without precedence. A word is an operator
/// (`+ - * / ++ --`), a number, or a name; a name nobody knows is empty. Words without an operator
/// between them are joined. Numbers have 64 bits and wrap; a division by zero is 0.
pub fn reckon(text: &str, look_up: &mut dyn FnMut(&str) -> Option<String>) -> Option<String> {
    if !text.contains(' ') {
        return None;
    }
    let mut result: Option<String> = None;
    let mut pending = Operator::Join;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match Word::read(word) {
            Word::Step(step) => {
                // Nothing to count up from is nothing.
                if let Some(value) = &result {
                    result = Some(number(value).wrapping_add(step).to_string());
                }
                pending = Operator::Join;
            }
            Word::Operator(operator) => pending = operator,
            Word::Value => {
                let literal = word.bytes().all(|byte| byte.is_ascii_digit());
                let value = if literal { word.to_owned() } else { look_up(word).unwrap_or_default() };
                result = Some(pending.apply(result.as_deref().unwrap_or(""), &value));
                pending = Operator::Join;
            }
        }
    }
    result
}

/// C's `strtoll`: blanks, a sign, digits, whatever follows; saturating.
pub fn number(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    digits.bytes().take_while(u8::is_ascii_digit).fold(0_i64, |sum, digit| {
        let digit = i64::from(digit - b'0');
        let shifted = sum.saturating_mul(10);
        if negative { shifted.saturating_sub(digit) } else { shifted.saturating_add(digit) }
    })
}

enum Word {
    Step(i64),
    Operator(Operator),
    Value,
}

impl Word {
    fn read(word: &str) -> Self {
        match word {
            "++" => Self::Step(1),
            "--" => Self::Step(-1),
            "+" => Self::Operator(Operator::Add),
            "-" => Self::Operator(Operator::Subtract),
            "*" => Self::Operator(Operator::Multiply),
            "/" => Self::Operator(Operator::Divide),
            _ => Self::Value,
        }
    }
}

#[derive(Clone, Copy)]
enum Operator {
    Join,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    fn apply(self, left: &str, right: &str) -> String {
        let (a, b) = (number(left), number(right));
        match self {
            Self::Join => return format!("{left}{right}"),
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide if b == 0 => 0,
            Self::Divide => a.wrapping_div(b),
        }
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_uwsgi() {
        let mut look_up = |name: &str| match name {
            "one" => Some("1".to_owned()),
            "s1" => Some("q".into()),
            "minus" => Some("-5".into()),
            "hex" => Some("0x10".into()),
            "3" => Some("5".into()),
            _ => None,
        };
        for (text, result) in [
            ("one + 3", "4"),
            ("one ++", "2"),
            ("one --", "0"),
            ("one s1", "1q"),
            ("one s1 + 2", "3"),
            ("nope + 2", "2"),
            ("nope s1", "q"),
            ("3 + 4", "7"),
            ("one * 5 - 2", "3"),
            ("one / 0", "0"),
            ("7 / 2", "3"),
            ("nope nope2", ""),
            (" one", "1"),
            ("one ", "1"),
            ("one +", "1"),
            ("+ one", "1"),
            ("one ++ ++", "3"),
            ("one + + one", "2"),
            ("-5 + 3", "3"),
            ("9223372036854775807 + 1", "-9223372036854775808"),
            ("one +5", "1"),
            ("one + 2x", "1"),
            ("one ** 3", "13"),
            ("one - -3", "1"),
            ("s1 ++", "1"),
            ("one  +  2", "3"),
            ("one s1 one * 2 s1", "2q"),
            ("one + 9 s1", "10q"),
            ("minus * minus", "25"),
            ("hex + 3", "3"),
            ("one / 3x", "0"),
            ("one + + - one", "0"),
            ("one - s1 s1", "1q"),
        ] {
            assert_eq!(reckon(text, &mut look_up).as_deref(), Some(result), "{text}");
        }
        for text in ["one", "one+3", "", " ", "++", "++ "] {
            assert_eq!(reckon(text, &mut look_up), None, "{text}");
        }
    }

    #[test]
    fn numbers_keep_within_64_bits() {
        assert_eq!(number(" -9223372036854775808 x"), i64::MIN);
        assert_eq!(number("99999999999999999999"), i64::MAX);
        assert_eq!(
            reckon("a / b", &mut |name| Some(if name == "a" { i64::MIN.to_string() } else { "-1".into() })),
            Some(i64::MIN.to_string())
        );
    }
}
