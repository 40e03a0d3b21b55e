//! The columns of a table of sessions, as `files` and `kinesis` write and `query` reads them.

use events::columns::Columns;

/// Columns that are no key fields. The first stands before those, the others behind.
pub const SESSION: [&str; 11] = [
    "session_id",
    "timeagg",
    "events",
    "beginnavigation",
    "endnavigation",
    "beginsession",
    "endsession",
    "duration_sec",
    "reason",
    "revision",
    "supersedes",
];

/// Refuses a key field that has the name of another column of the rows.
pub fn check_names(columns: &Columns) -> Result<(), String> {
    match columns.key.iter().find(|name| SESSION.contains(&name.as_str())) {
        Some(name) => Err(format!("`{name}` is a column of every row: give the key field another name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_field_with_the_name_of_another_column_is_refused() {
        let taken = check_names(&Columns::declared(&["events:int"]).unwrap());
        assert_eq!(taken.unwrap_err(), "`events` is a column of every row: give the key field another name");
        assert_eq!(check_names(&Columns::declared(&["user_id:int"]).unwrap()), Ok(()));
    }
}
