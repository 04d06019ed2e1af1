//! Turns one layer - a file, the environment, flags - into a list of settings, in the order in which they count.
//!
//! Does not know the role's keys: whether a key exists and a value fits is decided when settings are applied.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::document::{DocumentError, parse_table};
use super::error::ConfigError;
use super::origin::Origin;
use super::place::Place;
use super::wording::nearest;

/// The table whose entries are keys, and not words of the user's such as roles: in lower case in a file.
const TABLE_OF_LOWER_CASE: &str = "tls";

/// What a layer says about one key.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: Key,
    pub(super) given: Given,
    /// Where the key stands; differs from `origin` only in a file.
    pub(super) key_origin: Origin,
    pub(super) origin: Origin,
}

/// A key of the role, and the entry within it where the key holds a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) entry: Option<String>,
}

impl Key {
    fn split(text: &str, separator: &str) -> Self {
        match text.split_once(separator) {
            Some((name, entry)) => Self { name: name.to_owned(), entry: Some(entry.to_owned()) },
            None => Self { name: text.to_owned(), entry: None },
        }
    }

    /// `name` or `name.entry`; an entry is everything behind the first dot, dots included.
    pub(super) fn dotted(&self) -> String {
        self.entry.as_ref().map_or_else(|| self.name.clone(), |entry| format!("{}.{entry}", self.name))
    }

    /// The same key's entry called `entry`.
    pub(super) fn with_entry(&self, entry: &str) -> Self {
        Self { name: self.name.clone(), entry: Some(entry.to_owned()) }
    }
}

/// A value as its layer can give it.
#[derive(Debug)]
pub(super) enum Given {
    /// From a file: the type is the writer's choice and must fit.
    Typed(Value),
    /// From the environment or a flag: text, whose type follows from the key.
    Text(String),
}

/// The settings of a file; those within a table count one by one, so that each knows its line.
pub(super) fn file_settings(path: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let table = parse_table(path, text)?.into_inner();
    let origin = |span| Origin::File(Box::new(Place::of(path, text, span)));
    let mut settings = Vec::new();
    for (name, value) in table {
        let key = Key { name: name.get_ref().to_string(), entry: None };
        let key_origin = origin(name.span());
        match value.get_ref() {
            DeValue::Table(entries) if !entries.is_empty() => {
                for (entry, value) in entries.clone() {
                    let key = key.with_entry(entry.get_ref());
                    let (key_origin, origin) = (key_origin.clone(), origin(value.span()));
                    let given = Given::Typed(plain_value(path, text, value)?);
                    settings.push(Setting { key, given, key_origin, origin });
                }
            }
            _ => {
                let origin = origin(value.span());
                let given = Given::Typed(plain_value(path, text, value)?);
                settings.push(Setting { key, given, key_origin, origin });
            }
        }
    }
    Ok(settings)
}

fn plain_value(path: &Path, text: &str, value: Spanned<DeValue<'_>>) -> Result<Value, DocumentError> {
    let span = value.span();
    Value::deserialize(ValueDeserializer::from(value)).map_err(|error| DocumentError::WrongValue {
        place: Box::new(Place::of(path, text, span)),
        reason: error.message().to_owned(),
    })
}

/// The settings of `ODEON_<ROLE>__<KEY>` variables; those of other roles are left to them.
pub(super) fn environment_settings(
    role: &str,
    roles: &[&str],
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = Vec::new();
    for (name, text) in environment {
        let Some((prefix, key)) = name.strip_prefix("ODEON_").and_then(|rest| rest.split_once("__")) else {
            continue;
        };
        if !roles.iter().any(|known| known.to_uppercase() == prefix) {
            return Err(unknown_role(name, prefix, roles));
        }
        if prefix != role.to_uppercase() {
            continue;
        }
        let mut key = Key::split(key, "__");
        key.name = key.name.to_lowercase();
        if key.name == TABLE_OF_LOWER_CASE {
            key.entry = key.entry.map(|entry| entry.to_lowercase());
        }
        let origin = Origin::Environment(name.clone());
        settings.push(Setting { key, given: Given::Text(text.clone()), key_origin: origin.clone(), origin });
    }
    Ok(settings)
}

/// The settings of a table that every role has, from variables that name no role: `ODEON_<TABLE>__<KEY>`.
pub(super) fn shared_settings(table: &str, environment: &BTreeMap<String, String>) -> Vec<Setting> {
    let prefix = format!("ODEON_{}__", table.to_uppercase());
    let named = environment.iter().filter_map(|(name, text)| Some((name, text, name.strip_prefix(&prefix)?)));
    let setting = |(name, text, key): (&String, &String, &str)| {
        let key = Key { name: table.to_owned(), entry: Some(key.to_lowercase()) };
        let origin = Origin::Environment(name.clone());
        Setting { key, given: Given::Text(text.clone()), key_origin: origin.clone(), origin }
    };
    named.map(setting).collect()
}

fn unknown_role(name: &str, prefix: &str, roles: &[&str]) -> ConfigError {
    let known: Vec<String> = roles.iter().map(|role| format!("ODEON_{}__", role.to_uppercase())).collect();
    let meant = nearest(prefix, roles.iter().copied());
    let nearest = meant.map(|role| format!("ODEON_{}__", role.to_uppercase()));
    ConfigError::UnknownRole { name: name.to_owned(), nearest, known }
}

/// The settings of flags, in the order of the command line.
pub(super) fn flag_settings(flags: &[(&str, String)]) -> Vec<Setting> {
    let setting = |(key, text): &(&str, String)| {
        let origin = Origin::Flag((*key).to_owned());
        Setting { key: Key::split(key, "."), given: Given::Text(text.clone()), key_origin: origin.clone(), origin }
    };
    flags.iter().map(setting).collect()
}
