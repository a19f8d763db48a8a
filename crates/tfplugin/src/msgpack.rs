//! Values as MessagePack, directed by their type: the form in which they travel.
//!
//! Numbers are always written as strings, which every core reads: cores up to Terraform 1.14
//! compare a number read from state with one read from the wire by its inner form, and see a
//! change where there is none.

use std::collections::BTreeMap;

use rmp::Marker;
use rmp::encode::{
    write_array_len, write_bin, write_bool, write_ext_meta, write_map_len, write_nil, write_sint,
    write_str,
};

use crate::codec::{MAX_BYTES, Malformed, Trail};
use crate::{Number, Refinement, Type, Value};

/// The extension type of an unknown value.
const UNKNOWN: i8 = 0;
/// The extension type of an unknown value with promises.
const REFINED: i8 = 12;
/// How long the promises may be.
const MAX_REFINEMENT: usize = 1024;
/// How long a promised prefix may be, in bytes.
const MAX_PREFIX: usize = 256;

/// Reads a value of this type; no bytes are null.
///
/// # Errors
/// The bytes are no value of the type; the error names the place.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, Malformed> {
    let root = Trail::root();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if bytes.len() > MAX_BYTES {
        return root.wrong("the value is larger than 256 MiB");
    }
    let mut input = bytes;
    let value = read(&mut input, ty, &root)?;
    if !input.is_empty() {
        return root.wrong(format!("{} bytes follow the value", input.len()));
    }
    Ok(value)
}

/// Writes a value of this type.
///
/// # Errors
/// The value is not of the type; the error names the place.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    write(&mut out, value, ty, &Trail::root())?;
    if out.len() > MAX_BYTES {
        return Trail::root().wrong("the value is larger than 256 MiB");
    }
    Ok(out)
}

/// Takes so many bytes.
fn take<'a>(input: &mut &'a [u8], count: usize, at: &Trail<'_>) -> Result<&'a [u8], Malformed> {
    if count > input.len() {
        return at.wrong("the bytes end in the middle of a value");
    }
    let (head, tail) = input.split_at(count);
    *input = tail;
    Ok(head)
}

/// Takes a big-endian number of up to 8 bytes.
fn take_uint(input: &mut &[u8], count: usize, at: &Trail<'_>) -> Result<u64, Malformed> {
    let bytes = take(input, count, at)?;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn take_len(input: &mut &[u8], count: usize, at: &Trail<'_>) -> Result<usize, Malformed> {
    let length = take_uint(input, count, at)?;
    usize::try_from(length).or_else(|_| at.wrong("a length is too large"))
}

fn marker(input: &mut &[u8], at: &Trail<'_>) -> Result<Marker, Malformed> {
    Ok(Marker::from_u8(take(input, 1, at)?[0]))
}

fn text<'a>(
    input: &mut &'a [u8],
    marker: Marker,
    at: &Trail<'_>,
) -> Result<Option<&'a str>, Malformed> {
    let length = match marker {
        Marker::FixStr(length) => usize::from(length),
        Marker::Str8 => take_len(input, 1, at)?,
        Marker::Str16 => take_len(input, 2, at)?,
        Marker::Str32 => take_len(input, 4, at)?,
        _ => return Ok(None),
    };
    match std::str::from_utf8(take(input, length, at)?) {
        Ok(text) => Ok(Some(text)),
        Err(_) => at.wrong("a string is not UTF-8"),
    }
}

fn number(input: &mut &[u8], marker: Marker, at: &Trail<'_>) -> Result<Option<Number>, Malformed> {
    let signed = |value: u64, bits: u32| (value << (64 - bits)).cast_signed() >> (64 - bits);
    let exact =
        |value: f64| Number::from_f64_exactly(value).or_else(|error| at.wrong(error.to_string()));
    Ok(Some(match marker {
        Marker::FixPos(value) => Number::from(value),
        Marker::FixNeg(value) => Number::from(value),
        Marker::U8 => Number::from(take_uint(input, 1, at)?),
        Marker::U16 => Number::from(take_uint(input, 2, at)?),
        Marker::U32 => Number::from(take_uint(input, 4, at)?),
        Marker::U64 => Number::from(take_uint(input, 8, at)?),
        Marker::I8 => Number::from(signed(take_uint(input, 1, at)?, 8)),
        Marker::I16 => Number::from(signed(take_uint(input, 2, at)?, 16)),
        Marker::I32 => Number::from(signed(take_uint(input, 4, at)?, 32)),
        Marker::I64 => Number::from(take_uint(input, 8, at)?.cast_signed()),
        Marker::F32 => {
            let bits = u32::try_from(take_uint(input, 4, at)?).unwrap_or(0);
            exact(f64::from(f32::from_bits(bits)))?
        }
        Marker::F64 => exact(f64::from_bits(take_uint(input, 8, at)?))?,
        other => match text(input, other, at)? {
            Some(text) => text.parse().or_else(|_| at.wrong("a string is no decimal number"))?,
            None => return Ok(None),
        },
    }))
}

fn array_len(
    input: &mut &[u8],
    marker: Marker,
    at: &Trail<'_>,
) -> Result<Option<usize>, Malformed> {
    let length = match marker {
        Marker::FixArray(length) => usize::from(length),
        Marker::Array16 => take_len(input, 2, at)?,
        Marker::Array32 => take_len(input, 4, at)?,
        _ => return Ok(None),
    };
    room(input, length, at).map(Some)
}

fn map_len(input: &mut &[u8], marker: Marker, at: &Trail<'_>) -> Result<Option<usize>, Malformed> {
    let length = match marker {
        Marker::FixMap(length) => usize::from(length),
        Marker::Map16 => take_len(input, 2, at)?,
        Marker::Map32 => take_len(input, 4, at)?,
        _ => return Ok(None),
    };
    room(input, length, at).map(Some)
}

/// Each element has a byte at least: a length beyond what is left is a lie.
fn room(input: &[u8], length: usize, at: &Trail<'_>) -> Result<usize, Malformed> {
    if length > input.len() {
        return at.wrong("the bytes end in the middle of a collection");
    }
    Ok(length)
}

/// The body of an extension, with its type.
fn extension<'a>(
    input: &mut &'a [u8],
    marker: Marker,
    at: &Trail<'_>,
) -> Result<Option<(i8, &'a [u8])>, Malformed> {
    let length = match marker {
        Marker::FixExt1 => 1,
        Marker::FixExt2 => 2,
        Marker::FixExt4 => 4,
        Marker::FixExt8 => 8,
        Marker::FixExt16 => 16,
        Marker::Ext8 => take_len(input, 1, at)?,
        Marker::Ext16 => take_len(input, 2, at)?,
        Marker::Ext32 => take_len(input, 4, at)?,
        _ => return Ok(None),
    };
    let kind = take(input, 1, at)?[0].cast_signed();
    Ok(Some((kind, take(input, length, at)?)))
}

fn read(input: &mut &[u8], ty: &Type, at: &Trail<'_>) -> Result<Value, Malformed> {
    at.check_depth()?;
    let marker = marker(input, at)?;
    if marker == Marker::Null {
        return Ok(Value::Null);
    }
    if let Some((kind, body)) = extension(input, marker, at)? {
        return match kind {
            REFINED if body.len() > 1 => refinement(body, ty, at),
            _ if body.len() <= 1 => Ok(Value::Unknown(None)),
            kind => at.wrong(format!("there is no extension {kind} of {} bytes", body.len())),
        };
    }
    let wrong = || at.wrong(format!("{} is no {ty}", noun(marker)));
    match ty {
        Type::String => match text(input, marker, at)? {
            Some(text) => Ok(Value::string(text)),
            None => wrong(),
        },
        Type::Bool => match marker {
            Marker::True => Ok(Value::Bool(true)),
            Marker::False => Ok(Value::Bool(false)),
            _ => wrong(),
        },
        Type::Number => match number(input, marker, at)? {
            Some(number) => Ok(Value::Number(number)),
            None => wrong(),
        },
        Type::List(of) => {
            let Some(length) = array_len(input, marker, at)? else { return wrong() };
            (0..length)
                .map(|index| read(input, of, &at.index(index)))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Type::Set(of) => {
            let Some(length) = array_len(input, marker, at)? else { return wrong() };
            let at = at.same();
            (0..length).map(|_| read(input, of, &at)).collect::<Result<Vec<_>, _>>().map(Value::set)
        }
        Type::Tuple(types) => {
            let Some(length) = array_len(input, marker, at)? else { return wrong() };
            if length != types.len() {
                return at.wrong(format!("{length} elements, where {} are due", types.len()));
            }
            types
                .iter()
                .enumerate()
                .map(|(index, ty)| read(input, ty, &at.index(index)))
                .collect::<Result<_, _>>()
                .map(Value::Tuple)
        }
        Type::Map(of) => {
            let Some(length) = map_len(input, marker, at)? else { return wrong() };
            let mut all = BTreeMap::new();
            for _ in 0..length {
                let key = key(input, at)?;
                let value = read(input, of, &at.key(&key))?;
                if all.contains_key(&key) {
                    return at.key(&key).wrong("the key is there twice");
                }
                all.insert(key, value);
            }
            Ok(Value::Map(all))
        }
        Type::Object(types) => {
            let Some(length) = map_len(input, marker, at)? else { return wrong() };
            let mut all = Vec::with_capacity(length.min(types.len()));
            for _ in 0..length {
                let name = name(input, at)?;
                let inner = at.attribute(name);
                let Some((name, ty)) = types.get_key_value(name) else {
                    return inner.wrong("there is no such attribute");
                };
                all.push((name, read(input, ty, &inner)?));
            }
            // Cores write them in order, so there is nothing to do here.
            all.sort_by_key(|(name, _)| *name);
            if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return at.attribute(pair[0].0).wrong("the attribute is there twice");
            }
            if all.len() < types.len() {
                let there = |name: &&String| all.iter().any(|(one, _)| one == name);
                let missing = types.keys().find(|name| !there(name)).map_or("", String::as_str);
                return at.attribute(missing).wrong("the attribute is missing");
            }
            let all = all.into_iter().map(|(name, value)| (name.clone(), value));
            Ok(Value::object(all))
        }
        Type::Dynamic => {
            if array_len(input, marker, at)? != Some(2) {
                return at.wrong("a dynamic value is an array of type and value");
            }
            let ty = bytes(input, at)?;
            let ty = Type::from_json_bytes(ty).or_else(|error| at.wrong(error.to_string()))?;
            match read(input, &ty, &at.same())? {
                Value::Null => Ok(Value::Null),
                value => Ok(Value::Dynamic(Box::new((ty, value)))),
            }
        }
    }
}

/// The type of a dynamic value: binary, or text.
fn bytes<'a>(input: &mut &'a [u8], at: &Trail<'_>) -> Result<&'a [u8], Malformed> {
    let marker = marker(input, at)?;
    let length = match marker {
        Marker::Bin8 => take_len(input, 1, at)?,
        Marker::Bin16 => take_len(input, 2, at)?,
        Marker::Bin32 => take_len(input, 4, at)?,
        other => match text(input, other, at)? {
            Some(text) => return Ok(text.as_bytes()),
            None => return at.wrong("a dynamic value begins with its type"),
        },
    };
    take(input, length, at)
}

fn key(input: &mut &[u8], at: &Trail<'_>) -> Result<String, Malformed> {
    let marker = marker(input, at)?;
    match text(input, marker, at)?.map(Value::string) {
        Some(Value::String(key)) => Ok(key),
        _ => at.wrong("a key is no string"),
    }
}

/// The name of an attribute, as it is written: schemas' own names have one form only.
fn name<'a>(input: &mut &'a [u8], at: &Trail<'_>) -> Result<&'a str, Malformed> {
    let marker = marker(input, at)?;
    match text(input, marker, at)? {
        Some(name) => Ok(name),
        None => at.wrong("a key is no string"),
    }
}

fn noun(marker: Marker) -> &'static str {
    match marker {
        Marker::Null => "null",
        Marker::True | Marker::False => "a bool",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a string",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "binary",
        Marker::Reserved => "a reserved byte",
        _ => "a number",
    }
}

fn refinement(body: &[u8], ty: &Type, at: &Trail<'_>) -> Result<Value, Malformed> {
    if body.len() > MAX_REFINEMENT {
        return at.wrong(format!("promises of more than {MAX_REFINEMENT} bytes"));
    }
    if *ty == Type::Dynamic {
        return at.wrong("nothing can be promised of a dynamic value");
    }
    let mut input = body;
    let head = marker(&mut input, at)?;
    let Some(count) = map_len(&mut input, head, at)? else {
        return at.wrong("promises are no map");
    };
    let collection = matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_));
    let mut promise = Refinement::default();
    for _ in 0..count {
        let head = marker(&mut input, at)?;
        let key = number(&mut input, head, at)?.and_then(|key| key.as_i64());
        match key {
            Some(1) => {
                promise.null = match marker(&mut input, at)? {
                    Marker::True => Some(true),
                    Marker::False => Some(false),
                    _ => return at.wrong("a promise about null is no bool"),
                };
            }
            Some(2) if *ty == Type::String => {
                let head = marker(&mut input, at)?;
                match text(&mut input, head, at)? {
                    Some(prefix) if prefix.len() <= MAX_PREFIX => {
                        promise.prefix = Some(prefix.to_owned());
                    }
                    _ => return at.wrong("a promised prefix is no short string"),
                }
            }
            Some(bound @ (3 | 4)) if *ty == Type::Number => {
                let head = marker(&mut input, at)?;
                if array_len(&mut input, head, at)? != Some(2) {
                    return at.wrong("a promised bound is no pair");
                }
                let head = marker(&mut input, at)?;
                let Some(limit) = number(&mut input, head, at)? else {
                    return at.wrong("a promised bound is no number");
                };
                let inclusive = match marker(&mut input, at)? {
                    Marker::True => true,
                    Marker::False => false,
                    _ => return at.wrong("a promised bound does not say if it is inclusive"),
                };
                let bound = if bound == 3 { &mut promise.minimum } else { &mut promise.maximum };
                *bound = Some((limit, inclusive));
            }
            Some(bound @ (5 | 6)) if collection => {
                let head = marker(&mut input, at)?;
                let length = number(&mut input, head, at)?.and_then(|length| length.as_i64());
                let Some(length) = length else {
                    return at.wrong("a promised length is no whole number");
                };
                let bound =
                    if bound == 5 { &mut promise.min_length } else { &mut promise.max_length };
                *bound = Some(length);
            }
            Some(2..=6) => return at.wrong(format!("this cannot be promised of a {ty}")),
            Some(_) => skip(&mut input, at)?,
            None => return at.wrong("the key of a promise is no number"),
        }
    }
    if promise.is_empty() {
        return Ok(Value::Unknown(None));
    }
    Ok(Value::Unknown(Some(Box::new(promise))))
}

/// Passes over a value of any type: a promise of a later time.
fn skip(input: &mut &[u8], at: &Trail<'_>) -> Result<(), Malformed> {
    at.check_depth()?;
    let marker = marker(input, at)?;
    let at = at.same();
    if matches!(marker, Marker::Null | Marker::True | Marker::False)
        || extension(input, marker, &at)?.is_some()
        || text(input, marker, &at)?.is_some()
    {
        return Ok(());
    }
    if let Some(length) = array_len(input, marker, &at)? {
        return (0..length).try_for_each(|_| skip(input, &at));
    }
    if let Some(length) = map_len(input, marker, &at)? {
        return (0..length * 2).try_for_each(|_| skip(input, &at));
    }
    let width = match marker {
        Marker::Bin8 => take_len(input, 1, &at)?,
        Marker::Bin16 => take_len(input, 2, &at)?,
        Marker::Bin32 => take_len(input, 4, &at)?,
        Marker::Reserved => return at.wrong("a reserved byte"),
        Marker::FixPos(_) | Marker::FixNeg(_) => 0,
        Marker::U8 | Marker::I8 => 1,
        Marker::U16 | Marker::I16 => 2,
        Marker::U32 | Marker::I32 | Marker::F32 => 4,
        _ => 8,
    };
    take(input, width, &at).map(|_| ())
}

/// Writing into memory does not fail, but for lengths beyond 32 bits.
fn wrote<T, E: std::fmt::Display>(result: Result<T, E>, at: &Trail<'_>) -> Result<(), Malformed> {
    result.map(|_| ()).or_else(|error| at.wrong(error.to_string()))
}

fn length(length: usize, at: &Trail<'_>) -> Result<u32, Malformed> {
    u32::try_from(length).or_else(|_| at.wrong("a collection is too long"))
}

fn write(out: &mut Vec<u8>, value: &Value, ty: &Type, at: &Trail<'_>) -> Result<(), Malformed> {
    at.check_depth()?;
    match (value, ty) {
        (Value::Null, _) => wrote(write_nil(out), at),
        (Value::Unknown(promise), _) => write_unknown(out, promise.as_deref(), ty, at),
        (Value::String(text), Type::String) => wrote(write_str(out, text), at),
        (Value::Bool(value), Type::Bool) => wrote(write_bool(out, *value), at),
        (Value::Number(number), Type::Number) => wrote(write_str(out, &number.to_string()), at),
        (Value::List(all), Type::List(of)) => {
            wrote(write_array_len(out, length(all.len(), at)?), at)?;
            all.iter()
                .enumerate()
                .try_for_each(|(index, value)| write(out, value, of, &at.index(index)))
        }
        (Value::Set(all), Type::Set(of)) => {
            wrote(write_array_len(out, length(all.len(), at)?), at)?;
            all.iter().try_for_each(|value| write(out, value, of, &at.same()))
        }
        (Value::Tuple(all), Type::Tuple(types)) if all.len() == types.len() => {
            wrote(write_array_len(out, length(all.len(), at)?), at)?;
            all.iter()
                .zip(types)
                .enumerate()
                .try_for_each(|(index, (value, ty))| write(out, value, ty, &at.index(index)))
        }
        (Value::Map(all), Type::Map(of)) => {
            wrote(write_map_len(out, length(all.len(), at)?), at)?;
            all.iter().try_for_each(|(key, value)| {
                wrote(write_str(out, key), at)?;
                write(out, value, of, &at.key(key))
            })
        }
        (Value::Object(all), Type::Object(types)) => {
            if let Some(name) = all.keys().find(|name| !types.contains_key(*name)) {
                return at.attribute(name).wrong("there is no such attribute");
            }
            wrote(write_map_len(out, length(types.len(), at)?), at)?;
            types.iter().try_for_each(|(name, ty)| {
                let at = at.attribute(name);
                let Some(value) = all.get(name) else {
                    return at.wrong("the attribute is missing");
                };
                wrote(write_str(out, name), &at)?;
                write(out, value, ty, &at)
            })
        }
        (Value::Dynamic(inner), Type::Dynamic) => {
            wrote(write_array_len(out, 2), at)?;
            wrote(write_bin(out, &inner.0.to_json_bytes()), at)?;
            write(out, &inner.1, &inner.0, &at.same())
        }
        (value, ty) => at.wrong(format!("{} is no {ty}", value.noun())),
    }
}

fn write_unknown(
    out: &mut Vec<u8>,
    promise: Option<&Refinement>,
    ty: &Type,
    at: &Trail<'_>,
) -> Result<(), Malformed> {
    let promise = promise.filter(|promise| !promise.is_empty() && *ty != Type::Dynamic);
    let Some(promise) = promise else {
        out.extend([0xd4, UNKNOWN.cast_unsigned(), 0]);
        return Ok(());
    };
    let body = refinement_body(promise, ty, at)?;
    // An extension of one byte would be read as unknown without promises.
    let meta = length(body.len(), at)?;
    wrote(write_ext_meta(out, meta, REFINED), at)?;
    out.extend(body);
    Ok(())
}

fn refinement_body(promise: &Refinement, ty: &Type, at: &Trail<'_>) -> Result<Vec<u8>, Malformed> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let mut field = |key: i64, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), Malformed>| {
        let mut out = Vec::new();
        wrote(write_sint(&mut out, key), at)?;
        write(&mut out)?;
        fields.push(out);
        Ok::<(), Malformed>(())
    };
    if let Some(null) = promise.null {
        field(1, &mut |out| wrote(write_bool(out, null), at))?;
    }
    if let (Some(prefix), Type::String) = (&promise.prefix, ty) {
        let mut end = prefix.len().min(MAX_PREFIX);
        while !prefix.is_char_boundary(end) {
            end -= 1;
        }
        field(2, &mut |out| wrote(write_str(out, &prefix[..end]), at))?;
    }
    if *ty == Type::Number {
        for (key, bound) in [(3, &promise.minimum), (4, &promise.maximum)] {
            if let Some((limit, inclusive)) = bound {
                field(key, &mut |out| {
                    wrote(write_array_len(out, 2), at)?;
                    wrote(write_str(out, &limit.to_string()), at)?;
                    wrote(write_bool(out, *inclusive), at)
                })?;
            }
        }
    }
    if matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_)) {
        for (key, bound) in [(5, promise.min_length), (6, promise.max_length)] {
            if let Some(bound) = bound {
                field(key, &mut |out| wrote(write_sint(out, bound), at))?;
            }
        }
    }
    let mut body = Vec::new();
    wrote(write_map_len(&mut body, length(fields.len(), at)?), at)?;
    fields.iter().for_each(|field| body.extend(field));
    if body.len() > MAX_REFINEMENT {
        return at.wrong(format!("promises of more than {MAX_REFINEMENT} bytes"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Value {
        Value::Number(text.parse().unwrap())
    }

    #[test]
    fn the_golden_bytes_of_cores_are_read() {
        for (bytes, ty, value) in [
            (&b"\xc0"[..], Type::String, Value::Null),
            (b"", Type::String, Value::Null),
            (b"\xd4\x00\x00", Type::String, Value::unknown()),
            (b"\xc7\x00\x05", Type::Bool, Value::unknown()),
            (b"\xa3abc", Type::String, "abc".into()),
            (b"\xa3e\xcc\x81", Type::String, "\u{e9}".into()),
            (b"\xc3", Type::Bool, true.into()),
            (b"\x07", Type::Number, n("7")),
            (b"\xff", Type::Number, n("-1")),
            (b"\xd1\xff\x00", Type::Number, n("-256")),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Type::Number, n("18446744073709551615")),
            (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Type::Number, n("1.5")),
            (b"\xa30.1", Type::Number, n("0.1")),
            (b"\xb39223372036854775808", Type::Number, n("9223372036854775808")),
            (b"\x92\xa1b\xa1a", Type::set(Type::String), Value::set(["a", "b"].map(Value::from))),
            (
                b"\x82\xa1b\xc3\xa1a\xc0",
                Type::object([("a", Type::String), ("b", Type::Bool)]),
                Value::object([("a", Value::Null), ("b", true.into())]),
            ),
            (
                b"\x92\xc4\x06\"bool\"\xc3",
                Type::Dynamic,
                Value::Dynamic(Box::new((Type::Bool, true.into()))),
            ),
        ] {
            assert_eq!(decode(bytes, &ty).unwrap(), value, "{bytes:x?}");
        }
    }

    #[test]
    fn numbers_are_written_as_strings() {
        assert_eq!(encode(&2.into(), &Type::Number).unwrap(), b"\xa12");
        assert_eq!(encode(&n("-0.50"), &Type::Number).unwrap(), b"\xa4-0.5");
    }

    #[test]
    fn a_promise_travels() {
        let not_null = Value::Unknown(Some(Box::new(Refinement::not_null())));
        let bytes = encode(&not_null, &Type::String).unwrap();
        assert_eq!(bytes, b"\xc7\x03\x0c\x81\x01\xc2");
        assert_eq!(decode(&bytes, &Type::String).unwrap(), not_null);

        let promise = Refinement {
            null: Some(false),
            minimum: Some((Number::from(1), true)),
            maximum: Some((Number::from(9), false)),
            ..Refinement::default()
        };
        let value = Value::Unknown(Some(Box::new(promise)));
        let bytes = encode(&value, &Type::Number).unwrap();
        assert_eq!(decode(&bytes, &Type::Number).unwrap(), value);

        let prefix = Value::Unknown(Some(Box::new(Refinement::prefix("bao/"))));
        let bytes = encode(&prefix, &Type::String).unwrap();
        assert_eq!(decode(&bytes, &Type::String).unwrap(), prefix);
        // What cannot be promised of the type does not travel, and is refused when it arrives.
        let bool_bytes = encode(&prefix, &Type::Bool).unwrap();
        assert_eq!(decode(&bool_bytes, &Type::Bool).unwrap(), not_null);
        assert!(decode(&bytes, &Type::Bool).is_err());
        assert!(decode(&bytes, &Type::Dynamic).is_err());
    }

    #[test]
    fn a_promise_of_a_later_time_is_passed_over() {
        let bytes = b"\xc7\x08\x0c\x82\x63\x92\x01\xa1x\x01\xc2";
        let value = decode(bytes, &Type::String).unwrap();
        assert_eq!(value, Value::Unknown(Some(Box::new(Refinement::not_null()))));
    }

    #[test]
    fn an_exponent_without_an_absolute_value_is_an_error() {
        assert!(decode(b"\xad1e-2147483648", &Type::Number).is_err());
    }

    #[test]
    fn bad_bytes_give_an_error_with_a_path() {
        let ty = Type::object([("a", Type::list(Type::Bool))]);
        for (bytes, text) in [
            (&b"\x81\xa1a\x92\xc3\x07"[..], "at a[1]: a number is no bool"),
            (b"\x81\xa1b\xc3", "at b: there is no such attribute"),
            (b"\x80", "at a: the attribute is missing"),
            (b"\x81\xa1a\xdd\xff\xff\xff\xff", "at a: the bytes end in the middle of a collection"),
            (b"\x81\xa1a", "at a: the bytes end in the middle of a value"),
            (b"\x82\xa1a\xc0\xa1a\xc0", "at a: the attribute is there twice"),
            (b"\x81\xa1a\xc0\xc0", "1 bytes follow the value"),
            (b"\x81\x07\xc0", "a key is no string"),
            (b"\xc1", "a reserved byte is no object({ a = list(bool) })"),
            (b"\x81\xa1a\xc7\x05\x07aaaaa", "at a: there is no extension 7 of 5 bytes"),
        ] {
            assert_eq!(decode(bytes, &ty).unwrap_err().to_string(), text, "{bytes:x?}");
        }
        assert!(decode(b"\xa1\xff", &Type::String).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn what_nests_too_deep_is_refused() {
        let mut bytes = Vec::new();
        for _ in 0..120 {
            bytes.extend(b"\x92\xc4\x09\"dynamic\"");
        }
        bytes.push(0xc0);
        assert!(decode(&bytes, &Type::Dynamic).unwrap_err().to_string().contains("deep"));
    }
}
