//! Reads msgpack from a slice, as the type that reads asks for it.
//!
//! What is read is known from the type, so each kind of value has a method of its own. The reader of `rmp-serde` looks
//! at the marker in one method for all kinds, which the compiler then repeats for each type: it was half the code of
//! this crate, and slower. It does not read extension types, and structs only with named fields: nothing here writes
//! others.

use super::CodecError;
use serde::de::{self, DeserializeSeed, Unexpected, Visitor};

/// The bytes that are not read yet, and how much deeper they may be nested.
pub(super) struct Decoder<'de> {
    rest: &'de [u8],
    depth_left: usize,
    /// The fields that the struct at hand is likely to go on with; a hint only.
    fields: &'static [&'static str],
    /// For who wants to know what a type asks for where the bytes end.
    probe: Option<Probe>,
}

/// A look at what a type reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Probe {
    /// Options that are taken to have a value where the bytes end.
    pub(super) somes: usize,
    /// What was asked for there.
    pub(super) asked: Option<Asked>,
}

/// What a type asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A value without parts, by the name of its type.
    Value(&'static str),
    /// A value or nothing.
    Option,
    /// A list.
    Seq,
    /// A list of so many parts.
    Tuple(usize),
    /// A map.
    Map,
    /// A struct of this name and these fields.
    Struct(&'static str, &'static [&'static str]),
    /// An enum of this name and these variants.
    Enum(&'static str, &'static [&'static str]),
    /// Whatever comes.
    Any,
}

/// A value without parts, or the head of one with so many parts.
#[derive(Debug, Clone, Copy)]
enum Token<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Single(f32),
    Double(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    Seq(usize),
    Map(usize),
}

impl<'de> Token<'de> {
    fn unexpected(self) -> Unexpected<'de> {
        match self {
            Self::Nil => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(value),
            Self::Unsigned(value) => Unexpected::Unsigned(value),
            Self::Signed(value) => Unexpected::Signed(value),
            Self::Single(value) => Unexpected::Float(value.into()),
            Self::Double(value) => Unexpected::Float(value),
            Self::Text(value) => Unexpected::Str(value),
            Self::Bytes(value) => Unexpected::Bytes(value),
            Self::Seq(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
        }
    }

    /// That this is not what was asked for.
    fn refused(self, wanted: &dyn de::Expected) -> CodecError {
        de::Error::invalid_type(self.unexpected(), wanted)
    }
}

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn new(bytes: &'de [u8], depth_max: usize) -> Self {
        Self { rest: bytes, depth_left: depth_max, fields: &[], probe: None }
    }

    pub(super) fn probing(bytes: &'de [u8], depth_max: usize, somes: usize) -> Self {
        Self { rest: bytes, depth_left: depth_max, fields: &[], probe: Some(Probe { somes, asked: None }) }
    }

    pub(super) fn asked(&self) -> Option<Asked> {
        self.probe.as_ref().and_then(|probe| probe.asked)
    }

    /// Notes what is asked for if the bytes have ended; whoever reads on fails.
    fn asks(&mut self, asked: Asked) {
        if self.rest.is_empty() {
            self.note(asked);
        }
    }

    #[cold]
    fn note(&mut self, asked: Asked) {
        if let Some(probe) = &mut self.probe {
            probe.asked.get_or_insert(asked);
        }
    }

    /// How many bytes are not read.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.cut_short(count))?;
        self.rest = rest;
        Ok(taken)
    }

    fn cut_short(&self, wanted: usize) -> CodecError {
        CodecError(format!("the bytes end where {wanted} more are announced and {} are left", self.rest.len()))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.cut_short(N))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A big-endian number of one, two, four or eight bytes: as many as two to the power of `log2`.
    fn unsigned(&mut self, log2: u8) -> Result<u64, CodecError> {
        Ok(match log2 {
            0 => u8::from_be_bytes(self.array()?).into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            2 => u32::from_be_bytes(self.array()?).into(),
            _ => u64::from_be_bytes(self.array()?),
        })
    }

    /// As [`Self::unsigned`], with a sign.
    fn signed(&mut self, log2: u8) -> Result<i64, CodecError> {
        Ok(match log2 {
            0 => i8::from_be_bytes(self.array()?).into(),
            1 => i16::from_be_bytes(self.array()?).into(),
            2 => i32::from_be_bytes(self.array()?).into(),
            _ => i64::from_be_bytes(self.array()?),
        })
    }

    /// A length of as many bytes as in [`Self::unsigned`]; none has more than four.
    fn length(&mut self, log2: u8) -> Result<usize, CodecError> {
        let length = self.unsigned(log2)?;
        usize::try_from(length).map_err(|_| CodecError(format!("a length of {length} is too large for this machine")))
    }

    fn text(&mut self, length: usize) -> Result<Token<'de>, CodecError> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Token::Text).map_err(|error| CodecError(format!("a text is not UTF-8: {error}")))
    }

    /// Reads a value, or the head of one with parts. The markers are those of the specification of msgpack.
    fn token(&mut self) -> Result<Token<'de>, CodecError> {
        let [marker] = self.array()?;
        match marker {
            0x00..=0x7f => Ok(Token::Unsigned(marker.into())),
            0x80..=0x8f => Ok(Token::Map(usize::from(marker & 0x0f))),
            0x90..=0x9f => Ok(Token::Seq(usize::from(marker & 0x0f))),
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f)),
            0xc0 => Ok(Token::Nil),
            0xc2 | 0xc3 => Ok(Token::Bool(marker == 0xc3)),
            0xc4..=0xc6 => self.length(marker - 0xc4).and_then(|length| self.take(length)).map(Token::Bytes),
            0xca => Ok(Token::Single(f32::from_be_bytes(self.array()?))),
            0xcb => Ok(Token::Double(f64::from_be_bytes(self.array()?))),
            0xcc..=0xcf => self.unsigned(marker - 0xcc).map(Token::Unsigned),
            0xd0..=0xd3 => self.signed(marker - 0xd0).map(Token::Signed),
            0xd9..=0xdb => self.length(marker - 0xd9).and_then(|length| self.text(length)),
            0xdc | 0xdd => self.length(marker - 0xdc + 1).map(Token::Seq),
            0xde | 0xdf => self.length(marker - 0xde + 1).map(Token::Map),
            0xe0..=0xff => Ok(Token::Signed(i8::from_be_bytes([marker]).into())),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => Err(CodecError(format!("no value begins with the byte {marker:#04x}"))),
        }
    }

    /// The name of the field that is likely to be next, if it is: what is known to be text needs no second look.
    #[inline]
    fn next_field(&mut self) -> Option<&'static str> {
        let (field, fields) = self.fields.split_first()?;
        let (marker, rest) = self.rest.split_first()?;
        let is_short_text = field.len() < 32 && usize::from(marker ^ 0xa0) == field.len();
        let rest = rest.strip_prefix(field.as_bytes()).filter(|_| is_short_text)?;
        (self.rest, self.fields) = (rest, fields);
        Some(field)
    }

    /// A text of less than 32 bytes, as names are; none if something else follows, or it is not whole or not text.
    #[inline]
    fn short_text(&mut self) -> Option<&'de str> {
        let (marker, rest) = self.rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(marker ^ 0xa0)).filter(|(text, _)| text.len() < 32)?;
        let text = std::str::from_utf8(text).ok()?;
        self.rest = rest;
        Some(text)
    }

    /// Less than 256 bytes; none if something else follows, or they are not whole.
    #[inline]
    fn short_bytes(&mut self) -> Option<&'de [u8]> {
        let ([marker, length], rest) = self.rest.split_first_chunk()?;
        let (bytes, rest) = rest.split_at_checked(usize::from(*length)).filter(|_| *marker == 0xc4)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The head of a map of less than 16 pairs, as structs are; none if something else follows.
    #[inline]
    fn short_map(&mut self) -> Option<usize> {
        let (marker, rest) = self.rest.split_first().filter(|(marker, _)| **marker & 0xf0 == 0x80)?;
        self.rest = rest;
        Some(usize::from(marker & 0x0f))
    }

    /// A number below 128; none if something else follows.
    #[inline]
    fn short_number(&mut self) -> Option<u64> {
        let (marker, rest) = self.rest.split_first().filter(|(marker, _)| **marker < 0x80)?;
        self.rest = rest;
        Some(u64::from(*marker))
    }

    /// Reads over a value with all its parts.
    fn skip(&mut self) -> Result<(), CodecError> {
        let mut values_left: u64 = 1;
        while values_left > 0 {
            values_left -= 1;
            match self.token()? {
                Token::Seq(count) => values_left += count as u64,
                Token::Map(count) => values_left += 2 * count as u64,
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn enter(&mut self) -> Result<(), CodecError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(|| CodecError("nested too deep".to_owned()))?;
        Ok(())
    }

    fn seq<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.enter()?;
        let mut parts = Parts { left: count, fields: &[], decoder: self };
        let value = visitor.visit_seq(&mut parts)?;
        parts.leave()?;
        Ok(value)
    }

    /// The pairs of a map, or the fields of a struct, which are likely to be these.
    #[inline]
    fn map<V: Visitor<'de>>(
        &mut self,
        count: usize,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.enter()?;
        let mut parts = Parts { left: count, fields, decoder: self };
        let value = visitor.visit_map(&mut parts)?;
        parts.leave()?;
        Ok(value)
    }

    /// A map, or a struct whose fields are likely to be these.
    #[inline]
    fn pairs<V: Visitor<'de>>(&mut self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Map);
        let count = match self.short_map() {
            Some(count) => count,
            None => match self.token()? {
                Token::Map(count) => count,
                other => return Err(other.refused(&visitor)),
            },
        };
        self.map(count, fields, visitor)
    }

    /// The name of a field or of a variant.
    fn name<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Value("name"));
        if let Some(name) = self.short_text() {
            return visitor.visit_borrowed_str(name);
        }
        match self.token()? {
            Token::Text(name) => visitor.visit_borrowed_str(name),
            other => Err(other.refused(&visitor)),
        }
    }
}

/// Numbers all have one way, for a marker tells the smallest that fits.
macro_rules! numbers {
    ($($method:ident $name:literal)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.asks(Asked::Value($name));
            if let Some(value) = self.short_number() {
                return visitor.visit_u64(value);
            }
            match self.token()? {
                Token::Unsigned(value) => visitor.visit_u64(value),
                Token::Signed(value) => visitor.visit_i64(value),
                Token::Single(value) => visitor.visit_f32(value),
                Token::Double(value) => visitor.visit_f64(value),
                other => Err(other.refused(&visitor)),
            }
        })+
    };
}

macro_rules! texts {
    ($($method:ident $name:literal)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.asks(Asked::Value($name));
            if let Some(value) = self.short_text() {
                return visitor.visit_borrowed_str(value);
            }
            match self.token()? {
                Token::Text(value) => visitor.visit_borrowed_str(value),
                other => Err(other.refused(&visitor)),
            }
        })+
    };
}

macro_rules! bytes {
    ($($method:ident $name:literal)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.asks(Asked::Value($name));
            if let Some(value) = self.short_bytes() {
                return visitor.visit_borrowed_bytes(value);
            }
            match self.token()? {
                Token::Bytes(value) => visitor.visit_borrowed_bytes(value),
                other => Err(other.refused(&visitor)),
            }
        })+
    };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = CodecError;

    numbers! {
        deserialize_u8 "u8" deserialize_u16 "u16" deserialize_u32 "u32" deserialize_u64 "u64"
        deserialize_i8 "i8" deserialize_i16 "i16" deserialize_i32 "i32" deserialize_i64 "i64"
        deserialize_f32 "f32" deserialize_f64 "f64"
    }
    texts! { deserialize_char "char" deserialize_str "text" deserialize_string "text" }
    bytes! { deserialize_bytes "bytes" deserialize_byte_buf "bytes" }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Any);
        match self.token()? {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Single(value) => visitor.visit_f32(value),
            Token::Double(value) => visitor.visit_f64(value),
            Token::Text(value) => visitor.visit_borrowed_str(value),
            Token::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Token::Seq(count) => self.seq(count, visitor),
            Token::Map(count) => self.map(count, &[], visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Any);
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Value("bool"));
        match self.token()? {
            Token::Bool(value) => visitor.visit_bool(value),
            other => Err(other.refused(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        if self.rest.is_empty()
            && let Some(probe) = &mut self.probe
        {
            match probe.somes.checked_sub(1) {
                Some(left) => probe.somes = left,
                None => self.note(Asked::Option),
            }
        }
        if self.rest.first() != Some(&0xc0) {
            return visitor.visit_some(self);
        }
        self.token()?;
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Value("unit"));
        match self.token()? {
            Token::Nil => visitor.visit_unit(),
            other => Err(other.refused(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Value("unit struct"));
        match self.token()? {
            Token::Seq(0) => visitor.visit_unit(),
            other => Err(other.refused(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Seq);
        match self.token()? {
            Token::Seq(count) => self.seq(count, visitor),
            other => Err(other.refused(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Tuple(length));
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.asks(Asked::Tuple(length));
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.next_field() {
            Some(field) => visitor.visit_borrowed_str(field),
            None => self.name(visitor),
        }
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.pairs(&[], visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.asks(Asked::Struct(name, fields));
        self.pairs(fields, visitor)
    }

    /// A variant without a value is its name, one with a value a map of the name to the value.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.asks(Asked::Enum(name, variants));
        match self.token()? {
            Token::Text(name) => visitor.visit_enum(de::value::BorrowedStrDeserializer::new(name)),
            Token::Map(1) => {
                self.enter()?;
                let value = visitor.visit_enum(&mut *self)?;
                self.depth_left += 1;
                Ok(value)
            }
            other => Err(other.refused(&visitor)),
        }
    }
}

/// The parts of a value that are not read yet.
struct Parts<'a, 'de> {
    left: usize,
    /// As in [`Decoder`]; what lies between two names may have fields of its own.
    fields: &'static [&'static str],
    decoder: &'a mut Decoder<'de>,
}

impl Parts<'_, '_> {
    #[inline]
    fn next_is_there(&mut self) -> bool {
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }

    #[inline]
    fn leave(self) -> Result<(), CodecError> {
        self.decoder.depth_left += 1;
        match self.left {
            0 => Ok(()),
            left => Err(CodecError(format!("a list or map has {left} parts too many"))),
        }
    }

    /// Each part has a byte at least, so no more room is asked for than the bytes hold.
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.left()))
    }
}

impl<'de> de::SeqAccess<'de> for &mut Parts<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        self.next_is_there().then(|| seed.deserialize(&mut *self.decoder)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Parts::size_hint(self)
    }
}

impl<'de> de::MapAccess<'de> for &mut Parts<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, CodecError> {
        if !self.next_is_there() {
            return Ok(None);
        }
        self.decoder.fields = self.fields;
        let key = seed.deserialize(&mut *self.decoder)?;
        self.fields = self.decoder.fields;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, CodecError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Parts::size_hint(self)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Decoder<'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), CodecError> {
        Ok((seed.deserialize(&mut *self)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Decoder<'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, CodecError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.asks(Asked::Tuple(length));
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.asks(Asked::Struct("", fields));
        self.pairs(fields, visitor)
    }
}

#[cfg(test)]
#[path = "decoder_test.rs"]
mod tests;
