//! The command line.

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};

use crate::failure::{Failure, Outcome};
use crate::stdout;

/// Options of programs that follow a log, which `files` leaves to `tail`.
const OF_TAIL: [&str; 5] = ["-f", "-F", "--follow", "--tail", "--watch"];
/// Options that users of one program look for in others.
const OF_FILES: [&str; 10] =
    ["--sum", "--min", "--max", "--avg", "--distinct", "--list", "--where", "--not", "--unique", "--visit-number"];

/// Reads the command line, the program's name first. None if it asked for help or the version, which is written.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Outcome<Option<T>> {
    parse_as(&T::command(), arguments)
}

/// The same by a command that differs from the options' own.
pub fn parse_as<T: Parser>(
    command: &clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Outcome<Option<T>> {
    let words = joined(arguments);
    let read = in_any_case(command.clone()).try_get_matches_from(&words);
    match read.and_then(|mut matches| T::from_arg_matches_mut(&mut matches)) {
        Ok(options) => Ok(Some(options)),
        Err(error) if !error.use_stderr() => stdout::write(error.render().to_string()).map(|()| None),
        Err(error) => Err(Failure::usage(one_sentence(&error, command, &words))),
    }
}

/// Takes values that can be listed in small letters and in capitals: `--output-format CSV`.
fn in_any_case(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_listed = !arg.get_possible_values().is_empty() && arg.get_action().takes_values();
        arg.ignore_case(is_listed)
    });
    command.mut_subcommands(in_any_case)
}

/// Joins an option and a value that begins with a minus, `--zone -03:00`, which would be taken for options.
fn joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_negative = matches!(argument.as_encoded_bytes(), [b'-', b'0'..=b'9', ..]);
        match joined.last_mut() {
            Some(option) if is_negative && is_option(option) => {
                option.push("=");
                option.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

fn is_option(argument: &OsString) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"--") && bytes.len() > 2 && !bytes.contains(&b'=')
}

/// The message of an error in the command line without the usage that follows it. `words`: the command line.
fn one_sentence(error: &clap::Error, command: &clap::Command, words: &[OsString]) -> String {
    if let (ErrorKind::UnknownArgument, Some(option)) = (error.kind(), error.get(ContextKind::InvalidArg)) {
        let suggested = error.get(ContextKind::SuggestedArg).map(ToString::to_string);
        return unknown_option(&option.to_string(), suggested, chosen(command, words), words);
    }
    let commands: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return format!("say what to do: {}; --help tells more", or(&commands));
    }
    if let (ErrorKind::InvalidSubcommand, Some(wrong)) = (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        return format!("there is no command {wrong}: say {} first; --help tells more", or(&commands));
    }
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // Phrases of the standard library and of clap about numbers.
    message
        .replace("invalid digit found in string", "it is no whole number")
        .replace(&format!("is not in 1..{}", u64::MAX), "is not 1 or more")
}

/// The command among subcommands that the words name.
fn chosen<'c>(command: &'c clap::Command, words: &[OsString]) -> &'c clap::Command {
    let within = |command: &'c clap::Command, word: &OsString| command.find_subcommand(word).unwrap_or(command);
    words.iter().skip(1).fold(command, within)
}

fn unknown_option(option: &str, suggested: Option<String>, command: &clap::Command, words: &[OsString]) -> String {
    let none = format!("there is no option {option}");
    if command.get_name() == "files" && OF_TAIL.contains(&option) {
        let follow = "tail -n +1 -F LOG | files - --out-of-order 10s";
        return format!("{none}: inputs are read to their end; to follow a log: {follow}");
    }
    if !option.starts_with('-') {
        return format!("there is no place for {option}: --help tells what is expected");
    }
    if !option.starts_with("--") {
        return unknown_short(option, command, words);
    }
    let is_near = |suggested: &String| suggested.as_bytes().get(2) == option.as_bytes().get(2);
    let contained = |suggested: &String| option.contains(suggested.trim_start_matches('-'));
    let similar = suggested.filter(|suggested| is_near(suggested) || contained(suggested));
    if let Some(similar) = similar.or_else(|| nearly(option, command)) {
        return format!("{none}; did you mean {similar}?");
    }
    match OF_FILES.contains(&option) {
        true => format!("{none}; only the program `files` has it"),
        false => none,
    }
}

/// Options have long names only, and `-gap` is taken for `-g -a -p`.
fn unknown_short(option: &str, command: &clap::Command, words: &[OsString]) -> String {
    let begins = |word: &&str| word.starts_with(option) && !word.starts_with("--");
    let word = words.iter().filter_map(|word| word.to_str()).find(begins).unwrap_or(option);
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let long = command.get_arguments().filter_map(clap::Arg::get_long);
    let mut meant: Vec<String> = long.filter(|long| long.starts_with(name)).map(|long| format!("--{long}")).collect();
    if let Some(same) = meant.iter().position(|long| long[2..] == *name) {
        meant = vec![meant.swap_remove(same)];
    }
    match &meant[..] {
        [] if word.contains('.') => format!("there is no option {word}; if it is a file, write ./{word}"),
        [] => format!("there is no option {word}; options have long names, which --help tells"),
        meant => format!("there is no option {word}; did you mean {}?", or(meant)),
    }
}

/// Names in a sentence: `run, rows or help`.
fn or<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match &names[..] {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// The option of which one letter is missing, wrong or too much, or that is written in capitals. clap compares longer
/// names only.
fn nearly(wrong: &str, command: &clap::Command) -> Option<String> {
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    let wrong = wrong.to_lowercase();
    names.map(|name| format!("--{name}")).find(|name| *name == wrong || differ_by_a_letter(name, &wrong))
}

fn differ_by_a_letter(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let before = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[before..], &other[before..]);
    match (one, other) {
        ([_, one_rest @ ..], [_, other_rest @ ..]) => one_rest == other_rest || one_rest == other || one == other_rest,
        ([_], []) | ([], [_]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_can_be_listed_are_taken_in_any_case() {
        #[derive(Debug, Parser)]
        struct Options {
            #[arg(long, value_parser = ["csv", "jsonl"])]
            form: String,
            #[arg(long)]
            user: String,
        }
        let words = ["files", "--form", "CSV", "--user", "Ann"].map(OsString::from);
        let options: Options = parse(words).unwrap().unwrap();
        assert_eq!((options.form.as_str(), options.user.as_str()), ("CSV", "Ann"));
        let words = ["files", "--form", "xml", "--user", "Ann"].map(OsString::from);
        let failure = parse::<Options>(words).unwrap_err();
        assert_eq!(failure.message, "invalid value 'xml' for '--form <FORM>' [possible values: csv, jsonl]");
    }

    #[test]
    fn a_value_may_begin_with_a_minus() {
        let joined = |text: &str| {
            let words = joined(text.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(joined("files - --zone -03:00 --gap -5m -"), "files - --zone=-03:00 --gap=-5m -");
        assert_eq!(joined("files --strict --gap=1m -5 -- -5"), "files --strict --gap=1m -5 -- -5");
    }

    #[test]
    fn a_command_that_is_missing_or_wrong_is_told() {
        let command = clap::Command::new("timely").subcommand_required(true).arg_required_else_help(true);
        let command = command.subcommands(["run", "rows"].map(clap::Command::new));
        let said = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            one_sentence(&command.clone().try_get_matches_from(&words).unwrap_err(), &command, &words)
        };
        assert_eq!(said(&["timely"]), "say what to do: run or rows; --help tells more");
        for wrong in ["a.jsonl", "rum"] {
            let sentence = format!("there is no command {wrong}: say run or rows first; --help tells more");
            assert_eq!(said(&["timely", wrong]), sentence);
        }
    }

    fn said(name: &'static str, words: &str) -> String {
        let long = |name: &'static str| clap::Arg::new(name).long(name);
        let count = long("update-every").value_parser(clap::value_parser!(u64).range(1..));
        let command = clap::Command::new(name)
            .subcommand(clap::Command::new("run").arg(long("max-delay")))
            .args(["gap", "output", "output-format", "report", "floor"].map(long))
            .arg(count);
        let words: Vec<OsString> = std::iter::once(name).chain(words.split(' ')).map(OsString::from).collect();
        one_sentence(&command.clone().try_get_matches_from(&words).unwrap_err(), &command, &words)
    }

    #[test]
    fn an_option_of_files_is_known_elsewhere() {
        assert_eq!(said("kafka", "run --sum"), "there is no option --sum; only the program `files` has it");
        assert_eq!(said("kafka", "run --xyzzy"), "there is no option --xyzzy");
    }

    #[test]
    fn an_option_of_a_command_is_guessed_at_among_those_of_the_command() {
        for wrong in ["-max-delay", "-m", "--MAX-DELAY", "--max-dely"] {
            let sentence = format!("there is no option {wrong}; did you mean --max-delay?");
            assert_eq!(said("kafka", &format!("run {wrong} 5s")), sentence);
        }
        assert_eq!(
            said("kafka", "run -gap 5s"),
            "there is no option -gap; options have long names, which --help tells"
        );
    }

    #[test]
    fn an_option_that_is_not_there_is_guessed_at_by_what_was_typed() {
        for (words, more) in [
            ("-gap 30m", "-gap; did you mean --gap?"),
            ("-gap=30m", "-gap=30m; did you mean --gap?"),
            ("-g 30m", "-g; did you mean --gap?"),
            ("-o x", "-o; did you mean --output or --output-format?"),
            ("-x", "-x; options have long names, which --help tells"),
            ("-x.log", "-x.log; if it is a file, write ./-x.log"),
            ("--GAP 30m", "--GAP; did you mean --gap?"),
            ("--no-report", "--no-report; did you mean --report?"),
            ("--outptu x", "--outptu; did you mean --output?"),
            ("--count", "--count"),
            (
                "--follow",
                "--follow: inputs are read to their end; to follow a log: tail -n +1 -F LOG | files - --out-of-order 10s",
            ),
            ("-f", "-f: inputs are read to their end; to follow a log: tail -n +1 -F LOG | files - --out-of-order 10s"),
        ] {
            assert_eq!(said("files", words), format!("there is no option {more}"), "{words}");
        }
        assert_eq!(said("sql", "run x"), "there is no place for x: --help tells what is expected");
        assert_eq!(said("timely", "-f"), "there is no option -f; did you mean --floor?");
        let of = "for '--update-every <update-every>': ";
        assert_eq!(said("files", "--update-every 0"), format!("invalid value '0' {of}0 is not 1 or more"));
        assert_eq!(said("files", "--update-every 1.5"), format!("invalid value '1.5' {of}it is no whole number"));
    }

    #[test]
    fn a_letter_may_be_missing_wrong_or_too_much() {
        let command = clap::Command::new("files").arg(clap::Arg::new("gap").long("gap"));
        for (wrong, meant) in [
            ("--gp", Some("--gap")),
            ("--ap", Some("--gap")),
            ("--ga", Some("--gap")),
            ("--gop", Some("--gap")),
            ("--gapp", Some("--gap")),
            ("--Gap", Some("--gap")),
            ("--g", None),
            ("--xyz", None),
            ("--", None),
        ] {
            assert_eq!(nearly(wrong, &command).as_deref(), meant, "{wrong}");
        }
    }
}
