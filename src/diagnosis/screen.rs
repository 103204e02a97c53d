//! The status object as text, in lines of at most 80 columns where the text is ours.

use serde_json::Value;

/// Lines that end in a line feed.
pub(crate) fn text(status: &Value) -> String {
    let rows = [
        ("Daemon", vec![word(&status["daemon"]).to_owned()]),
        ("Certificate", certificate(status)),
        ("ACME", acme(&status["acme"])),
        ("Plain HTTP", vec![plain_http(&status["plain_http"]).to_owned()]),
        ("Password", vec![password(word(&status["admin_password"]))]),
        ("Job token", vec![job_token(word(&status["job_token"]))]),
        ("License", license(&status["license"])),
        ("Services", each(&status["services"], service)),
        ("Listeners", each(&status["listeners"], listener)),
        ("Insecure", each(&status["insecure"], |line| word(line).to_owned())),
        ("Faults", each(&status["faults"], |line| word(line).to_owned())),
    ];
    let mut text = String::new();
    for (title, lines) in rows {
        for (index, line) in lines.iter().enumerate() {
            let title = if index == 0 { title } else { "" };
            text.push_str(&format!("{title:<12} {line}\n"));
        }
    }
    text
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn each(values: &Value, line: impl Fn(&Value) -> String) -> Vec<String> {
    values.as_array().into_iter().flatten().map(line).collect()
}

fn certificate(status: &Value) -> Vec<String> {
    let value = &status["certificate"];
    if value.is_null() {
        let no_faults = status["faults"].as_array().is_none_or(Vec::is_empty);
        let text =
            if no_faults { "none yet; the first start makes it" } else { "none that can be read" };
        return vec![text.to_owned()];
    }
    let end = word(&value["not_after"]);
    let validity = match value["days_left"].as_i64() {
        Some(days) if days < 0 => format!("expired {end}"),
        Some(1) => format!("valid until {end}, 1 day left"),
        Some(days) => format!("valid until {end}, {days} days left"),
        None => format!("valid until {end}"),
    };
    let mut lines = vec![
        format!("{}: {}", word(&value["source"]), word(&value["subject"])),
        validity,
        format!("SHA-256 {}", word(&value["sha256"])),
    ];
    lines.extend(each(&value["warnings"], |line| format!("warning: {}", word(line))));
    lines
}

/// Nothing while it is off.
fn acme(value: &Value) -> Vec<String> {
    if value["enabled"] != true {
        return Vec::new();
    }
    let mut lines = vec![format!("{}: {}", word(&value["status"]), word(&value["directory"]))];
    lines.extend(value["renewal"].as_str().map(|time| format!("renewal at {time}")));
    let error = &value["error"];
    if !error.is_null() {
        lines.push(format!(
            "failing since {}, {} attempts; the next is at {}",
            word(&error["since"]),
            error["attempts"],
            word(&error["retry"])
        ));
        lines.push(format!("error: {}", word(&error["message"])));
    }
    lines
}

fn plain_http(value: &Value) -> &'static str {
    match value.as_bool() {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    }
}

fn password(word: &str) -> String {
    match word {
        "locked" => "locked: every network login is refused until it is reset".to_owned(),
        _ => word.to_owned(),
    }
}

fn job_token(word: &str) -> String {
    match word {
        "locked" => "locked: every one is refused until it is set again or removed".to_owned(),
        _ => word.to_owned(),
    }
}

fn license(value: &Value) -> Vec<String> {
    let standing = match value["licensed"].as_bool() {
        Some(true) => "licensed",
        Some(false) => "not licensed",
        None => return vec!["unknown".to_owned()],
    };
    let mut lines = vec![format!("{standing}: {}", word(&value["status"]))];
    if let Some(code) = value["license_code"].as_str().filter(|code| !code.is_empty()) {
        let connected =
            if value["connected"] == Value::Bool(true) { "connected" } else { "not connected" };
        lines.push(format!(
            "code {code}, {} of {} seconds cached",
            value["transcription_secs_allowed"], value["transcription_secs_allocated"]
        ));
        lines.push(format!("expires {}, {connected}", word(&value["subscription_expiry"])));
    }
    for note in ["message", "error_message"] {
        lines.extend(value[note].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    }
    lines
}

fn service(value: &Value) -> String {
    format!("{} {}", word(&value["service"]), word(&value["status"]))
}

fn listener(value: &Value) -> String {
    let kind = match (value["tls"].as_bool(), word(&value["http_disabled"])) {
        (Some(true), _) => "TLS",
        (_, "redirect") => "plain; redirects while plain HTTP is off",
        _ => "plain; closed while plain HTTP is off",
    };
    let allowed = value["allow"].as_array().map(|networks| {
        let networks: Vec<&str> = networks.iter().map(word).collect();
        format!("; for {} alone", networks.join(", "))
    });
    let allowed = allowed.unwrap_or_default();
    format!("{} {}, {kind}{allowed}", word(&value["address"]), word(&value["serves"]))
}
