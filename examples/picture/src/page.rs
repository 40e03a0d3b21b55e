//! The page: one HTML file that holds its style, its script and its data, and asks for nothing else.

use serde_json::Value;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");

/// What computes, without a document: see `script.rs` for its tests.
pub(crate) const COMPUTING: [&str; 4] = [
    include_str!("page/format.js"),
    include_str!("page/data.js"),
    include_str!("page/treemap.js"),
    include_str!("page/flow.js"),
];
/// What shows it.
const SHOWING: [&str; 6] = [
    include_str!("page/elements.js"),
    include_str!("page/show_groups.js"),
    include_str!("page/show_times.js"),
    include_str!("page/show_lengths.js"),
    include_str!("page/show_flows.js"),
    include_str!("page/app.js"),
];

pub(crate) fn html(data: &Value, title: &str) -> String {
    let script = [&COMPUTING[..], &SHOWING[..]].concat().concat();
    // Within a script element only `<` could be taken for markup.
    let json = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("title", escaped(title)),
        ("style", STYLE.to_owned()),
        ("script", script),
        ("data", json),
        ("totals", totals(data)),
    ];
    filled(PAGE, &parts)
}

/// For readers without JavaScript.
fn totals(data: &Value) -> String {
    let total = |name: &str| data["total"][name].to_string();
    format!("{} sessions, {} events, {} seconds in sessions", total("sessions"), total("events"), total("seconds"))
}

/// Puts each part in place of its name in double braces. Inserted text is not searched again.
fn filled(template: &str, parts: &[(&str, String)]) -> String {
    let mut pieces = template.split("{{");
    let mut page = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        page.extend(parts.iter().find(|(known, _)| *known == name).map(|(_, part)| part.as_str()));
        page.push_str(rest);
    }
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_data_cannot_become_markup() {
        let data = json!({"total": {"sessions": 1}, "users": ["</script><b>", "{{style}}"]});
        let page = html(&data, "a <b> & \"c\"");
        assert!(!page.contains("<b>"));
        assert!(page.contains("\\u003c/script>") && page.contains("<title>a &lt;b&gt; &amp; &quot;c&quot;</title>"));
        assert!(page.contains("{{style}}"), "what is put in is not searched again");
    }

    #[test]
    fn the_page_names_no_other_place() {
        let page = html(&json!({}), "sessions");
        for load in ["http:", "https:", "src=", "url(", "@import", "fetch(", "XMLHttpRequest", "WebSocket"] {
            assert!(!page.contains(load), "{load}");
        }
    }
}
