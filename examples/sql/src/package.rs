//! A translated application as a package of its own: all of SQL that it needs is part of it.

use crate::plan::Plan;
use crate::translate::translate;

/// The modules that every such package has, below `src/sql/`. Two of them stand for modules that need more crates.
const MODULES: [(&str, &str); 13] = [
    ("aggregate", include_str!("aggregate.rs")),
    ("expr", include_str!("expr.rs")),
    ("functions", include_str!("functions.rs")),
    ("model", include_str!("model.rs")),
    ("pairs", include_str!("pairs.rs")),
    ("program", include_str!("program.rs")),
    ("rows", include_str!("rows.rs")),
    ("run", include_str!("run.rs")),
    ("source", include_str!("../package/source.rs")),
    ("times", include_str!("../package/times.rs")),
    ("translated", include_str!("translated.rs")),
    ("types", include_str!("types.rs")),
    ("window", include_str!("window.rs")),
];

/// The program in one file. Its first lines say on which crates it depends.
pub fn single(plan: &Plan, stagger: &str) -> String {
    let dependencies = dependencies(stagger).lines().map(|line| format!("//! {line}\n")).collect::<String>();
    let head =
        format!("//!\n//! Cargo.toml of its package needs these lines:\n//!\n//! ```toml\n{dependencies}//! ```\n#![");
    let mut code = translate(plan).replacen("#![", &head, 1);
    code.push_str("\n/// The values, functions, aggregates and windows of SQL, as `sql` runs them.\n");
    code.push_str("#[allow(dead_code, reason = \"an application needs some of it\")]\nmod sql {\n");
    for (name, text) in MODULES {
        code.push_str(&format!("pub mod {name} {{\n{}}}\n\n", of_package(text)));
    }
    code + "}\n"
}

/// The files of the package: paths and texts. `stagger` says where the library is, as Cargo.toml does: `path = "…"`,
/// or `version = "…"`.
pub fn package(plan: &Plan, name: &str, stagger: &str) -> Vec<(String, String)> {
    let module = |(name, text): (&str, &str)| (format!("src/sql/{name}.rs"), of_package(text));
    let names = MODULES.map(|(name, _)| format!("pub mod {name};\n")).concat();
    let mut files = vec![
        ("Cargo.toml".to_owned(), manifest(name, stagger)),
        ("src/main.rs".to_owned(), translate(plan).replacen("\nuse ", "\nmod sql;\n\nuse ", 1)),
        ("src/sql/mod.rs".to_owned(), format!("{SQL}{names}")),
    ];
    files.extend(MODULES.map(module));
    files
}

const SQL: &str = "//! The values, functions, aggregates and windows of SQL, as `sql` runs them.\n\
    #![allow(dead_code, reason = \"an application needs some of it\")]\n\n";

fn manifest(name: &str, stagger: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n{}\n\
         [workspace] # it is no part of one that is around it\n",
        dependencies(stagger)
    )
}

fn dependencies(stagger: &str) -> String {
    format!(
        "[dependencies]\nstagger = {{ {stagger}, features = [\"serde\"] }}\n\
         compact_str = {{ version = \"0.10\", features = [\"serde\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\
         serde_json = {{ version = \"1\", features = [\"arbitrary_precision\"] }} # digits of a DECIMAL stay as they are\n"
    )
}

/// A module as it stands below `src/sql/`: without its unit tests.
fn of_package(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.trim_end().replace("crate::", "crate::sql::") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_name_each_other_only() {
        for (name, text) in MODULES {
            for used in of_package(text).split("crate::sql::").skip(1) {
                let is_there = MODULES.iter().any(|(name, _)| used.starts_with(name));
                assert!(is_there, "{name} uses {}", used.lines().next().unwrap_or_default());
            }
        }
    }
}
