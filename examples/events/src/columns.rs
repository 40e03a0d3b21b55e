//! Key fields and the types of their columns, as the command line declares them: `user_id:int,device_id`.

/// The key columns of all rows of a run.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Names of the key fields.
    pub key: Vec<String>,
    /// The types of their columns, one for each.
    pub kinds: Vec<KeyKind>,
}

/// The type of a key column. It is declared, not found in the data, so that all files of a table agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Numbers are written as their digits.
    Text,
    /// Signed, 64 bits.
    Integer,
}

impl Columns {
    /// Reads key fields as they are given on the command line: `user_id:int`, `device_id`.
    pub fn declared<S: AsRef<str>>(fields: &[S]) -> Result<Self, String> {
        let mut columns = Self { key: Vec::new(), kinds: Vec::new() };
        for field in fields {
            let (name, kind) = declared(field.as_ref())?;
            if columns.key.iter().any(|known| known == name) {
                return Err(format!("the key field `{name}` is given twice: leave one out"));
            }
            columns.key.push(name.to_owned());
            columns.kinds.push(kind);
        }
        Ok(columns)
    }
}

fn declared(field: &str) -> Result<(&str, KeyKind), String> {
    let (name, kind) = match field.rsplit_once(':') {
        None => (field, KeyKind::Text),
        Some((name, "int")) => (name, KeyKind::Integer),
        Some((name, "text")) => (name, KeyKind::Text),
        Some((_, other)) => {
            return Err(format!(
                "`{field}` has an unknown type `{other}`: write int or text after the colon, or \
                 {field}:text if the colon belongs to the name"
            ));
        }
    };
    if name.is_empty() {
        return Err(format!("`{field}` names no field: write its name, or name:int"));
    }
    Ok((name, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_fields_may_have_types() {
        let columns = Columns::declared(&["user_id:int", "device_id", "a:b:text"]).unwrap();
        assert_eq!(columns.key, ["user_id", "device_id", "a:b"]);
        assert_eq!(columns.kinds, [KeyKind::Integer, KeyKind::Text, KeyKind::Text]);
        let reason = |fields: &[&str]| Columns::declared(fields).unwrap_err();
        let unknown = "`a:bool` has an unknown type `bool`: write int or text after the colon, or a:bool:text if \
                       the colon belongs to the name";
        assert_eq!(reason(&["a:bool"]), unknown);
        assert_eq!(reason(&[":int"]), "`:int` names no field: write its name, or name:int");
        assert_eq!(reason(&["a", "a:int"]), "the key field `a` is given twice: leave one out");
    }
}
