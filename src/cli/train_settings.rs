//! Single values over a job file (`--set key=value`).
//!
//! The file is read and checked first; what stands here is only put over it.

use odeon_learning::job::TrainingJob;
use toml::{Table, Value};

use crate::failure::Failure;

/// The job of a file whose text is known to be one, with single values put over it in their order.
pub(super) fn with_values(text: &str, values: &[(String, String)]) -> Result<TrainingJob, Failure> {
    let mut table: Table = text.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let mut job = job_of(&table).map_err(Failure::usage)?;
    for (key, value) in values {
        let refused = |reason: String| Failure::usage(format!("--set {key}={value}: {reason}"));
        put(&mut table, key, typed(value)).map_err(refused)?;
        job = job_of(&table).map_err(refused)?;
    }
    Ok(job)
}

fn job_of(table: &Table) -> Result<TrainingJob, String> {
    table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// A value as it would stand in the file; what is no value there is a text.
fn typed(text: &str) -> Value {
    let line: Option<Table> = format!("value = {text}").parse().ok();
    line.and_then(|mut line| line.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn put(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let (mut table, mut path) = (table, key.split('.').peekable());
    while let Some(name) = path.next() {
        if path.peek().is_none() {
            table.insert(name.to_owned(), value);
            return Ok(());
        }
        let below = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        table = below.as_table_mut().ok_or_else(|| format!("`{name}` is no table"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "name = \"a\"\n[data]\npath = \"d.csv\"\ntarget = \"y\"\n[model]\ntype = \"linear\"\n";

    fn set(values: &[(&str, &str)]) -> Result<TrainingJob, Failure> {
        let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        with_values(JOB, &values)
    }

    #[test]
    fn values_are_put_over_the_file_also_in_tables_that_it_lacks() {
        let values = [("model.l2", "0.5"), ("train.workers", "7"), ("name", "b"), ("data.columns.a", "ignored")];
        let job = set(&values).unwrap();
        assert_eq!((job.model.l2, job.train.workers, job.name.as_str(), job.data.columns.len()), (0.5, 7, "b", 1));
        let last = set(&[("model.l2", "1.0"), ("model.l2", "2.0"), ("data.features", "[\"p\", \"q\"]")]).unwrap();
        assert_eq!((last.model.l2, last.data.features.map(|names| names.len())), (2.0, Some(2)));
    }

    #[test]
    fn what_does_not_fit_is_refused_as_it_was_typed() {
        let refused = |key, value| set(&[(key, value)]).unwrap_err().to_string();
        let unknown = refused("train.wokers", "7");
        assert!(unknown.starts_with("--set train.wokers=7: unknown field `wokers`"), "{unknown}");
        assert!(unknown.contains("workers"), "{unknown}");
        assert!(refused("train.workers", "many").starts_with("--set train.workers=many: invalid type"));
        assert_eq!(refused("name.first", "x"), "--set name.first=x: `name` is no table");
    }
}
