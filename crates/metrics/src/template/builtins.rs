//! Owns the functions that every Go template has.

use super::compare::{Order, equal, order};
use super::value::Value;
use super::{printf, text};

/// Calls a function of the language; nothing if it is none.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let answer = match name {
        "not" => one(name, arguments).map(|value| Value::Bool(!value.truth())),
        "eq" => equal_to_any(arguments),
        "ne" => {
            two(name, arguments).and_then(|(one, other)| equal(one, other)).map(|same| Value::Bool(!same))
        }
        "lt" => compared(name, arguments, |found| found == Order::Less),
        "le" => compared(name, arguments, |found| matches!(found, Order::Less | Order::Equal)),
        "gt" => compared(name, arguments, |found| found == Order::Greater),
        "ge" => compared(name, arguments, |found| matches!(found, Order::Greater | Order::Equal)),
        "len" => one(name, arguments).and_then(length),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(Value::text(printf::print(arguments))),
        "println" => {
            let all: Vec<String> = arguments.iter().map(Value::written).collect();
            Ok(Value::text(format!("{}\n", all.join(" "))))
        }
        "printf" => match arguments {
            [Value::Text(format), rest @ ..] => printf::printf(format, rest).map(Value::text),
            _ => Err("the first argument must be a text".to_owned()),
        },
        "html" => Ok(Value::text(text::html(&printf::print(arguments)))),
        "js" => Ok(Value::text(text::js(&printf::print(arguments)))),
        "urlquery" => Ok(Value::text(text::query_escape(&printf::print(arguments)))),
        "call" => Err("there are no functions to be called".to_owned()),
        _ => return None,
    };
    Some(answer)
}

fn one<'a>(name: &str, arguments: &'a [Value]) -> Result<&'a Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(format!("wrong number of args for {name}: want 1 got {}", arguments.len())),
    }
}

fn two<'a>(name: &str, arguments: &'a [Value]) -> Result<(&'a Value, &'a Value), String> {
    match arguments {
        [one, other] => Ok((one, other)),
        _ => Err(format!("wrong number of args for {name}: want 2 got {}", arguments.len())),
    }
}

fn equal_to_any(arguments: &[Value]) -> Result<Value, String> {
    let Some((first, rest)) = arguments.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err("missing argument for comparison".to_owned());
    };
    for other in rest {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn compared(name: &str, arguments: &[Value], passes: fn(Order) -> bool) -> Result<Value, String> {
    let (one, other) = two(name, arguments)?;
    order(one, other).map(|found| Value::Bool(passes(found)))
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let Some((first, keys)) = arguments.split_first() else {
        return Err("wrong number of args for index: want at least 1 got 0".to_owned());
    };
    keys.iter().try_fold(first.clone(), |value, key| match (&value, key) {
        (Value::Labels(labels), Value::Text(name)) => Ok(Value::text(labels.get(name).unwrap_or_default())),
        (Value::Map(map), Value::Text(name)) => Ok(map.get(&**name).cloned().unwrap_or(Value::Nil)),
        (Value::List(list), Value::Int(idx)) => {
            let found = usize::try_from(*idx).ok().and_then(|idx| list.get(idx));
            found.cloned().ok_or_else(|| format!("index out of range: {idx}"))
        }
        (Value::Text(text), Value::Int(idx)) => {
            let found = usize::try_from(*idx).ok().and_then(|idx| text.as_bytes().get(idx));
            found.map(|byte| Value::Int(i64::from(*byte))).ok_or_else(|| format!("index out of range: {idx}"))
        }
        (Value::Nil, _) => Err("index of untyped nil".to_owned()),
        (other, key) => Err(format!("can't index {} with {}", other.type_name(), key.type_name())),
    })
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let Some((first, bounds)) = arguments.split_first().filter(|(_, bounds)| bounds.len() <= 3) else {
        return Err("slice takes a value and at most three indexes".to_owned());
    };
    let bound = |position: usize, default: usize| match bounds.get(position) {
        None => Ok(default),
        Some(Value::Int(idx)) => usize::try_from(*idx).map_err(|_| format!("index out of range: {idx}")),
        Some(other) => Err(format!("cannot index slice with type {}", other.type_name())),
    };
    let out_of_range = || "slice bounds are out of range".to_owned();
    match first {
        Value::Text(text) => {
            let (from, to) = (bound(0, 0)?, bound(1, text.len())?);
            text.get(from..to).map(Value::text).ok_or_else(out_of_range)
        }
        Value::List(list) => {
            let (from, to) = (bound(0, 0)?, bound(1, list.len())?);
            list.get(from..to).map(|part| Value::List(part.to_vec().into())).ok_or_else(out_of_range)
        }
        other => Err(format!("can't slice item of type {}", other.type_name())),
    }
}
