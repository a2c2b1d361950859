//! A configuration as policies have it: `input` is what was written, and `input._compiled_` what it comes to.

use crate::evaluation::{Compiled, Source};
use serde_json::{Map, Number, Value};

/// The key of what a configuration comes to.
const COMPILED: &str = "_compiled_";

/// What policies have as `input`.
pub(crate) fn of(source: &Source) -> Result<Value, String> {
    let mut input = read("the configuration", &source.written)?;
    let (text, is_over) = match &source.compiled {
        Compiled::Is(text) => (Some(text), true),
        Compiled::Unless(text) => (text.as_ref(), false),
    };
    let Some(text) = text else { return Ok(input) };
    let compiled = read("the compiled configuration", text)?;
    let Value::Object(all) = &mut input else {
        return Err("the configuration is no map".to_owned());
    };
    if is_over || !all.contains_key(COMPILED) {
        all.insert(COMPILED.to_owned(), compiled);
    }
    Ok(input)
}

fn read(what: &str, text: &str) -> Result<Value, String> {
    let (node, diagnostics) = yaml::parse(text);
    if let Some(wrong) = diagnostics.iter().find(|one| one.is_error()) {
        return Err(yaml::render(wrong, what, text).trim_end().to_owned());
    }
    Ok(node.as_ref().map_or(Value::Null, value))
}

fn value(node: &yaml::Node) -> Value {
    match &node.kind {
        yaml::Kind::Seq(items) => items.iter().map(value).collect(),
        yaml::Kind::Map(entries) => {
            let named =
                entries.iter().map(|(key, node)| (key.text().unwrap_or_default().to_owned(), value(node)));
            Value::Object(named.collect::<Map<_, _>>())
        }
        yaml::Kind::Scalar(scalar) => match scalar.value {
            yaml::Value::Null => Value::Null,
            yaml::Value::Bool(value) => Value::Bool(value),
            yaml::Value::Int(value) => value.into(),
            // Neither infinite nor no number has a place in JSON.
            yaml::Value::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            yaml::Value::String => Value::String(scalar.text.to_string()),
        },
    }
}
