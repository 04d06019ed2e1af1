//! Applies the layers over a role's defaults and remembers, for every value, where it came from.
//!
//! Each setting is decoded on its own before it counts, so that an error names one key and one origin.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::error::ConfigError;
use super::fault::Fault;
use super::file::read_text;
use super::layer::{Given, Key, Setting, environment_settings, file_settings, flag_settings, shared_settings};
use super::origin::Origin;
use super::wording::{nearest, plain};
use super::{AgentConfig, LocalConfig, MasterConfig, TlsConfig};

/// The one version of the configuration format that this build reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The roles whose settings may stand in the environment.
const ROLES: [&str; 4] = [MasterConfig::ROLE, AgentConfig::ROLE, LocalConfig::ROLE, TlsConfig::ROLE];

/// The configuration of one role: a flat struct whose every field has a default and serialises to something.
pub trait RoleConfig: Default + Serialize + DeserializeOwned {
    /// The role's name: `<ROLE>` in `ODEON_<ROLE>__KEY`, in lower case.
    const ROLE: &'static str;
    /// A commented file with every key at its default.
    const COMMENTED_DEFAULTS: &'static str;

    /// Checks what types cannot: ranges, and values against each other.
    ///
    /// # Errors
    /// The first [`Fault`].
    fn validate(&self) -> Result<(), Fault>;
}

/// A configuration and the origin of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The values in force.
    pub value: T,
    /// By dotted key. Every key of the role is there, and every entry of a table that a layer has set.
    pub origins: BTreeMap<String, Origin>,
}

/// One value in force, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The dotted key.
    pub key: String,
    /// The value as it is written in a file.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl<T: RoleConfig> Loaded<T> {
    /// Every value in force, by key; a table with entries is listed entry by entry.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (name, value) in table_of(&self.value) {
            let whole = Key { name, entry: None };
            match value {
                Value::Table(inner) if !inner.is_empty() => {
                    entries.extend(inner.iter().map(|(entry, value)| self.entry(&whole.with_entry(entry), value)));
                }
                value => entries.push(self.entry(&whole, &value)),
            }
        }
        entries
    }

    fn entry(&self, key: &Key, value: &Value) -> Entry {
        let origin = origin_of(&self.origins, &key.dotted());
        Entry { key: key.dotted(), value: value.to_string(), origin }
    }
}

/// The origin of `key`; what no layer has set is a default.
fn origin_of(origins: &BTreeMap<String, Origin>, key: &str) -> Origin {
    origins.get(key).cloned().unwrap_or(Origin::Default)
}

/// Loads a role's configuration: defaults, then `file`, then `environment`, then `flags` (dotted key and value text).
///
/// Variables without `__` (`ODEON_MASTER`, `ODEON_LOG`) are no configuration and are left alone.
///
/// # Errors
/// [`ConfigError`] for the first fault, weakest layer first.
pub fn load<T: RoleConfig>(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    flags: &[(&str, String)],
) -> Result<Loaded<T>, ConfigError> {
    let mut layers = Vec::new();
    if let Some(path) = file {
        layers.push(file_settings(path, &read_text(path)?)?);
    }
    if table_of(&T::default()).contains_key(TlsConfig::ROLE) {
        layers.push(shared_settings(TlsConfig::ROLE, environment));
    }
    layers.push(environment_settings(T::ROLE, &ROLES, environment)?);
    layers.push(flag_settings(flags));
    apply(layers)
}

fn apply<T: RoleConfig>(layers: Vec<Vec<Setting>>) -> Result<Loaded<T>, ConfigError> {
    let mut values = table_of(&T::default());
    let known: Vec<String> = values.keys().cloned().collect();
    let mut origins: BTreeMap<_, _> = known.iter().map(|key| (key.clone(), Origin::Default)).collect();
    for mut settings in layers {
        // A file of another version may well have other keys: say so before complaining of those.
        settings.sort_by_key(|setting| setting.key.name != "version");
        for setting in settings {
            refuse_unknown::<T>(&setting, &known)?;
            for (key, value) in decoded::<T>(&setting)? {
                origins.insert(key.dotted(), setting.origin.clone());
                put(&mut values, &key, value);
            }
        }
    }
    let value: T = values.try_into().expect("every value was decoded on its own, and fields do not depend on others");
    check(&value, &origins)?;
    Ok(Loaded { value, origins })
}

fn table_of<T: RoleConfig>(value: &T) -> Table {
    Table::try_from(value).expect("a role's configuration is a struct of plain values")
}

fn refuse_unknown<T: RoleConfig>(setting: &Setting, known: &[String]) -> Result<(), ConfigError> {
    let name = &setting.key.name;
    if known.contains(name) {
        return Ok(());
    }
    let in_environment = matches!(setting.key_origin, Origin::Environment(_));
    let spelled = |key: &str| match in_environment {
        true => format!("ODEON_{}__{}", T::ROLE.to_uppercase(), key.to_uppercase()),
        false => key.to_owned(),
    };
    Err(ConfigError::UnknownKey {
        key: name.clone(),
        origin: setting.key_origin.clone(),
        nearest: nearest(name, known.iter().map(String::as_str)).map(spelled),
        known: known.to_vec(),
    })
}

/// The values that a setting stands for: one, or the entries of a table given as text.
fn decoded<T: RoleConfig>(setting: &Setting) -> Result<Vec<(Key, Value)>, ConfigError> {
    let refused = |reason| ConfigError::Invalid { key: setting.key.dotted(), origin: setting.origin.clone(), reason };
    match &setting.given {
        Given::Typed(value) => {
            try_decode::<T>(&setting.key, value).map_err(refused)?;
            Ok(vec![(setting.key.clone(), value.clone())])
        }
        Given::Text(text) => {
            let value = typed_text::<T>(&setting.key, text).map_err(refused)?;
            Ok(entries_of(&setting.key, value))
        }
    }
}

/// Gives `text` the type that `key` wants: text if it takes text, otherwise what TOML reads there.
fn typed_text<T: RoleConfig>(key: &Key, text: &str) -> Result<Value, String> {
    let as_text = Value::String(text.to_owned());
    let Err(refused_as_text) = try_decode::<T>(key, &as_text) else {
        return Ok(as_text);
    };
    match text.parse::<Value>() {
        // A date has no key of its own here, and read as one it would only blur the message.
        Ok(Value::Datetime(_)) | Err(_) => Err(refused_as_text),
        // The text itself already said what is missing, such as a unit; the number's type says less.
        Ok(_) if !refused_as_text.starts_with("invalid type") => Err(refused_as_text),
        Ok(value) => try_decode::<T>(key, &value).map(|()| value),
    }
}

fn entries_of(key: &Key, value: Value) -> Vec<(Key, Value)> {
    match (value, &key.entry) {
        (Value::Table(inner), None) if !inner.is_empty() => {
            inner.into_iter().map(|(entry, value)| (key.with_entry(&entry), value)).collect()
        }
        (value, _) => vec![(key.clone(), value)],
    }
}

/// Decodes the role with this one value and defaults besides.
fn try_decode<T: RoleConfig>(key: &Key, value: &Value) -> Result<(), String> {
    let mut table = Table::new();
    put(&mut table, key, value.clone());
    table.try_into::<T>().map(drop).map_err(|error| plain(error.message()))
}

/// Sets one value; an empty table adds nothing to the entries that are there.
fn put(table: &mut Table, key: &Key, value: Value) {
    let Some(entry) = &key.entry else {
        if !matches!(&value, Value::Table(inner) if inner.is_empty() && table.contains_key(&key.name)) {
            table.insert(key.name.clone(), value);
        }
        return;
    };
    let inner = table.entry(key.name.clone()).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        inner.insert(entry.clone(), value);
    }
}

fn check<T: RoleConfig>(value: &T, origins: &BTreeMap<String, Origin>) -> Result<(), ConfigError> {
    let Err(fault) = value.validate() else {
        return Ok(());
    };
    let blamed = fault.keys.into_iter().map(|key| (origin_of(origins, &key), key));
    let (origin, key) = blamed.max_by_key(|(origin, _)| origin.rank()).expect("a fault names a key");
    Err(ConfigError::Invalid { key, origin, reason: fault.reason })
}

/// Reads a `version` field: only the version of this build will do.
pub(super) fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == FORMAT_VERSION {
        return Ok(version);
    }
    Err(de::Error::custom(format_args!("version {version} is not known, this build reads version {FORMAT_VERSION}")))
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
