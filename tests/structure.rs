//! The plan of the house: modules import one way, docs/DESIGN.md names every file of the library, and
//! docs/ARCHITECTURE.md names packages, files and functions that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The root, and helpers of unit tests.
const NO_MODULES: [&str; 2] = ["lib.rs", "testing.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of `src/`, as paths relative to it: `engine/plan.rs`.
fn sources() -> BTreeSet<String> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join("src").join(&folder)).expect("a folder of src/") {
            let path = folder.join(entry.expect("an entry").file_name());
            let text = path.to_str().expect("names are ASCII").replace('\\', "/");
            if root().join("src").join(&path).is_dir() {
                folders.push(path);
            } else if text.ends_with(".rs") {
                files.insert(text);
            }
        }
    }
    files
}

/// The code of a file: without its unit tests, comments and texts.
fn code(file: &str) -> String {
    let text = read(Path::new("src").join(file));
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The module of a file, by its path in the crate: `engine::plan` for `engine/plan.rs`.
fn module_of(file: &str) -> String {
    file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The full paths in a `use` tree: `a::{b, c::D}` names `a::b` and `a::c::D`.
fn paths(tree: &str, prefix: &str, all: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        all.push(format!("{prefix}{tree}"));
        return;
    };
    let inner = rest.trim_end().trim_end_matches('}');
    let (mut depth, mut begin) = (0, 0);
    for (i, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inner[begin..i].trim();
                if !part.is_empty() {
                    paths(part, &format!("{prefix}{head}"), all);
                }
                begin = i + 1;
            }
            _ => {}
        }
    }
}

/// The imports of a module from this crate, as paths from its root.
fn imports(module: &str, code: &str) -> Vec<String> {
    let mut all = Vec::new();
    for statement in code.split("use ").skip(1) {
        paths(statement.split(';').next().unwrap_or_default(), "", &mut all);
    }
    // Paths that are written out: `crate::a::B`.
    all.extend(code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        format!("crate::{}", &rest[..end])
    }));
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = |path: String| match path.split_once("::") {
        Some(("crate", rest)) => Some(rest.to_owned()),
        Some(("super", rest)) => Some(format!("{parent}::{rest}")),
        Some(("self", rest)) => Some(format!("{module}::{rest}")),
        _ => None,
    };
    all.into_iter().filter_map(absolute).collect()
}

/// The module that a path leads into: the longest beginning of it that is one.
fn module_in<'m>(path: &str, modules: &'m BTreeSet<String>) -> Option<&'m String> {
    let mut path = path;
    loop {
        if let Some(module) = modules.get(path) {
            return Some(module);
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// A circle among modules, if there is one.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'u>(
        module: &'u String,
        uses: &'u BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'u String>,
        done: &mut BTreeSet<&'u String>,
    ) -> Option<Vec<String>> {
        if let Some(begin) = way.iter().position(|on_the_way| *on_the_way == module) {
            return Some(way[begin..].iter().copied().chain([module]).cloned().collect());
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = uses.get(module).into_iter().flatten().find_map(|used| visit(used, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| visit(module, uses, &mut Vec::new(), &mut done))
}

#[test]
fn modules_import_without_a_circle() {
    let files = sources();
    // A folder is one module to the others; its own `mod.rs` wires and re-exports the modules below it.
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let modules: BTreeSet<String> = files.iter().map(|file| module_of(file)).collect();
    let (mut between_rooms, mut within) = (BTreeMap::new(), BTreeMap::new());
    for file in files.iter().filter(|file| !NO_MODULES.contains(&file.as_str())) {
        let module = module_of(file);
        for path in imports(&module, &code(file)) {
            let Some(used) = module_in(&path, &modules).filter(|used| **used != module) else { continue };
            let (ours, theirs) = (room(&module), room(used));
            if ours != theirs {
                between_rooms.entry(ours).or_insert_with(BTreeSet::new).insert(theirs);
            } else if module != ours && *used != theirs {
                within.entry(module.clone()).or_insert_with(BTreeSet::new).insert(used.clone());
            }
        }
    }
    assert!(between_rooms.len() > 10 && within.len() > 3, "imports are found: {between_rooms:?} {within:?}");
    assert_eq!(circle(&between_rooms), None);
    assert_eq!(circle(&within), None);
}

/// What other modules may name of the engine.
fn known_of_the_engine(file: &str) -> &'static [&'static str] {
    match file {
        "adapt.rs" | "lib.rs" => &["Engine", "Tagged"],
        "config.rs" => &["Engine", "EngineClock", "Plan", "Shape"], // to build one
        "sharded.rs" => &["Engine", "Movers", "Tagged", "Unplaced"],
        "snapshot.rs" => &["Engine", "Part", "Placement", "Standing", "State", "Stored", "Unplaced", "UnplacedEvent"],
        "snapshot/portions.rs" => &["Engine", "State", "Touched"],
        _ => &[],
    }
}

/// What snapshots and shards may do with an engine beyond its public interface: its methods, and those of the types
/// that they lead to.
const METHODS_FOR_OTHER_MODULES: [(&str, &[&str]); 4] = [
    ("Engine", &["new", "state", "state_mut", "touched", "begin_noting", "is_noting", "end_noting", "as_shard"]),
    (
        "State",
        &[
            "settings",
            "shape",
            "counters",
            "standing",
            "changes_in_silence",
            "sessions",
            "sessions_of",
            "next_sessions",
            "held",
            "unplaced",
            "parts",
            "count_parts_left",
            "next_parts",
            "allows",
            "may_be_pending",
            "restore",
        ],
    ),
    ("Touched", &["len", "has_all_sessions", "take", "limit"]),
    ("ShardDriver", &["movers", "pass", "pass_all", "take_unplaced"]),
];

/// The blocks of a file that begin with a word, such as `impl`, and are about a type with parameters.
fn blocks<'c>(code: &'c str, word: &str, name: &str) -> Vec<&'c str> {
    let items = code.split("\n}"); // each ends with one block, which begins at the beginning of a line
    let blocks = items.filter_map(|item| {
        item.lines().find(|line| line.contains(word) && !line.starts_with(' ')).map(|head| {
            let begin = item.find(head).unwrap_or_default();
            &item[begin..]
        })
    });
    let is_about = |block: &&str| block.split('{').next().is_some_and(|head| head.contains(&format!(" {name}<")));
    blocks.filter(is_about).collect()
}

#[test]
fn snapshots_and_shards_know_no_more_of_the_engine_than_their_types() {
    let files = sources();
    for file in files.iter().filter(|file| !file.starts_with("engine/") && *file != "testing.rs") {
        let names = imports(&module_of(file), &code(file)).into_iter();
        for name in
            names.filter_map(|path| path.strip_prefix("engine::").map(str::to_owned)).filter(|name| !name.is_empty())
        {
            assert!(known_of_the_engine(file).contains(&&*name), "src/{file} names {name} of the engine");
        }
    }
    let engine: Vec<String> = files.iter().filter(|file| file.starts_with("engine/")).map(|file| code(file)).collect();
    for (name, expected) in METHODS_FOR_OTHER_MODULES {
        let all = |word: &'static str| engine.iter().flat_map(move |code| blocks(code, word, name));
        let fields: String = all("struct ").collect();
        let shows_one = ["    pub ", "    pub(crate) "].iter().any(|shown| fields.contains(shown));
        assert!(!fields.is_empty() && !shows_one, "{name} shows a field to other modules: {fields}");
        let methods: BTreeSet<&str> = all("impl").flat_map(crate_methods).collect();
        assert_eq!(methods, expected.iter().copied().collect(), "methods of {name} for other modules");
    }
}

/// The methods in a block that only this crate can call, from all of its modules.
fn crate_methods(block: &str) -> impl Iterator<Item = &str> {
    let declared = block.split("pub(crate) ").skip(1).map(|rest| rest.trim_start_matches("const "));
    declared.filter_map(|rest| rest.strip_prefix("fn ")?.split(['(', '<']).next())
}

/// The file names in the first column of tables whose head names files: `a.rs`, `b/`.
fn named_in_tables(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_of_files = false;
    for line in text.lines() {
        let Some(row) = line.trim().strip_prefix("//!").unwrap_or(line).trim().strip_prefix('|') else {
            is_of_files = false;
            continue;
        };
        let first = row.split('|').next().unwrap_or_default();
        is_of_files |= first.trim_start().starts_with("file");
        if is_of_files {
            names.extend(first.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names.retain(|name| !name.starts_with("src/")); // in the head
    names
}

#[test]
fn the_table_of_files_is_complete() {
    let files = sources();
    let named = named_in_tables(&read("docs/DESIGN.md"));
    let engine = named_in_tables(&read("src/engine/mod.rs"));
    let engine: BTreeSet<_> = engine.iter().map(|name| format!("engine/{}.rs", name.trim_end_matches(".rs"))).collect();
    let is_there = |name: &String| match name.strip_suffix('/') {
        Some(_) => files.iter().any(|file| file.starts_with(name)),
        None => files.contains(name) || files.contains(&format!("engine/{name}")),
    };
    for name in &named {
        assert!(is_there(name), "docs/DESIGN.md names {name}, which is not in src/");
    }
    for file in files.iter().filter(|file| !NO_MODULES.contains(&file.as_str())) {
        let folder = file.split_once('/').map(|(folder, _)| format!("{folder}/"));
        let is_named = named.contains(file) || folder.is_some_and(|folder| named.contains(&folder));
        assert!(is_named, "docs/DESIGN.md does not name {file} in its table of files");
    }
    for file in files.iter().filter(|file| file.starts_with("engine/") && *file != "engine/mod.rs") {
        let is_named = engine.contains(file) || named.contains(file) || named.contains(&file["engine/".len()..]);
        assert!(is_named, "neither docs/DESIGN.md nor src/engine/mod.rs names {file} in a table of files");
    }
    for name in &engine {
        assert!(files.contains(name), "src/engine/mod.rs names {name}, which is not there");
    }
}

/// The folders of the packages of the workspace.
fn members() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("members");
    members.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The name of a package, and the packages of this tree that it depends on, but for its tests.
fn package(folder: &str) -> (String, Vec<String>) {
    let manifest = read(Path::new(folder).join("Cargo.toml"));
    let name = manifest.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
    let needed = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    let by_path = needed.lines().filter(|line| line.contains("path = \"."));
    let used = by_path.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect();
    (name.to_owned(), used)
}

/// The texts in backticks, by line and, in tables, by cell.
fn cells(text: &str) -> impl Iterator<Item = Vec<Vec<&str>>> {
    let rows = text.lines().map(|line| line.strip_prefix('|').unwrap_or(line));
    rows.map(|row| row.split('|').map(|cell| cell.split('`').skip(1).step_by(2).collect()).collect())
}

#[test]
fn the_map_has_every_package() {
    let map = read("docs/ARCHITECTURE.md");
    let named: BTreeSet<(String, String)> = cells(&map)
        .filter_map(|row| match &row[..] {
            [name, folder, ..] if name.len() == 1 && folder.len() == 1 => Some((name[0].into(), folder[0].into())),
            _ => None,
        })
        .collect();
    let folder = |member: &str| if member == "." { "src/".to_owned() } else { format!("{member}/") };
    let there: BTreeSet<_> = members().iter().map(|member| (package(member).0, folder(member))).collect();
    assert_eq!(named, there, "docs/ARCHITECTURE.md, and the members of the workspace");
}

/// As docs/ARCHITECTURE.md draws it.
#[test]
fn programs_depend_on_the_shared_crates_only() {
    for (name, used) in members().iter().skip(1).map(|member| package(member)) {
        for used in used {
            let is_shared = ["stagger", "program", "events", "rows"].contains(&used.as_str());
            let exceptions = [
                ("kinesis", "generate"),
                ("kinesis", "sql"),
                ("kafka", "generate"),
                ("kafka", "broker"),
                ("article", "needs_shared"),
            ];
            let is_drawn = is_shared || exceptions.contains(&(name.as_str(), used.as_str()));
            assert!(is_drawn && (name.as_str(), used.as_str()) != ("events", "rows"), "{name} depends on {used}");
        }
    }
}

/// Every path is there, and in a table every name behind the path of a file is in that file.
#[test]
fn the_map_names_what_is_there() {
    let mut paths = 0;
    for document in ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(document);
        let all = text.lines().zip(cells(&text)).flat_map(|(line, row)| row.into_iter().map(move |cell| (line, cell)));
        for (line, cell) in all {
            let (is_in_table, mut file) = (line.starts_with('|'), None);
            for named in cell {
                if named.contains('/') && !named.contains([' ', '*', '{']) && !named.starts_with("..") {
                    assert!(root().join(named).exists(), "{document} names {named}, which is not there");
                    file = root().join(named).is_file().then_some(named);
                    paths += 1;
                } else if let Some(file) = file.filter(|_| !named.contains('.') && is_in_table) {
                    let text = read(file);
                    let kinds = ["fn", "struct", "enum", "static", "const"];
                    let is_there = kinds.iter().any(|kind| text.contains(&format!("{kind} {named}")));
                    assert!(is_there, "{document} says that {named} is in {file}");
                }
            }
        }
    }
    assert!(paths > 50, "paths are found: {paths}");
}

/// All Markdown files, as paths from the root.
fn documents() -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().into_string().expect("a plain name");
            let path = folder.join(&name);
            if root().join(&path).is_dir() {
                let is_ours = !name.starts_with('.') && !name.starts_with("target") && name != "node_modules";
                folders.extend(is_ours.then_some(path));
            } else if name.ends_with(".md") {
                files.push(path);
            }
        }
    }
    files
}

/// The targets of links: `[text](target)` and `[name]: target`.
fn links(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let named = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(named.map(|(_, target)| target)).collect()
}

#[test]
fn links_lead_to_files_that_are_there() {
    let mut found = 0;
    for document in documents() {
        for link in
            links(&read(&document)).into_iter().filter(|link| !link.starts_with("http") && !link.starts_with('#'))
        {
            let target = link.split('#').next().unwrap_or_default();
            let path = root().join(&document).parent().expect("a folder").join(target);
            assert!(path.exists(), "{} links to {link}, which is not there", document.display());
            found += 1;
        }
    }
    assert!(found > 30, "links are found: {found}");
}

/// crates.io and docs.rs show the README without the files beside it.
#[test]
fn links_of_the_readme_work_elsewhere_once_there_is_a_repository() {
    let manifest = read("Cargo.toml");
    let Some(repository) = manifest.lines().find_map(|line| line.strip_prefix("repository = \"")) else { return };
    for link in links(&read("README.md")) {
        assert!(link.starts_with("http"), "README.md: write {link} as an address in {repository}");
    }
}

#[test]
fn circles_are_found() {
    let uses = |pairs: &[(&str, &str)]| {
        let mut all = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, to) in pairs {
            all.entry((*from).into()).or_default().insert((*to).into());
        }
        all
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let found = circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")]));
    assert_eq!(found, Some(["b", "c", "b"].map(String::from).to_vec()));
}

#[test]
fn imports_are_told_by_their_full_paths() {
    let code = "use crate::{a::{B, c::D}, e};\nuse super::f;\nuse std::g;\nfn h() -> crate::i::J {}";
    let found: Vec<_> = imports("x::y", code).into_iter().filter(|path| !path.is_empty()).collect();
    assert_eq!(found, ["a::B", "a::c::D", "e", "x::f", "i::J"]);
}
