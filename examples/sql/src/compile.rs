//! From the tree of the text to expressions with types.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, DuplicateTreatment, Expr as Tree, FunctionArg,
    FunctionArgExpr, FunctionArguments, Interval, TrimWhereField, TypedString, UnaryOperator, Value as Literal,
    ValueWithSpan,
};
use stagger::Unit;

use crate::expr::{Comparison, Expr, Numbers, Operator};
use crate::functions::{Field, Function, Side};
use crate::model::Typed;
use crate::parse::{Name, place_of};
use crate::text::{Checked, Mistake, Place};
use crate::types::{MOST_DIGITS, Type, Value, parse_date, parse_decimal, parse_time, parse_timestamp};

/// No expression is nested more deeply.
const DEEPEST: usize = 200;

/// What names and aggregates mean where an expression stands.
pub trait Scope {
    /// A column, with the name of its stream if that stands before it.
    fn column(&mut self, stream: Option<&Name>, name: &Name) -> Checked<Typed>;

    /// A tree that means something as a whole here: an aggregate, an expression of GROUP BY.
    fn whole(&mut self, _tree: &Tree, _place: Place) -> Option<Checked<Typed>> {
        None
    }
}

/// Compiles one expression.
pub struct Compiler<'s, S> {
    pub scope: &'s mut S,
    /// Where to say that a mistake is, if the tree does not know.
    pub place: Place,
    pub depth: usize,
}

pub fn compile(tree: &Tree, place: Place, scope: &mut impl Scope) -> Checked<Typed> {
    Compiler { scope, place, depth: 0 }.typed(tree)
}

/// An expression that must be true or false.
pub fn condition(tree: &Tree, place: Place, scope: &mut impl Scope) -> Checked<Expr> {
    let typed = compile(tree, place, scope)?;
    match typed.ty {
        Type::Boolean | Type::Null => Ok(typed.expr),
        other => {
            Err(Mistake::new(place_of(tree, place), format!("the condition is {other}, not BOOLEAN"), "Compare it."))
        }
    }
}

/// Makes an expression one of another type, by a cast if it is needed.
pub fn converted(typed: Typed, to: Type) -> Expr {
    match (typed.ty, to) {
        (from, to) if from == to => typed.expr,
        (_, Type::Varchar(None)) if typed.ty.is_text() => typed.expr,
        (Type::SmallInt | Type::Integer, Type::BigInt | Type::Integer) | (Type::Null, _) => typed.expr,
        (Type::Varchar(Some(from)), Type::Varchar(Some(to))) if from <= to => typed.expr,
        _ => Expr::Cast(Box::new(typed.expr), to),
    }
}

const USE_CAST: &str = "Convert one of them with CAST(… AS TYPE).";

impl<S: Scope> Compiler<'_, S> {
    fn mistake<T>(&self, tree: &Tree, what: impl Into<String>, instead: impl Into<String>) -> Checked<T> {
        Err(Mistake::new(place_of(tree, self.place), what, instead))
    }

    pub fn typed(&mut self, tree: &Tree) -> Checked<Typed> {
        if self.depth > DEEPEST {
            let instead = "Let one pump compute the inner part into a stream, and another read it.";
            return Err(Mistake::new(self.place, "the expression is nested too deeply", instead));
        }
        self.depth += 1;
        let typed = match self.scope.whole(tree, self.place) {
            Some(typed) => typed,
            None => self.parts(tree),
        };
        self.depth -= 1;
        typed
    }

    fn boxed(&mut self, tree: &Tree) -> Checked<(Box<Expr>, Type)> {
        let typed = self.typed(tree)?;
        Ok((Box::new(typed.expr), typed.ty))
    }

    fn parts(&mut self, tree: &Tree) -> Checked<Typed> {
        match tree {
            Tree::Identifier(ident) => self.scope.column(None, &Name::of(ident)),
            Tree::CompoundIdentifier(idents) => match &idents[..] {
                [.., stream, column] => self.scope.column(Some(&Name::of(stream)), &Name::of(column)),
                _ => self.unsupported(tree),
            },
            Tree::Nested(inner) => self.typed(inner),
            Tree::Value(value) => self.literal(tree, value),
            Tree::TypedString(typed) => self.typed_literal(tree, typed),
            Tree::Interval(interval) => {
                let length = interval_of(interval, place_of(tree, self.place))?;
                Ok(Typed { expr: Expr::Literal(Value::Interval(length)), ty: Type::Interval })
            }
            Tree::UnaryOp { op, expr } => self.unary(tree, *op, expr),
            Tree::BinaryOp { left, op, right } => self.binary(tree, left, op, right),
            Tree::IsNull(one) => self.is_null(one, false),
            Tree::IsNotNull(one) => self.is_null(one, true),
            Tree::IsTrue(one) => self.is(one, true, false),
            Tree::IsNotTrue(one) => self.is(one, true, true),
            Tree::IsFalse(one) => self.is(one, false, false),
            Tree::IsNotFalse(one) => self.is(one, false, true),
            Tree::IsUnknown(one) => self.is_null(one, false),
            Tree::IsNotUnknown(one) => self.is_null(one, true),
            Tree::Between { expr, negated, low, high } => self.between(tree, expr, *negated, low, high),
            Tree::InList { expr, list, negated } => self.in_list(tree, expr, list, *negated),
            Tree::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(tree, *negated, expr, pattern, escape_char.as_ref())
            }
            Tree::Case { operand, conditions, else_result, .. } => {
                self.case(tree, operand.as_deref(), conditions, else_result.as_deref())
            }
            Tree::Cast { kind: CastKind::Cast, expr, data_type, format: None, .. } => {
                let to = Type::of(data_type).map_err(|what| Mistake::new(place_of(expr, self.place), what, TYPES))?;
                self.cast(tree, expr, to)
            }
            _ => self.call(tree),
        }
    }

    fn unsupported<T>(&self, tree: &Tree) -> Checked<T> {
        let instead = "The README of this program lists the functions and operators that it knows.";
        self.mistake(tree, format!("`{}` is not supported", shortened(&tree.to_string())), instead)
    }

    // --- Literals ---

    fn literal(&self, tree: &Tree, value: &ValueWithSpan) -> Checked<Typed> {
        let (value, ty) = match &value.value {
            Literal::Null => (Value::Null, Type::Null),
            Literal::Boolean(is) => (Value::Bool(*is), Type::Boolean),
            Literal::SingleQuotedString(text) => {
                (Value::text(text), Type::Varchar(Some((text.chars().count() as u32).max(1))))
            }
            Literal::Number(text, false) => return self.number(tree, text),
            _ => return self.unsupported(tree),
        };
        Ok(Typed { expr: Expr::Literal(value), ty })
    }

    fn number(&self, tree: &Tree, text: &str) -> Checked<Typed> {
        let (value, ty) = if let Ok(number) = text.parse::<i64>() {
            (Value::Int(number), if i32::try_from(number).is_ok() { Type::Integer } else { Type::BigInt })
        } else if let Some((digits, scale)) =
            parse_decimal(text).filter(|(digits, _)| digits.unsigned_abs() < 10_u64.pow(18))
        {
            let precision = (digits.unsigned_abs().checked_ilog10().unwrap_or(0) as u8 + 1).max(scale);
            (Value::Decimal(digits, scale), Type::Decimal { precision, scale })
        } else if let Ok(number) = text.parse::<f64>() {
            (Value::Double(number), Type::Double)
        } else {
            return self.unsupported(tree);
        };
        Ok(Typed { expr: Expr::Literal(value), ty })
    }

    fn typed_literal(&self, tree: &Tree, typed: &TypedString) -> Checked<Typed> {
        let ty = Type::of(&typed.data_type).map_err(|what| Mistake::new(place_of(tree, self.place), what, TYPES))?;
        let text = match &typed.value.value {
            Literal::SingleQuotedString(text) => text.as_str(),
            _ => return self.unsupported(tree),
        };
        let value = match ty {
            Type::Timestamp => parse_timestamp(text).map(Value::Timestamp),
            Type::Date => parse_date(text).map(Value::Date),
            Type::Time => parse_time(text).map(Value::Time),
            _ => return self.unsupported(tree),
        };
        match value {
            Some(value) => Ok(Typed { expr: Expr::Literal(value), ty }),
            None => self.mistake(tree, format!("'{text}' is no {ty}"), "Write it as '2018-11-29 23:35:10.123'."),
        }
    }

    // --- Operators ---

    fn unary(&mut self, tree: &Tree, op: UnaryOperator, one: &Tree) -> Checked<Typed> {
        let (expr, ty) = self.boxed(one)?;
        match op {
            UnaryOperator::Not if matches!(ty, Type::Boolean | Type::Null) => {
                Ok(Typed { expr: Expr::Not(expr), ty: Type::Boolean })
            }
            UnaryOperator::Plus if ty.is_number() => Ok(Typed { expr: *expr, ty }),
            UnaryOperator::Minus if ty.is_number() || ty == Type::Interval => {
                Ok(Typed { expr: Expr::Negate(expr), ty })
            }
            UnaryOperator::Not | UnaryOperator::Plus | UnaryOperator::Minus => {
                self.mistake(one, format!("{op} does not go with {ty}"), "")
            }
            _ => self.unsupported(tree),
        }
    }

    fn binary(&mut self, tree: &Tree, left: &Tree, op: &BinaryOperator, right: &Tree) -> Checked<Typed> {
        use BinaryOperator as B;
        let comparison = match op {
            B::Eq => Comparison::Equal,
            B::NotEq => Comparison::NotEqual,
            B::Lt => Comparison::Less,
            B::LtEq => Comparison::LessOrEqual,
            B::Gt => Comparison::Greater,
            B::GtEq => Comparison::GreaterOrEqual,
            B::And | B::Or => return self.logic(left, op, right),
            B::StringConcat => return self.concat(left, right),
            B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo => return self.arithmetic(tree, left, op, right),
            _ => return self.unsupported(tree),
        };
        let (left_typed, right_typed) = (self.typed(left)?, self.typed(right)?);
        self.comparison(tree, comparison, left_typed, right_typed)
    }

    fn comparison(&self, tree: &Tree, comparison: Comparison, left: Typed, right: Typed) -> Checked<Typed> {
        if left.ty.common(right.ty).is_none() {
            return self.mistake(tree, format!("{} and {} cannot be compared", left.ty, right.ty), USE_CAST);
        }
        let expr = Expr::Compare(comparison, Box::new(left.expr), Box::new(right.expr));
        Ok(Typed { expr, ty: Type::Boolean })
    }

    fn boolean(&mut self, tree: &Tree) -> Checked<Expr> {
        let typed = self.typed(tree)?;
        match typed.ty {
            Type::Boolean | Type::Null => Ok(typed.expr),
            other => self.mistake(tree, format!("the condition is {other}, not BOOLEAN"), "Compare it with a value."),
        }
    }

    fn logic(&mut self, left: &Tree, op: &BinaryOperator, right: &Tree) -> Checked<Typed> {
        let (left, right) = (self.boolean(left)?, self.boolean(right)?);
        let expr = match (left, op) {
            (Expr::And(mut all), BinaryOperator::And) => {
                all.push(right);
                Expr::And(all)
            }
            (Expr::Or(mut any), BinaryOperator::Or) => {
                any.push(right);
                Expr::Or(any)
            }
            (left, BinaryOperator::And) => Expr::And(vec![left, right]),
            (left, _) => Expr::Or(vec![left, right]),
        };
        Ok(Typed { expr, ty: Type::Boolean })
    }

    fn concat(&mut self, left: &Tree, right: &Tree) -> Checked<Typed> {
        let mut parts = Vec::new();
        let mut length = Some(0_u32);
        for tree in [left, right] {
            let typed = self.typed(tree)?;
            if !typed.ty.is_text() {
                let instead = "Convert it with CAST(… AS VARCHAR(20)).";
                return self.mistake(tree, format!("|| joins texts, and this is {}", typed.ty), instead);
            }
            length = match (length, typed.ty) {
                (Some(length), Type::Varchar(Some(more)) | Type::Char(more)) => length.checked_add(more),
                _ => None,
            };
            match typed.expr {
                Expr::Concat(more) => parts.extend(more),
                one => parts.push(one),
            }
        }
        Ok(Typed { expr: Expr::Concat(parts), ty: Type::Varchar(length) })
    }

    fn arithmetic(&mut self, tree: &Tree, left: &Tree, op: &BinaryOperator, right: &Tree) -> Checked<Typed> {
        let operator = match op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Times,
            BinaryOperator::Divide => Operator::Divide,
            _ => Operator::Modulo,
        };
        let (left, right) = (self.typed(left)?, self.typed(right)?);
        if left.ty.is_number() && right.ty.is_number() {
            return Ok(number_operation(operator, left, right));
        }
        self.time_arithmetic(tree, operator, left, right)
    }

    fn time_arithmetic(&self, tree: &Tree, operator: Operator, left: Typed, right: Typed) -> Checked<Typed> {
        let is_time = |ty| matches!(ty, Type::Timestamp | Type::Date | Type::Time);
        let later = |time: Typed, interval: Expr| Typed {
            expr: Expr::Later(Box::new(time.expr), Box::new(interval)),
            ty: time.ty,
        };
        match (operator, left.ty, right.ty) {
            (Operator::Plus, time, Type::Interval) if is_time(time) || time == Type::Interval => {
                Ok(later(left, right.expr))
            }
            (Operator::Plus, Type::Interval, time) if is_time(time) => Ok(later(right, left.expr)),
            (Operator::Minus, time, Type::Interval) if is_time(time) || time == Type::Interval => {
                Ok(later(left, Expr::Negate(Box::new(right.expr))))
            }
            (Operator::Minus, Type::Timestamp, Type::Timestamp) => {
                let instead = "TSDIFF(later, earlier) gives the milliseconds between two timestamps.";
                self.mistake(tree, "a difference of timestamps is not supported", instead)
            }
            (_, one, other) => {
                let sign = match operator {
                    Operator::Plus => "+",
                    Operator::Minus => "-",
                    Operator::Times => "*",
                    Operator::Divide => "/",
                    Operator::Modulo => "%",
                };
                self.mistake(tree, format!("{one} {sign} {other} has no meaning"), USE_CAST)
            }
        }
    }

    fn is_null(&mut self, one: &Tree, negated: bool) -> Checked<Typed> {
        let (one, _) = self.boxed(one)?;
        Ok(boolean(Expr::IsNull(one), negated))
    }

    fn is(&mut self, one: &Tree, target: bool, negated: bool) -> Checked<Typed> {
        let one = self.boolean(one)?;
        Ok(boolean(Expr::Is(Box::new(one), target), negated))
    }

    fn between(&mut self, tree: &Tree, one: &Tree, negated: bool, low: &Tree, high: &Tree) -> Checked<Typed> {
        let (one, low, high) = (self.typed(one)?, self.typed(low)?, self.typed(high)?);
        let above = self.comparison(tree, Comparison::GreaterOrEqual, one.clone(), low)?;
        let below = self.comparison(tree, Comparison::LessOrEqual, one, high)?;
        Ok(boolean(Expr::And(vec![above.expr, below.expr]), negated))
    }

    fn in_list(&mut self, tree: &Tree, one: &Tree, list: &[Tree], negated: bool) -> Checked<Typed> {
        let one = self.typed(one)?;
        let mut values = Vec::new();
        for other in list {
            let typed = self.typed(other)?;
            if one.ty.common(typed.ty).is_none() {
                let what = format!("{} and {} cannot be compared", one.ty, typed.ty);
                return self.mistake(if matches!(other, Tree::Value(_)) { other } else { tree }, what, USE_CAST);
            }
            values.push(typed.expr);
        }
        Ok(boolean(Expr::In(Box::new(one.expr), values), negated))
    }

    fn text(&mut self, tree: &Tree) -> Checked<Typed> {
        let typed = self.typed(tree)?;
        if typed.ty.is_text() {
            return Ok(typed);
        }
        let instead = "Convert it with CAST(… AS VARCHAR(20)).";
        self.mistake(tree, format!("a text is needed here, and this is {}", typed.ty), instead)
    }

    fn like(
        &mut self,
        tree: &Tree,
        negated: bool,
        one: &Tree,
        pattern: &Tree,
        escape: Option<&ValueWithSpan>,
    ) -> Checked<Typed> {
        let (one, pattern) = (self.text(one)?, self.text(pattern)?);
        let escape = match escape.map(|escape| &escape.value) {
            None => None,
            Some(Literal::SingleQuotedString(text)) if text.chars().count() == 1 => text.chars().next(),
            Some(_) => return self.mistake(tree, "ESCAPE takes one character", ""),
        };
        Ok(boolean(Expr::Like(Box::new(one.expr), Box::new(pattern.expr), escape), negated))
    }

    fn case(
        &mut self,
        tree: &Tree,
        operand: Option<&Tree>,
        whens: &[CaseWhen],
        otherwise: Option<&Tree>,
    ) -> Checked<Typed> {
        let operand = operand.map(|operand| self.typed(operand)).transpose()?;
        let (mut conditions, mut results) = (Vec::new(), Vec::new());
        for when in whens {
            conditions.push(match &operand {
                None => self.boolean(&when.condition)?,
                Some(operand) => {
                    let value = self.typed(&when.condition)?;
                    self.comparison(&when.condition, Comparison::Equal, operand.clone(), value)?.expr
                }
            });
            results.push(self.typed(&when.result)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.typed(otherwise)?,
            None => Typed { expr: Expr::Literal(Value::Null), ty: Type::Null },
        });
        let ty = self.common(tree, &results)?;
        let mut results = results.into_iter().map(|typed| converted(typed, ty)).collect::<Vec<_>>();
        let otherwise = Box::new(results.pop().unwrap_or(Expr::Literal(Value::Null)));
        Ok(Typed { expr: Expr::Case(conditions.into_iter().zip(results).collect(), otherwise), ty })
    }

    fn common(&self, tree: &Tree, all: &[Typed]) -> Checked<Type> {
        let mut common = Type::Null;
        for typed in all {
            common = match common.common(typed.ty) {
                Some(ty) => ty,
                None => return self.mistake(tree, format!("{common} and {} have no common type", typed.ty), USE_CAST),
            };
        }
        Ok(common)
    }

    fn cast(&mut self, tree: &Tree, one: &Tree, to: Type) -> Checked<Typed> {
        let typed = self.typed(one)?;
        if !typed.ty.can_become(to) {
            return self.mistake(tree, format!("CAST makes no {to} of {}", typed.ty), CASTS);
        }
        let is_same = typed.ty == to && !matches!(to, Type::Char(_));
        Ok(Typed { expr: if is_same { typed.expr } else { Expr::Cast(Box::new(typed.expr), to) }, ty: to })
    }

    // --- Functions ---

    fn call(&mut self, tree: &Tree) -> Checked<Typed> {
        match tree {
            Tree::Floor { expr, field } => self.rounded(tree, expr, field, Function::Floor, Function::FloorNumber),
            Tree::Ceil { expr, field } => self.rounded(tree, expr, field, Function::Ceil, Function::CeilNumber),
            Tree::Extract { field, expr, .. } => self.extract(tree, field, expr),
            Tree::Position { expr, r#in } => {
                let arguments = vec![self.text(expr)?.expr, self.text(r#in)?.expr];
                Ok(Typed { expr: Expr::Call(Function::Position, arguments), ty: Type::Integer })
            }
            Tree::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                self.substring(expr, from, substring_for.as_deref())
            }
            Tree::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.trim(*trim_where, trim_what.as_deref(), expr)
            }
            Tree::Function(_) => self.named(tree),
            _ => self.unsupported(tree),
        }
    }

    fn rounded(
        &mut self,
        tree: &Tree,
        one: &Tree,
        field: &CeilFloorKind,
        of_time: fn(Unit) -> Function,
        of_number: Function,
    ) -> Checked<Typed> {
        let typed = self.typed(one)?;
        let unit = match field {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => None,
            CeilFloorKind::DateTimeField(field) => match unit_of(field) {
                Some(unit) => Some(unit),
                None => return self.mistake(tree, format!("rounding to {field} is not supported"), UNITS),
            },
            CeilFloorKind::Scale(_) => return self.unsupported(tree),
        };
        let (function, ty) = match (unit, typed.ty) {
            (Some(unit), ty @ (Type::Timestamp | Type::Date | Type::Time)) => (of_time(unit), ty),
            (None, Type::Decimal { precision, .. }) => (of_number, Type::Decimal { precision, scale: 0 }),
            (None, ty) if ty.is_number() => (of_number, ty),
            (Some(_), ty) => return self.mistake(one, format!("a time is needed here, and this is {ty}"), USE_CAST),
            (None, ty) => {
                return self.mistake(
                    one,
                    format!("{ty} is rounded TO a unit"),
                    "Write FLOOR(… TO MINUTE), for example.",
                );
            }
        };
        Ok(Typed { expr: Expr::Call(function, vec![typed.expr]), ty })
    }

    fn extract(&mut self, tree: &Tree, field: &DateTimeField, one: &Tree) -> Checked<Typed> {
        let typed = self.typed(one)?;
        let field = match field {
            DateTimeField::Year => Field::Year,
            DateTimeField::Quarter => Field::Quarter,
            DateTimeField::Month => Field::Month,
            DateTimeField::Week(None) => Field::Week,
            DateTimeField::Day => Field::Day,
            DateTimeField::Hour => Field::Hour,
            DateTimeField::Minute => Field::Minute,
            DateTimeField::Second => Field::Second,
            _ => return self.mistake(tree, format!("EXTRACT({field} …) is not supported"), UNITS),
        };
        if !matches!(typed.ty, Type::Timestamp | Type::Date | Type::Time | Type::Null) {
            return self.mistake(one, format!("a time is needed here, and this is {}", typed.ty), USE_CAST);
        }
        Ok(Typed { expr: Expr::Call(Function::Extract(field), vec![typed.expr]), ty: Type::BigInt })
    }

    fn substring(&mut self, text: &Tree, from: &Tree, length: Option<&Tree>) -> Checked<Typed> {
        let text = self.text(text)?;
        let mut arguments = vec![text.expr, self.integer(from)?];
        if let Some(length) = length {
            arguments.push(self.integer(length)?);
        }
        let ty = if let Type::Char(length) = text.ty { Type::Varchar(Some(length)) } else { text.ty };
        Ok(Typed { expr: Expr::Call(Function::Substring, arguments), ty })
    }

    fn integer(&mut self, tree: &Tree) -> Checked<Expr> {
        let typed = self.typed(tree)?;
        match typed.ty {
            ty if ty.is_integer() => Ok(typed.expr),
            ty => self.mistake(tree, format!("a whole number is needed here, and this is {ty}"), USE_CAST),
        }
    }

    fn trim(&mut self, side: Option<TrimWhereField>, what: Option<&Tree>, text: &Tree) -> Checked<Typed> {
        let side = match side {
            None | Some(TrimWhereField::Both) => Side::Both,
            Some(TrimWhereField::Leading) => Side::Leading,
            Some(TrimWhereField::Trailing) => Side::Trailing,
        };
        let text = self.text(text)?;
        let what = match what {
            Some(what) => self.text(what)?.expr,
            None => Expr::Literal(Value::text(" ")),
        };
        Ok(Typed { expr: Expr::Call(Function::Trim(side), vec![text.expr, what]), ty: text.ty })
    }

    fn named(&mut self, tree: &Tree) -> Checked<Typed> {
        let Some(Call { name, arguments, is_plain: true, .. }) = call_of(tree) else { return self.unsupported(tree) };
        let is = |counts: std::ops::RangeInclusive<usize>| {
            if counts.contains(&arguments.len()) {
                return Ok(());
            }
            let (least, most) = (counts.start(), counts.end());
            let many = if least == most { least.to_string() } else { format!("{least} to {most}") };
            self.mistake(tree, format!("{name} takes {many} arguments, and here are {}", arguments.len()), "")
        };
        let double = |function| (function, Type::Double, Want::Number);
        let (function, ty, want) = match name.as_str() {
            "STEP" => return self.step(tree, &arguments),
            "COALESCE" | "NULLIF" => return self.choose(tree, &name, &arguments),
            "SUBSTRING" | "SUBSTR" => {
                is(2..=3)?;
                return self.substring(arguments[0], arguments[1], arguments.get(2).copied());
            }
            "MOD" => {
                is(2..=2)?;
                let (left, right) = (self.typed(arguments[0])?, self.typed(arguments[1])?);
                if left.ty.is_number() && right.ty.is_number() {
                    return Ok(number_operation(Operator::Modulo, left, right));
                }
                return self.mistake(tree, "MOD takes numbers", USE_CAST);
            }
            "POWER" => {
                is(2..=2)?;
                let arguments = [arguments[0], arguments[1]].map(|one| self.wanted(one, Want::Number));
                let [base, exponent] = arguments;
                return Ok(Typed {
                    expr: Expr::Call(Function::Power, vec![base?.expr, exponent?.expr]),
                    ty: Type::Double,
                });
            }
            "TSDIFF" => {
                is(2..=2)?;
                let (one, other) = (self.wanted(arguments[0], Want::Time)?, self.wanted(arguments[1], Want::Time)?);
                return Ok(Typed { expr: Expr::Call(Function::Tsdiff, vec![one.expr, other.expr]), ty: Type::BigInt });
            }
            "ABS" => {
                is(1..=1)?;
                let one = self.wanted(arguments[0], Want::Number)?;
                return Ok(Typed { expr: Expr::Call(Function::Abs, vec![one.expr]), ty: one.ty });
            }
            "UPPER" | "LOWER" => {
                is(1..=1)?;
                let text = self.text(arguments[0])?;
                let function = if name == "UPPER" { Function::Upper } else { Function::Lower };
                return Ok(Typed { expr: Expr::Call(function, vec![text.expr]), ty: text.ty });
            }
            "CHAR_LENGTH" | "CHARACTER_LENGTH" => (Function::CharLength, Type::Integer, Want::Text),
            "UNIX_TIMESTAMP" => (Function::UnixTimestamp, Type::BigInt, Want::Time),
            "TO_TIMESTAMP" => (Function::ToTimestamp, Type::Timestamp, Want::Integer),
            "SQRT" => double(Function::Sqrt),
            "EXP" => double(Function::Exp),
            "LN" => double(Function::Ln),
            "LOG10" => double(Function::Log10),
            "CURRENT_ROW_TIMESTAMP" | "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP" => {
                let at = place_of(tree, self.place);
                return self.scope.column(None, &Name { text: "ROWTIME".to_owned(), quoted: false, place: at });
            }
            _ => {
                let instead = instead_of(&name);
                return self.mistake(tree, format!("the function {name} is not supported"), instead);
            }
        };
        is(1..=1)?;
        let argument = self.wanted(arguments[0], want)?;
        Ok(Typed { expr: Expr::Call(function, vec![argument.expr]), ty })
    }

    fn wanted(&mut self, tree: &Tree, want: Want) -> Checked<Typed> {
        let typed = self.typed(tree)?;
        let (is, name) = match want {
            Want::Text => (typed.ty.is_text(), "a text"),
            Want::Number => (typed.ty.is_number(), "a number"),
            Want::Integer => (typed.ty.is_integer(), "a whole number"),
            Want::Time => (matches!(typed.ty, Type::Timestamp | Type::Null), "a TIMESTAMP"),
        };
        if is {
            return Ok(typed);
        }
        self.mistake(tree, format!("{name} is needed here, and this is {}", typed.ty), USE_CAST)
    }

    fn step(&mut self, tree: &Tree, arguments: &[&Tree]) -> Checked<Typed> {
        let [one, by] = arguments else {
            return self.mistake(tree, "STEP takes a value BY a step", "Write STEP(ROWTIME BY INTERVAL '30' SECOND).");
        };
        let one = self.typed(one)?;
        let step = self.typed(by)?;
        match (one.ty, step.ty, step.expr) {
            (Type::Timestamp | Type::Null, Type::Interval, Expr::Literal(Value::Interval(length))) if length > 0 => {
                Ok(Typed { expr: Expr::Call(Function::Step(length), vec![one.expr]), ty: Type::Timestamp })
            }
            (ty, step, by) if ty.is_integer() && step.is_integer() => {
                Ok(Typed { expr: Expr::Call(Function::StepNumber, vec![one.expr, by]), ty })
            }
            (ty, step, _) => {
                let instead = "STEP takes a TIMESTAMP BY INTERVAL '30' SECOND, or whole numbers.";
                self.mistake(by, format!("STEP of {ty} by {step} has no meaning"), instead)
            }
        }
    }

    fn choose(&mut self, tree: &Tree, name: &str, arguments: &[&Tree]) -> Checked<Typed> {
        let all = arguments.iter().map(|one| self.typed(one)).collect::<Checked<Vec<_>>>()?;
        let common = self.common(tree, &all)?;
        match (name, all.len()) {
            ("NULLIF", 2) => {
                let ty = all[0].ty;
                let arguments = all.into_iter().map(|one| one.expr).collect();
                Ok(Typed { expr: Expr::Call(Function::Nullif, arguments), ty })
            }
            ("COALESCE", 1..) => {
                let arguments = all.into_iter().map(|one| converted(one, common)).collect();
                Ok(Typed { expr: Expr::Call(Function::Coalesce, arguments), ty: common })
            }
            _ => self.mistake(tree, format!("{name} has too few or too many arguments"), ""),
        }
    }
}

#[derive(Clone, Copy)]
enum Want {
    Text,
    Number,
    Integer,
    Time,
}

const TYPES: &str = "Types are BOOLEAN, SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), REAL, DOUBLE, CHAR(n), VARCHAR(n), DATE, \
                     TIME and TIMESTAMP.";
const UNITS: &str = "Units are SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR.";
const CASTS: &str = "Texts become any type, numbers other numbers, TIMESTAMP a DATE or TIME, DATE a TIMESTAMP, and all of \
                     them texts.";

/// What to do without a function that the service had.
fn instead_of(name: &str) -> &'static str {
    match name {
        "COUNT" | "SUM" | "AVG" | "MIN" | "MAX" | "FIRST_VALUE" | "LAST_VALUE" => {
            "An aggregate stands in SELECT or HAVING, not within another and not in WHERE."
        }
        "RANDOM_CUT_FOREST" | "HOTSPOTS" | "TOP_K_ITEMS_TUMBLING" | "COUNT_DISTINCT_ITEMS_TUMBLING" => {
            "It makes a table, and stands in FROM only; nor is it supported there."
        }
        "LAG" | "NTH_VALUE" | "LEAD" | "RANK" | "ROW_NUMBER" => "Use FIRST_VALUE(…) OVER (… ROWS 1 PRECEDING) for LAG.",
        "EXP_AVG" => "Compute it where the rows are stored.",
        "CHAR_TO_TIMESTAMP" => "CAST(text AS TIMESTAMP) reads 2018-11-29 23:35:10.123 and ISO 8601.",
        "TIMESTAMP_TO_CHAR" | "DATE_TO_CHAR" => "CAST(time AS VARCHAR(30)) writes 2018-11-29 23:35:10.123.",
        _ => "The README of this program lists the functions that it knows.",
    }
}

fn boolean(expr: Expr, negated: bool) -> Typed {
    Typed { expr: if negated { Expr::Not(Box::new(expr)) } else { expr }, ty: Type::Boolean }
}

/// An operation on numbers, by AWS's rules of precision.
fn number_operation(operator: Operator, left: Typed, right: Typed) -> Typed {
    let (numbers, ty) = if left.ty.is_integer() && right.ty.is_integer() {
        (Numbers::Integer, Type::BigInt)
    } else if left.ty.is_exact() && right.ty.is_exact() {
        let (precision, scale) = result_digits(operator, left.ty.digits(), right.ty.digits());
        (Numbers::Decimal { precision, scale }, Type::Decimal { precision, scale })
    } else {
        (Numbers::Double, Type::Double)
    };
    let (left, right) = (Box::new(left.expr), Box::new(right.expr));
    Typed { expr: Expr::Arithmetic(operator, numbers, left, right), ty }
}

/// AWS's page "Numeric Types and Precision".
fn result_digits(operator: Operator, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (precision, scale) = match operator {
        Operator::Plus | Operator::Minus => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operator::Times => (p1 + p2, s1 + s2),
        Operator::Divide => {
            let whole = p1 - s1 + s2;
            let scale = (s1 + p2 + 1).max(6).min(MOST_DIGITS.saturating_sub(whole).max(s1));
            (whole + scale, scale)
        }
        Operator::Modulo => (p2.max(p1), s1.max(s2)),
    };
    let precision = precision.min(MOST_DIGITS);
    (precision, scale.min(precision))
}

pub fn unit_of(field: &DateTimeField) -> Option<Unit> {
    Some(match field {
        DateTimeField::Second | DateTimeField::Seconds => Unit::Second,
        DateTimeField::Minute | DateTimeField::Minutes => Unit::Minute,
        DateTimeField::Hour | DateTimeField::Hours => Unit::Hour,
        DateTimeField::Day | DateTimeField::Days => Unit::Day,
        DateTimeField::Week(None) => Unit::Week,
        DateTimeField::Month => Unit::Month,
        DateTimeField::Quarter => Unit::Quarter,
        DateTimeField::Year => Unit::Year,
        _ => return None,
    })
}

/// The milliseconds of `INTERVAL '30' SECOND`, of `INTERVAL '1:30' MINUTE TO SECOND` and the like.
pub fn interval_of(interval: &Interval, place: Place) -> Checked<i64> {
    let instead = "Write INTERVAL '30' SECOND, '1' MINUTE, '12' HOUR, '7' DAY, or '01:30' MINUTE TO SECOND.";
    let wrong = |what: String| Err(Mistake::new(place, what, instead));
    let Tree::Value(ValueWithSpan { value: Literal::SingleQuotedString(text), .. }) = &*interval.value else {
        return wrong("the length of an INTERVAL stands in quotes".to_owned());
    };
    let unit = |field: &DateTimeField| match field {
        DateTimeField::Day => Some(0),
        DateTimeField::Hour => Some(1),
        DateTimeField::Minute => Some(2),
        DateTimeField::Second => Some(3),
        _ => None,
    };
    let first = interval.leading_field.as_ref();
    let Some(from) = first.and_then(unit) else {
        return wrong(match first {
            Some(field) => format!("an INTERVAL of {field} is not supported: its length differs"),
            None => "the INTERVAL has no unit".to_owned(),
        });
    };
    let to = match &interval.last_field {
        None => from,
        Some(field) => match unit(field).filter(|to| *to > from) {
            Some(to) => to,
            None => return wrong(format!("an INTERVAL to {field} is not supported")),
        },
    };
    match length_of(text.trim(), from, to) {
        Some(length) => Ok(length),
        None => wrong(format!("'{text}' is no length of this INTERVAL")),
    }
}

/// Fields from day (0) to second (3), separated by a blank behind days and by colons.
fn length_of(text: &str, from: usize, to: usize) -> Option<i64> {
    const MILLIS: [i64; 4] = [86_400_000, 3_600_000, 60_000, 1_000];
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let parts: Vec<&str> = text.split([' ', ':']).collect();
    if parts.len() != to - from + 1 {
        return None;
    }
    let mut length = 0_i64;
    for (part, unit) in parts.into_iter().zip(from..) {
        let (whole, fraction) = if unit == 3 { part.split_once('.').unwrap_or((part, "")) } else { (part, "") };
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        length = length.checked_add(whole.parse::<i64>().ok()?.checked_mul(MILLIS[unit])?)?;
        if !fraction.is_empty() {
            length = length.checked_add(format!("{fraction:0<3}")[..3].parse().ok()?)?;
        }
    }
    Some(sign * length)
}

/// The call of a function by its name.
pub struct Call<'t> {
    pub name: String,
    pub arguments: Vec<&'t Tree>,
    pub is_distinct: bool,
    /// `COUNT(*)`.
    pub is_all: bool,
    pub is_ignoring_nulls: bool,
    pub over: Option<&'t sqlparser::ast::WindowType>,
    /// Neither DISTINCT nor `*` nor OVER, nor anything else around its arguments.
    pub is_plain: bool,
}

pub fn call_of(tree: &Tree) -> Option<Call<'_>> {
    let Tree::Function(function) = tree else { return None };
    if function.filter.is_some() || !function.within_group.is_empty() || function.parameters != FunctionArguments::None
    {
        return None;
    }
    let name = function.name.0.last()?.as_ident()?.value.to_uppercase();
    let (mut arguments, mut is_all, mut is_distinct) = (Vec::new(), false, false);
    let mut is_ignoring_nulls = matches!(function.null_treatment, Some(sqlparser::ast::NullTreatment::IgnoreNulls));
    match &function.args {
        FunctionArguments::None => {}
        FunctionArguments::Subquery(_) => return None,
        FunctionArguments::List(list) => {
            is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            for clause in &list.clauses {
                match clause {
                    sqlparser::ast::FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                        is_ignoring_nulls = matches!(treatment, sqlparser::ast::NullTreatment::IgnoreNulls);
                    }
                    _ => return None,
                }
            }
            for argument in &list.args {
                match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => is_all = true,
                    _ => return None,
                }
            }
        }
    }
    let over = function.over.as_ref();
    let is_plain = over.is_none() && !is_distinct && !is_all && !is_ignoring_nulls;
    Some(Call { name, arguments, is_distinct, is_all, is_ignoring_nulls, over, is_plain })
}

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
