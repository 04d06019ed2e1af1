//! Writes msgpack behind what a buffer holds: structs with named fields, every number and length in the fewest bytes.
//!
//! The bytes are those of `rmp-serde`. It writes to any writer, a marker at a time; here the buffer is a vector, so a
//! small value is one copy of known length, and what is called for every message can be compiled into its caller.

use super::CodecError;
use serde::ser::{self, Serialize};

/// The buffer that is written to.
pub(super) struct Encoder<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// A marker and what belongs to it.
    #[inline]
    fn put<const N: usize>(&mut self, marked: [u8; N]) {
        self.bytes.extend_from_slice(&marked);
    }

    #[inline]
    fn unsigned(&mut self, value: u64) {
        let [.., e, f, g, h] = value.to_be_bytes();
        match value {
            0..=0x7f => self.put([h]),
            0x80..=0xff => self.put([0xcc, h]),
            0x100..=0xffff => self.put([0xcd, g, h]),
            0x1_0000..=0xffff_ffff => self.put([0xce, e, f, g, h]),
            _ => self.wide(0xcf, value.to_be_bytes()),
        }
    }

    #[inline]
    fn signed(&mut self, value: i64) {
        let [.., e, f, g, h] = value.to_be_bytes();
        match value {
            0.. => self.unsigned(value.unsigned_abs()),
            -0x20..0 => self.put([h]),
            -0x80..-0x20 => self.put([0xd0, h]),
            -0x8000..-0x80 => self.put([0xd1, g, h]),
            -0x8000_0000..-0x8000 => self.put([0xd2, e, f, g, h]),
            _ => self.wide(0xd3, value.to_be_bytes()),
        }
    }

    #[inline]
    fn wide(&mut self, marker: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) {
        self.put([marker, a, b, c, d, e, f, g, h]);
    }

    /// The marker of a length of two bytes, or the next one with a length of four.
    #[inline]
    fn long(&mut self, marker: u8, length: usize) -> Result<(), CodecError> {
        match u32::try_from(length).map(u32::to_be_bytes) {
            Ok([0, 0, c, d]) => self.put([marker, c, d]),
            Ok([a, b, c, d]) => self.put([marker + 1, a, b, c, d]),
            Err(_) => return Err(CodecError(format!("{length} parts are more than a length can tell"))),
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, value: &str) -> Result<(), CodecError> {
        let length = value.len();
        match u8::try_from(length) {
            Ok(length @ 0..=31) => self.put([0xa0 | length]),
            Ok(length) => self.put([0xd9, length]),
            Err(_) => self.long(0xda, length)?,
        }
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn blob(&mut self, value: &[u8]) -> Result<(), CodecError> {
        match u8::try_from(value.len()) {
            Ok(length) => self.put([0xc4, length]),
            Err(_) => self.long(0xc5, value.len())?,
        }
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// The head of a list of so many parts.
    #[inline]
    fn seq(&mut self, count: usize) -> Result<(), CodecError> {
        match u8::try_from(count) {
            Ok(count @ 0..=15) => self.put([0x90 | count]),
            _ => self.long(0xdc, count)?,
        }
        Ok(())
    }

    /// The head of a map of so many pairs.
    #[inline]
    fn map(&mut self, count: usize) -> Result<(), CodecError> {
        match u8::try_from(count) {
            Ok(count @ 0..=15) => self.put([0x80 | count]),
            _ => self.long(0xde, count)?,
        }
        Ok(())
    }

    /// A variant with a value: a map of its name to it.
    fn variant(&mut self, name: &'static str) -> Result<(), CodecError> {
        self.put([0x81]);
        self.text(name)
    }

    /// The parts of a list or map; without a count it is written in front of them when they have ended.
    fn parts<'p>(&'p mut self, kind: Kind, count: Option<usize>) -> Result<Parts<'p, 'a>, CodecError> {
        match (kind, count) {
            (Kind::Seq, Some(count)) => self.seq(count)?,
            (Kind::Map, Some(count)) => self.map(count)?,
            (_, None) => {}
        }
        let uncounted = count.is_none().then_some((kind, self.bytes.len(), 0));
        Ok(Parts { encoder: self, uncounted })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Seq,
    Map,
}

/// The parts of a value that is being written.
pub(super) struct Parts<'p, 'a> {
    encoder: &'p mut Encoder<'a>,
    /// Where they begin and how many there are, if nobody said before.
    uncounted: Option<(Kind, usize, usize)>,
}

impl Parts<'_, '_> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), CodecError> {
        self.encoder.text(name)?;
        value.serialize(&mut *self.encoder)
    }

    fn count(&mut self) {
        if let Some((_, _, count)) = &mut self.uncounted {
            *count += 1;
        }
    }

    fn close(self) -> Result<(), CodecError> {
        let Some((kind, start, count)) = self.uncounted else { return Ok(()) };
        let mut head = Vec::new();
        let mut encoder = Encoder::new(&mut head);
        match kind {
            Kind::Seq => encoder.seq(count)?,
            Kind::Map => encoder.map(count)?,
        }
        self.encoder.bytes.splice(start..start, head);
        Ok(())
    }
}

impl ser::Error for CodecError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

macro_rules! numbers {
    ($($method:ident $number:ty => $write:ident,)+) => {
        $(#[inline]
        fn $method(self, value: $number) -> Result<(), CodecError> {
            self.$write(value.into());
            Ok(())
        })+
    };
}

impl<'p, 'a> ser::Serializer for &'p mut Encoder<'a> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Parts<'p, 'a>;
    type SerializeTuple = Parts<'p, 'a>;
    type SerializeTupleStruct = Parts<'p, 'a>;
    type SerializeTupleVariant = Parts<'p, 'a>;
    type SerializeMap = Parts<'p, 'a>;
    type SerializeStruct = Parts<'p, 'a>;
    type SerializeStructVariant = Parts<'p, 'a>;

    numbers! {
        serialize_u8 u8 => unsigned,
        serialize_u16 u16 => unsigned,
        serialize_u32 u32 => unsigned,
        serialize_u64 u64 => unsigned,
        serialize_i8 i8 => signed,
        serialize_i16 i16 => signed,
        serialize_i32 i32 => signed,
        serialize_i64 i64 => signed,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.put([0xc2 | u8::from(value)]);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), CodecError> {
        let [a, b, c, d] = value.to_be_bytes();
        self.put([0xca, a, b, c, d]);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), CodecError> {
        self.wide(0xcb, value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), CodecError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), CodecError> {
        self.text(value)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), CodecError> {
        self.blob(value)
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.put([0xc0]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CodecError> {
        self.seq(0)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), CodecError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.variant(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Parts<'p, 'a>, CodecError> {
        self.parts(Kind::Seq, count)
    }

    fn serialize_tuple(self, count: usize) -> Result<Parts<'p, 'a>, CodecError> {
        self.parts(Kind::Seq, Some(count))
    }

    fn serialize_tuple_struct(self, _: &'static str, count: usize) -> Result<Parts<'p, 'a>, CodecError> {
        self.parts(Kind::Seq, Some(count))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Parts<'p, 'a>, CodecError> {
        self.variant(variant)?;
        self.parts(Kind::Seq, Some(count))
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Parts<'p, 'a>, CodecError> {
        self.parts(Kind::Map, count)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, count: usize) -> Result<Parts<'p, 'a>, CodecError> {
        self.map(count)?;
        Ok(Parts { encoder: self, uncounted: None })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Parts<'p, 'a>, CodecError> {
        self.variant(variant)?;
        self.parts(Kind::Map, Some(count))
    }
}

impl ser::SerializeSeq for Parts<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.count();
        self.part(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl ser::SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.count();
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.part(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

/// Values of which the number of parts is known from their type.
macro_rules! counted {
    ($($kind:ident $method:ident,)+) => {
        $(impl ser::$kind for Parts<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
                self.part(value)
            }

            #[inline]
            fn end(self) -> Result<(), CodecError> {
                Ok(())
            }
        })+
    };
    ($($kind:ident,)+) => {
        $(impl ser::$kind for Parts<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), CodecError> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), CodecError> {
                Ok(())
            }
        })+
    };
}

counted! {
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}
counted! { SerializeStruct, SerializeStructVariant, }

#[cfg(test)]
#[path = "encoder_test.rs"]
mod tests;
