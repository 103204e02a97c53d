//! The document that a command gets on its standard input, checked once more: whoever took over the daemon
//! can't send anything to a shell script that runs as root but plain words.

use serde_json::Value;

use crate::util::json;

/// Longest document in bytes: less than the smallest pipe holds (pipe(7)), so that writing it never waits.
const LONGEST: usize = 4_096;

/// The JSON object `text` with each of its members on a line of its own, so that a script without a JSON parser
/// can read it line by line; nothing if `text` is empty.
///
/// # Errors
/// If it is no such document; the text is not repeated.
pub(super) fn lines(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let Ok(Value::Object(members)) = json::parse(text.as_bytes()) else {
        return Err("its document is not a JSON object".to_owned());
    };
    let plain = members.iter().all(|(name, value)| is_plain(name) && is_plain_value(value));
    if text.len() > LONGEST || !plain {
        return Err("its document holds what no setting does".to_owned());
    }
    let value = |value: &Value| match value {
        Value::Array(values) => {
            format!("[{}]", values.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    let members: Vec<String> =
        members.iter().map(|(name, member)| format!("  \"{name}\": {}", value(member))).collect();
    Ok(format!("{{\n{}\n}}\n", members.join(",\n")))
}

fn is_plain_value(value: &Value) -> bool {
    match value {
        Value::String(text) => is_plain(text),
        Value::Number(number) => number.is_u64(),
        Value::Array(values) => values.iter().all(|value| value.as_str().is_some_and(is_plain)),
        _ => false,
    }
}

/// Whether it has only characters of names, addresses and dates.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn each_member_is_on_a_line_of_its_own() {
        let text = r#"{"action":"try","prefix":24,"nameservers":["192.0.2.1","2001:db8::1"]}"#;
        let wanted = "{\n  \"action\": \"try\",\n  \"prefix\": 24,\n  \"nameservers\": [\"192.0.2.1\", \"2001:db8::1\"]\n}\n";
        assert_eq!(lines(text), Ok(wanted.to_owned()));
        assert_eq!(lines(""), Ok(String::new()));
    }

    #[test]
    fn what_a_shell_could_take_for_more_than_a_word_is_refused() {
        for odd in [
            r#"{"action": "$(reboot)"}"#,
            r#"{"action": "a b"}"#,
            r#"{"action": "a\nb"}"#,
            r#"{"a;b": "x"}"#,
            r#"{"a": {"b": "c"}}"#,
            r#"{"a": ["b", 1]}"#,
            r#"{"a": -1}"#,
            r#"{"a": 1, "a": 2}"#,
            r#"["a"]"#,
            "nothing",
        ] {
            assert!(lines(odd).is_err(), "{odd}");
        }
        assert!(lines(&format!(r#"{{"a": "{}"}}"#, "b".repeat(5_000))).is_err());
    }
}
