//! Reads JSON that people wrote: what the type does not have is refused, not dropped.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value of exactly the fields that its type has.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read<T: DeserializeOwned>(json: Value) -> Result<T, String> {
    let mut unknown = None;
    let read = serde_ignored::deserialize(json, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    });
    let value = read.map_err(|error| error.to_string())?;
    unknown.map_or(Ok(value), |path| Err(format!("there is no field {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        size: u64,
    }

    fn outer(text: &str) -> Result<Outer, String> {
        read(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_field_that_the_type_does_not_have_is_refused_with_its_path() {
        assert_eq!(outer(r#"{"inner": [{"size": 1}]}"#), Ok(Outer { inner: vec![Inner { size: 1 }] }));
        let error = outer(r#"{"inner": [{"size": 1}, {"size": 2, "colour": 3}]}"#).unwrap_err();
        assert_eq!(error, "there is no field inner.1.colour");
    }

    #[test]
    fn a_wrong_type_is_told_with_what_was_expected() {
        let error = outer(r#"{"inner": [{"size": "large"}]}"#).unwrap_err();
        assert!(error.contains("\"large\"") && error.contains("u64"), "{error}");
    }
}
