//! A small binary form of any value that serde knows, for [`Snapshot::to_bytes`](crate::Snapshot::to_bytes),
//! which describes it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

/// Why a value cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(pub(crate) String);

type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(what: impl Display) -> Self {
        Self(what.to_string())
    }
}

impl ser::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

/// Values inside values: more would use up the stack of whoever reads them.
const MAX_DEPTH: u32 = 128;

fn deeper(depth: &mut u32) -> Outcome {
    *depth += 1;
    if *depth > MAX_DEPTH { Err(Failure::new("values lie more than 128 deep in each other")) } else { Ok(()) }
}

/// Appends values.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    depth: u32,
}

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.large(number.into());
    }

    fn large(&mut self, number: u128) {
        let mut rest = number;
        while rest >= 0x80 {
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    pub(crate) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        value.serialize(&mut *self)
    }

    /// A list whose elements `write` appends.
    pub(crate) fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Self, &T) -> Outcome) -> Outcome {
        self.number(list.len() as u64);
        list.iter().try_for_each(|element| write(self, element))
    }

    fn begin(&mut self, length: Option<usize>) -> Outcome<Elements<'_>> {
        deeper(&mut self.depth)?;
        if let Some(length) = length {
            self.number(length as u64);
        }
        let start = self.bytes.len();
        Ok(Elements { writer: self, start, length, count: 0 })
    }

    /// The fields of a tuple or struct: their number is part of the type.
    fn fields(&mut self) -> Outcome<Fields<'_>> {
        deeper(&mut self.depth)?;
        Ok(Fields(self))
    }

    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        deeper(&mut self.depth)?;
        value.serialize(&mut *self)?;
        self.depth -= 1;
        Ok(())
    }
}

/// A list or map that is being written. Its length goes before it, at the end if it was not known.
pub(crate) struct Elements<'w> {
    writer: &'w mut Writer,
    start: usize,
    length: Option<usize>,
    count: usize,
}

impl Elements<'_> {
    fn finish(self) -> Outcome {
        let Self { writer, start, length, count } = self;
        if length.is_some_and(|length| length != count) {
            return Err(Failure::new("a list is not as long as it says"));
        }
        // At least a byte for each element, so that whoever reads a length can compare it with the bytes left.
        let padded = writer.bytes.len().max(start + count);
        writer.bytes.resize(padded, 0);
        if length.is_none() {
            let mut head = Writer::default();
            head.number(count as u64);
            writer.bytes.splice(start..start, head.bytes);
        }
        writer.depth -= 1;
        Ok(())
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        self.count += 1;
        value.serialize(&mut *self.writer)
    }
}

pub(crate) struct Fields<'w>(&'w mut Writer);

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        value.serialize(&mut *self.0)
    }

    fn finish(self) -> Outcome {
        self.0.depth -= 1;
        Ok(())
    }
}

macro_rules! unsigned {
    ($($name:ident $type:ty),*) => {$(
        fn $name(self, number: $type) -> Outcome {
            self.large(number.into());
            Ok(())
        }
    )*};
}

macro_rules! zigzag {
    ($($name:ident $type:ty),*) => {$(
        fn $name(self, number: $type) -> Outcome {
            let number = i128::from(number);
            self.large(((number << 1) ^ (number >> 127)) as u128);
            Ok(())
        }
    )*};
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Elements<'w>;
    type SerializeTuple = Fields<'w>;
    type SerializeTupleStruct = Fields<'w>;
    type SerializeTupleVariant = Fields<'w>;
    type SerializeMap = Elements<'w>;
    type SerializeStruct = Fields<'w>;
    type SerializeStructVariant = Fields<'w>;

    unsigned!(serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128);
    zigzag!(serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128);

    fn serialize_bool(self, value: bool) -> Outcome {
        self.byte(value.into());
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Outcome {
        self.byte(value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Outcome {
        self.byte(value as u8);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Outcome {
        self.bytes.extend(value.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Outcome {
        self.bytes.extend(value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Outcome {
        self.serialize_u32(value.into())
    }

    fn serialize_str(self, value: &str) -> Outcome {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Outcome {
        self.number(value.len() as u64);
        self.bytes.extend(value);
        Ok(())
    }

    fn serialize_none(self) -> Outcome {
        self.serialize_bool(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Outcome {
        self.byte(1);
        self.nested(value)
    }

    fn serialize_unit(self) -> Outcome {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Outcome {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Outcome {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Outcome {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Outcome {
        self.number(index.into());
        self.nested(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Outcome<Elements<'w>> {
        self.begin(length)
    }

    fn serialize_tuple(self, _: usize) -> Outcome<Fields<'w>> {
        self.fields()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Outcome<Fields<'w>> {
        self.fields()
    }

    fn serialize_tuple_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Outcome<Fields<'w>> {
        self.number(index.into());
        self.fields()
    }

    fn serialize_map(self, length: Option<usize>) -> Outcome<Elements<'w>> {
        self.begin(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Outcome<Fields<'w>> {
        self.fields()
    }

    fn serialize_struct_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Outcome<Fields<'w>> {
        self.number(index.into());
        self.fields()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        self.element(value)
    }

    fn end(self) -> Outcome {
        self.finish()
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Outcome {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Outcome {
        self.finish()
    }
}

macro_rules! fields {
    ($($trait:ident $method:ident ($($name:ident)?)),*) => {$(
        impl ser::$trait for Fields<'_> {
            type Ok = ();
            type Error = Failure;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Outcome {
                $(let _ = $name;)?
                self.field(value)
            }

            fn end(self) -> Outcome {
                self.finish()
            }
        }
    )*};
}

fields!(
    SerializeTuple serialize_element (), SerializeTupleStruct serialize_field (),
    SerializeTupleVariant serialize_field (), SerializeStruct serialize_field (name),
    SerializeStructVariant serialize_field (name)
);

/// Takes values from the front.
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
    depth: u32,
}

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, length: usize) -> Outcome<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| Failure::new("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Outcome<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self) -> Outcome<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Failure::new("a mark is neither 0 nor 1")),
        }
    }

    fn large(&mut self) -> Outcome<u128> {
        let too_large = || Failure::new("a number is too large");
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(too_large());
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(too_large())
    }

    pub(crate) fn fitting<T: TryFrom<u128>>(&mut self) -> Outcome<T> {
        T::try_from(self.large()?).map_err(|_| Failure::new("a number is too large"))
    }

    pub(crate) fn number(&mut self) -> Outcome<u64> {
        self.fitting()
    }

    pub(crate) fn signed(&mut self) -> Outcome<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn value<T: de::Deserialize<'b>>(&mut self) -> Outcome<T> {
        T::deserialize(&mut *self)
    }

    /// The length of a list, whose elements take at least this number of bytes each.
    pub(crate) fn length(&mut self, least: usize) -> Outcome<usize> {
        let length = self.fitting::<usize>()?;
        if length > self.rest.len() / least {
            return Err(Failure::new("a list is longer than the bytes left"));
        }
        Ok(length)
    }

    /// A list whose elements `read` takes, of at least this number of bytes each.
    pub(crate) fn list<T>(&mut self, least: usize, mut read: impl FnMut(&mut Self) -> Outcome<T>) -> Outcome<Vec<T>> {
        let length = self.length(least)?;
        let mut list = Vec::with_capacity(length);
        for _ in 0..length {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// A list or map.
    fn elements<T>(&mut self, take: impl FnOnce(&mut Items<'_, 'b>) -> Outcome<T>) -> Outcome<T> {
        let length = self.length(1)?;
        let before = self.rest.len();
        let taken = self.items(length, take)?;
        let padding = length.saturating_sub(before - self.rest.len());
        self.take(padding)?;
        Ok(taken)
    }

    fn items<T>(&mut self, left: usize, take: impl FnOnce(&mut Items<'_, 'b>) -> Outcome<T>) -> Outcome<T> {
        self.nested(|reader| {
            let mut items = Items { reader, left };
            let taken = take(&mut items)?;
            if items.left == 0 { Ok(taken) } else { Err(Failure::new("a list has more elements than its type")) }
        })
    }

    fn nested<T>(&mut self, take: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        deeper(&mut self.depth)?;
        let taken = take(self)?;
        self.depth -= 1;
        Ok(taken)
    }
}

/// A number of values that follow each other.
struct Items<'r, 'b> {
    reader: &'r mut Reader<'b>,
    left: usize,
}

impl<'b> de::SeqAccess<'b> for Items<'_, 'b> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'b>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'b> de::MapAccess<'b> for Items<'_, 'b> {
    type Error = Failure;

    fn next_key_seed<T: DeserializeSeed<'b>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<T: DeserializeSeed<'b>>(&mut self, seed: T) -> Outcome<T::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'b> de::EnumAccess<'b> for &mut Reader<'b> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'b>>(self, seed: T) -> Outcome<(T::Value, Self)> {
        let index = self.fitting::<u32>()?;
        let value = seed.deserialize(IntoDeserializer::<Failure>::into_deserializer(index))?;
        Ok((value, self))
    }
}

impl<'b> de::VariantAccess<'b> for &mut Reader<'b> {
    type Error = Failure;

    fn unit_variant(self) -> Outcome {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'b>>(self, seed: T) -> Outcome<T::Value> {
        self.nested(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<T: Visitor<'b>>(self, length: usize, visitor: T) -> Outcome<T::Value> {
        self.items(length, |items| visitor.visit_seq(items))
    }

    fn struct_variant<T: Visitor<'b>>(self, fields: &'static [&'static str], visitor: T) -> Outcome<T::Value> {
        self.items(fields.len(), |items| visitor.visit_seq(items))
    }
}

macro_rules! take_unsigned {
    ($($name:ident $visit:ident),*) => {$(
        fn $name<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
            visitor.$visit(self.fitting()?)
        }
    )*};
}

macro_rules! take_zigzag {
    ($($name:ident $visit:ident),*) => {$(
        fn $name<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
            let number = self.large()?;
            let number = (number >> 1) as i128 ^ -((number & 1) as i128);
            visitor.$visit(number.try_into().map_err(|_| Failure::new("a number is too large"))?)
        }
    )*};
}

/// Questions that the bytes alone do not answer.
macro_rules! unknown {
    ($($name:ident),*) => {$(
        fn $name<T: Visitor<'b>>(self, _: T) -> Outcome<T::Value> {
            Err(Failure::new("its type asks the bytes which type they are (untagged enums do): give it one form"))
        }
    )*};
}

impl<'b> Deserializer<'b> for &mut Reader<'b> {
    type Error = Failure;

    unknown!(deserialize_any, deserialize_identifier, deserialize_ignored_any);
    take_unsigned!(
        deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64, deserialize_u128 visit_u128
    );
    take_zigzag!(
        deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64, deserialize_i128 visit_i128
    );

    fn deserialize_bool<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_bool(self.bool()?)
    }

    fn deserialize_u8<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_i8<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_i8(self.byte()? as i8)
    }

    fn deserialize_f32<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    fn deserialize_f64<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        let known = char::from_u32(self.fitting()?);
        visitor.visit_char(known.ok_or_else(|| Failure::new("a character is none of Unicode"))?)
    }

    fn deserialize_str<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        let length = self.length(1)?;
        let text = core::str::from_utf8(self.take(length)?);
        visitor.visit_borrowed_str(text.map_err(|_| Failure::new("a text is not UTF-8"))?)
    }

    fn deserialize_string<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        let length = self.length(1)?;
        visitor.visit_borrowed_bytes(self.take(length)?)
    }

    fn deserialize_byte_buf<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        if self.bool()? { self.nested(|reader| visitor.visit_some(reader)) } else { visitor.visit_none() }
    }

    fn deserialize_unit<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<T: Visitor<'b>>(self, _: &'static str, visitor: T) -> Outcome<T::Value> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<T: Visitor<'b>>(self, _: &'static str, visitor: T) -> Outcome<T::Value> {
        self.nested(|reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_seq<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        self.elements(|items| visitor.visit_seq(items))
    }

    fn deserialize_tuple<T: Visitor<'b>>(self, length: usize, visitor: T) -> Outcome<T::Value> {
        self.items(length, |items| visitor.visit_seq(items))
    }

    fn deserialize_tuple_struct<T: Visitor<'b>>(self, _: &'static str, length: usize, visitor: T) -> Outcome<T::Value> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<T: Visitor<'b>>(self, visitor: T) -> Outcome<T::Value> {
        self.elements(|items| visitor.visit_map(items))
    }

    fn deserialize_struct<T: Visitor<'b>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: T,
    ) -> Outcome<T::Value> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<T: Visitor<'b>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: T,
    ) -> Outcome<T::Value> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
