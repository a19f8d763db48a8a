//! Values on the wire: what is decoded is encoded to something that decodes to the same.

use tfplugin::{Number, Type, json as state, msgpack as wire};

use crate::text;

/// The types that inputs are read as; the first byte chooses.
fn chosen(data: &[u8]) -> Option<(Type, &[u8])> {
    let (choice, rest) = data.split_first()?;
    let object = || {
        Type::object([
            ("name", Type::String),
            ("tags", Type::map(Type::String)),
            ("scopes", Type::set(Type::String)),
            ("limits", Type::list(Type::object([("most", Type::Number), ("on", Type::Bool)]))),
            ("any", Type::Dynamic),
        ])
    };
    let ty = match choice % 8 {
        0 => Type::String,
        1 => Type::Number,
        2 => Type::Bool,
        3 => Type::Dynamic,
        4 => Type::set(Type::Dynamic),
        5 => Type::map(Type::list(Type::Number)),
        6 => Type::Tuple(vec![Type::String, Type::set(Type::Number), Type::Bool]),
        _ => object(),
    };
    Some((ty, rest))
}

/// MessagePack, as cores send it.
pub fn msgpack(data: &[u8]) {
    let Some((ty, bytes)) = chosen(data) else { return };
    let Ok(value) = wire::decode(bytes, &ty) else { return };
    let again = wire::encode(&value, &ty).expect("what was decoded can be encoded");
    assert_eq!(wire::decode(&again, &ty).as_ref(), Ok(&value), "{ty:?}");
}

/// JSON, as states hold it.
pub fn json(data: &[u8]) {
    let Some((ty, bytes)) = chosen(data) else { return };
    let Ok(value) = state::decode_bytes(bytes, &ty) else { return };
    let again = state::encode(&value, &ty).expect("what was decoded can be encoded");
    let again = again.to_string();
    assert_eq!(state::decode_bytes(again.as_bytes(), &ty).as_ref(), Ok(&value), "{ty:?}");
    // And the two encodings hold the same.
    let wired = wire::encode(&value, &ty).expect("what a state holds can be sent");
    assert_eq!(wire::decode(&wired, &ty).as_ref(), Ok(&value), "{ty:?}");
}

/// Types, as schemas and dynamic values name them.
pub fn types(data: &[u8]) {
    let Ok(ty) = Type::from_json_bytes(data) else { return };
    assert_eq!(Type::from_json_bytes(&ty.to_json_bytes()).as_ref(), Ok(&ty));
}

/// Numbers of any size.
pub fn numbers(data: &[u8]) {
    let Ok(number) = text(data).parse::<Number>() else { return };
    assert_eq!(number.to_string().parse::<Number>().as_ref(), Ok(&number));
    let _ = (number.as_i64(), number.to_f64());
}
