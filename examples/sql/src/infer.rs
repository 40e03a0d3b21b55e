//! The types of the source's columns, as far as the SQL tells them.
//!
//! The service kept the schema of its source outside of the text. The use of a column in the text nearly
//! always tells its type: STEP takes a timestamp, `||` a text, and a column that is inserted as it is has the type of
//! the column it fills. The surer hint wins; of two that are as sure, the first.

use sqlparser::ast::{
    BinaryOperator, CeilFloorKind, DateTimeField, Expr as Tree, UnaryOperator, Value as Literal, WindowType,
};

use crate::compile::call_of;
use crate::parse::{Grouping, Item, Name, Pump};
use crate::types::Type;

/// A column of the source: its name, and the spellings that a field of it may have.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    pub fields: Vec<String>,
    pub ty: Type,
    sure: u8,
}

/// No hint; a literal or sum beside it; a column that it fills; a function that takes nothing else.
const UNKNOWN: u8 = 0;
const LIKELY: u8 = 1;
const FILLS: u8 = 2;
const CERTAIN: u8 = 3;

type Hint = (Type, u8);

#[derive(Debug, Default)]
pub struct Columns {
    pub found: Vec<Found>,
}

const NONE: Hint = (Type::Varchar(None), UNKNOWN);
const TEXT: Hint = (Type::Varchar(None), LIKELY);
const NUMBER: Hint = (Type::Double, LIKELY);
const TIME: Hint = (Type::Timestamp, CERTAIN);
const TRUTH: Hint = (Type::Boolean, LIKELY);

/// The names that every stream has.
pub const ROWTIME: &str = "ROWTIME";
pub const ARRIVAL: &str = "APPROXIMATE_ARRIVAL_TIME";

/// The field names that a column may have: its name, and without quotes also as written and in lower case.
pub fn spellings(name: &Name, written: &str) -> Vec<String> {
    let mut all = vec![name.text.clone()];
    if !name.quoted {
        for other in [written.to_owned(), name.text.to_lowercase()] {
            if !all.contains(&other) {
                all.push(other);
            }
        }
    }
    all
}

impl Columns {
    /// Notes the columns that a pump uses. `fills`: the types of the columns that its items fill.
    pub fn note_pump(&mut self, pump: &Pump, fills: &[Type]) {
        let select = &pump.select;
        let mut fills = fills.iter();
        for item in &select.items {
            let Item::One(part, _) = item else { continue };
            let hint = fills.next().map_or(NONE, |ty| {
                let ty = if ty.is_text() { Type::Varchar(None) } else { *ty };
                (ty, FILLS)
            });
            self.note(&part.expr, hint);
        }
        for part in select.filter.iter().chain(&select.having) {
            self.note(&part.expr, TRUTH);
        }
        match &select.grouping {
            Some(Grouping::Stagger { partition: parts, .. } | Grouping::GroupBy { by: parts, .. }) => {
                parts.iter().for_each(|part| self.note(&part.expr, NONE));
            }
            None => {}
        }
        for (_, spec) in &select.windows {
            spec.partition_by.iter().for_each(|one| self.note(one, NONE));
        }
    }

    fn column(&mut self, ident: &sqlparser::ast::Ident, (ty, sure): Hint) {
        let name = Name::of(ident);
        if name.text == ROWTIME || name.text == ARRIVAL || is_clock(&name) {
            return;
        }
        let fields = spellings(&name, &ident.value);
        match self.found.iter_mut().find(|found| found.name == name.text) {
            None => self.found.push(Found { name: name.text, fields, ty, sure }),
            Some(found) => {
                let new: Vec<String> = fields.into_iter().filter(|field| !found.fields.contains(field)).collect();
                found.fields.extend(new);
                if sure > found.sure {
                    (found.ty, found.sure) = (ty, sure);
                }
            }
        }
    }

    fn note(&mut self, tree: &Tree, hint: Hint) {
        match tree {
            Tree::Identifier(ident) => self.column(ident, hint),
            Tree::CompoundIdentifier(idents) => idents.last().into_iter().for_each(|ident| self.column(ident, hint)),
            Tree::Nested(one) => self.note(one, hint),
            Tree::UnaryOp { op: UnaryOperator::Not, expr } => self.note(expr, TRUTH),
            Tree::UnaryOp { expr, .. } => self.note(expr, number_like(hint)),
            Tree::BinaryOp { left, op, right } => self.note_binary(left, op, right, hint),
            Tree::IsNull(one) | Tree::IsNotNull(one) | Tree::IsUnknown(one) | Tree::IsNotUnknown(one) => {
                self.note(one, NONE);
            }
            Tree::IsTrue(one) | Tree::IsNotTrue(one) | Tree::IsFalse(one) | Tree::IsNotFalse(one) => {
                self.note(one, TRUTH);
            }
            Tree::Between { expr, low, high, .. } => self.note_alike(&[expr, low, high]),
            Tree::InList { expr, list, .. } => {
                self.note_alike(&std::iter::once(&**expr).chain(list).collect::<Vec<_>>());
            }
            Tree::Like { expr, pattern, .. } => self.note_all(&[expr, pattern], (Type::Varchar(None), CERTAIN)),
            Tree::Case { operand, conditions, else_result, .. } => {
                for when in conditions {
                    match operand {
                        Some(operand) => self.note_alike(&[operand, &when.condition]),
                        None => self.note(&when.condition, TRUTH),
                    }
                    self.note(&when.result, hint);
                }
                else_result.iter().for_each(|one| self.note(one, hint));
            }
            Tree::Cast { expr, .. } => self.note(expr, NONE),
            Tree::Floor { expr, field } | Tree::Ceil { expr, field } => match field {
                CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => self.note(expr, number_like(hint)),
                _ => self.note(expr, TIME),
            },
            Tree::Extract { expr, .. } => self.note(expr, TIME),
            Tree::Position { expr, r#in } => self.note_all(&[expr, r#in], TEXT),
            Tree::Substring { expr, substring_from, substring_for, .. } => {
                self.note(expr, (Type::Varchar(None), CERTAIN));
                for one in substring_from.iter().chain(substring_for) {
                    self.note(one, (Type::Integer, CERTAIN));
                }
            }
            Tree::Trim { expr, .. } => self.note(expr, (Type::Varchar(None), CERTAIN)),
            Tree::Function(_) => self.note_call(tree, hint),
            _ => {}
        }
    }

    fn note_all(&mut self, trees: &[&Tree], hint: Hint) {
        trees.iter().for_each(|tree| self.note(tree, hint));
    }

    /// Trees that are compared: a literal among them tells the type of the others.
    fn note_alike(&mut self, trees: &[&Tree]) {
        let hint = trees.iter().find_map(|tree| literal(tree)).unwrap_or(NONE);
        self.note_all(trees, hint);
    }

    fn note_binary(&mut self, left: &Tree, op: &BinaryOperator, right: &Tree, hint: Hint) {
        use BinaryOperator as B;
        match op {
            B::And | B::Or => self.note_all(&[left, right], TRUTH),
            B::StringConcat => self.note_all(&[left, right], TEXT),
            B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo => {
                let is_interval = |tree: &Tree| matches!(tree, Tree::Interval(_));
                let hint = if is_interval(left) || is_interval(right) { TIME } else { number_like(hint) };
                self.note_all(&[left, right], hint);
            }
            _ => self.note_alike(&[left, right]),
        }
    }

    fn note_call(&mut self, tree: &Tree, hint: Hint) {
        let Some(call) = call_of(tree) else { return };
        if let Some(WindowType::WindowSpec(spec)) = call.over {
            spec.partition_by.iter().for_each(|one| self.note(one, NONE));
        }
        let hint = match call.name.as_str() {
            "STEP" => match call.arguments.get(1) {
                Some(Tree::Interval(_)) => TIME,
                _ => (Type::BigInt, CERTAIN),
            },
            "UNIX_TIMESTAMP" | "TSDIFF" => TIME,
            "TO_TIMESTAMP" => (Type::BigInt, CERTAIN),
            "UPPER" | "LOWER" | "CHAR_LENGTH" | "CHARACTER_LENGTH" => (Type::Varchar(None), CERTAIN),
            "SUBSTRING" | "SUBSTR" => {
                call.arguments.iter().take(1).for_each(|one| self.note(one, (Type::Varchar(None), CERTAIN)));
                call.arguments.iter().skip(1).for_each(|one| self.note(one, (Type::Integer, CERTAIN)));
                return;
            }
            "MIN" | "MAX" | "FIRST_VALUE" | "LAST_VALUE" | "NULLIF" | "COALESCE" => hint,
            "COUNT" => NONE,
            "SUM" | "ABS" | "MOD" => number_like(hint),
            _ => NUMBER,
        };
        self.note_all(&call.arguments, hint);
    }
}

/// A name that reads the clock of the row.
fn is_clock(name: &Name) -> bool {
    !name.quoted && matches!(name.text.as_str(), "CURRENT_ROW_TIMESTAMP" | "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP")
}

/// Parts of a sum are numbers: whole ones where a whole number comes of it.
fn number_like((ty, sure): Hint) -> Hint {
    if ty.is_number() && sure > UNKNOWN { (ty, LIKELY) } else { NUMBER }
}

fn literal(tree: &Tree) -> Option<Hint> {
    match tree {
        Tree::Nested(one) | Tree::UnaryOp { expr: one, .. } => literal(one),
        Tree::Value(value) => match &value.value {
            Literal::Number(..) => Some(NUMBER),
            Literal::SingleQuotedString(_) => Some(TEXT),
            Literal::Boolean(_) => Some(TRUTH),
            _ => None,
        },
        Tree::TypedString(typed) => Type::of(&typed.data_type).ok().map(|ty| (ty, LIKELY)),
        _ => None,
    }
}
