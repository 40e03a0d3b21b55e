//! The types that a text declares.

use sqlparser::ast::{CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

use crate::types::{MOST_DIGITS, Type};

impl Type {
    /// The type that the text names, or why there is none.
    pub fn of(data_type: &DataType) -> Result<Self, String> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::SmallInt(_) | DataType::TinyInt(_) => Self::SmallInt,
            DataType::Int(_) | DataType::Integer(_) => Self::Integer,
            DataType::BigInt(_) => Self::BigInt,
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => decimal(info)?,
            DataType::Real => Self::Real,
            DataType::Float(_) | DataType::Double(_) | DataType::DoublePrecision => Self::Double,
            DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
                Self::Varchar(self::length(length)?)
            }
            DataType::Char(length) | DataType::Character(length) => Self::Char(self::length(length)?.unwrap_or(1)),
            DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Self::Timestamp,
            DataType::Date => Self::Date,
            DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Self::Time,
            other => return Err(format!("the type {other} is not supported")),
        })
    }
}

fn decimal(info: &ExactNumberInfo) -> Result<Type, String> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (MOST_DIGITS.into(), 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=MOST_DIGITS), Ok(scale)) if scale <= precision => Ok(Type::Decimal { precision, scale }),
        _ => Err(format!(
            "DECIMAL({precision}, {scale}) is not supported: up to 18 digits, and no more behind the point"
        )),
    }
}

fn length(length: &Option<CharacterLength>) -> Result<Option<u32>, String> {
    match length {
        None => Ok(None),
        Some(CharacterLength::IntegerLength { length: 0, .. }) => Err("a text of length 0 holds nothing".to_owned()),
        Some(CharacterLength::IntegerLength { length, .. }) => {
            u32::try_from(*length).map(Some).map_err(|_| format!("a text of length {length} is not supported"))
        }
        Some(CharacterLength::Max) => Ok(None),
    }
}
