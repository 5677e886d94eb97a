//! Owns the comparison of values: only what is of one kind can be compared, as in Go.

use super::value::Value;

/// How one value stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    Equal,
    Greater,
    /// One of them is not a number.
    None,
}

const DIFFERENT: &str = "incompatible types for comparison";

pub(super) fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    Ok(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one), Value::Int(other)) | (Value::Length(one), Value::Length(other)) => one == other,
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::Text(one), Value::Text(other)) => one == other,
        (Value::Nil, Value::Nil) => true,
        (Value::Nil, _) | (_, Value::Nil) => false,
        _ => return Err(of(one, other)),
    })
}

pub(super) fn order(one: &Value, other: &Value) -> Result<Order, String> {
    let found = match (one, other) {
        (Value::Int(one), Value::Int(other)) | (Value::Length(one), Value::Length(other)) => {
            Some(one.cmp(other))
        }
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        _ => return Err(of(one, other)),
    };
    Ok(match found {
        Some(std::cmp::Ordering::Less) => Order::Less,
        Some(std::cmp::Ordering::Equal) => Order::Equal,
        Some(std::cmp::Ordering::Greater) => Order::Greater,
        None => Order::None,
    })
}

fn of(one: &Value, other: &Value) -> String {
    let hint = match (one, other) {
        (Value::Float(_), Value::Int(number)) | (Value::Int(number), Value::Float(_)) => {
            format!("; a number beside a float needs a point: `{number}.0`")
        }
        _ => String::new(),
    };
    format!("{DIFFERENT}: {} and {}{hint}", one.type_name(), other.type_name())
}
