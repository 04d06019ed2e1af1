//! Reads the text form of resources.

use super::{Range, Ranges, Resources};
use std::collections::BTreeSet;
use std::str::FromStr;

/// The most ranges or items that one resource may list in its text form.
const ITEMS_MAX: usize = 10_000;

/// Why a text does not describe resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseResourcesError {
    /// An entry is not `name:value`.
    #[error("{0:?} is not of the form name:value, as in \"cpus:2;mem:1024;ports:[31000-32000]\"")]
    Form(String),
    /// A name is given twice.
    #[error("{0:?} is given twice")]
    Repeated(String),
    /// A scalar is not a number that thousandths can hold.
    #[error("{value:?} is not an amount of {name}: a number from 0 with at most three decimals is wanted")]
    Scalar {
        /// The resource.
        name: String,
        /// The text at fault.
        value: String,
    },
    /// Ranges or a set cannot be read.
    #[error("{value:?} is not a value of {name}: {cause}")]
    Items {
        /// The resource.
        name: String,
        /// The text at fault.
        value: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl FromStr for Resources {
    type Err = ParseResourcesError;

    fn from_str(text: &str) -> Result<Self, ParseResourcesError> {
        let mut resources = Self::empty();
        let mut names = BTreeSet::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once(':').ok_or_else(|| ParseResourcesError::Form(entry.to_owned()))?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || value.is_empty() {
                return Err(ParseResourcesError::Form(entry.to_owned()));
            }
            if !names.insert(name) {
                return Err(ParseResourcesError::Repeated(name.to_owned()));
            }
            resources = with_entry(resources, name, value)?;
        }
        Ok(resources)
    }
}

fn with_entry(resources: Resources, name: &str, value: &str) -> Result<Resources, ParseResourcesError> {
    let fail = |cause: String| ParseResourcesError::Items { name: name.to_owned(), value: value.to_owned(), cause };
    if let Some(inner) = value.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(|| fail("the closing bracket is missing".to_owned()))?;
        let ranges = items(inner).map(range).collect::<Result<Vec<_>, _>>().map_err(&fail)?;
        if ranges.len() > ITEMS_MAX {
            return Err(fail(format!("more than {ITEMS_MAX} ranges")));
        }
        return Ok(resources.with_ranges(name, Ranges::new(ranges).map_err(|error| fail(error.to_string()))?));
    }
    if let Some(inner) = value.strip_prefix('{') {
        let inner = inner.strip_suffix('}').ok_or_else(|| fail("the closing brace is missing".to_owned()))?;
        let set: BTreeSet<String> = items(inner).map(str::to_owned).collect();
        if set.len() != items(inner).count() || set.len() > ITEMS_MAX {
            return Err(fail(format!("an item is repeated, or there are more than {ITEMS_MAX}")));
        }
        return Ok(resources.with_set(name, set));
    }
    let amount =
        value.parse().map_err(|()| ParseResourcesError::Scalar { name: name.to_owned(), value: value.to_owned() })?;
    Ok(resources.with_scalar(name, amount))
}

fn items(inner: &str) -> impl Iterator<Item = &str> {
    inner.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn range(text: &str) -> Result<Range, String> {
    let (begin, end) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("{text:?} is not a whole number"));
    Ok(Range { begin: number(begin)?, end: number(end)? })
}
