//! A search over values of a job file (`--grid KEY=[A, B]`): which combinations there are.
//!
//! It trains nothing; what the trainings have found is in `grid_report.rs`.

use toml::{Table, Value};

/// Most combinations of one search.
const COMBINATIONS_MAX: usize = 1000;

/// A key and the values that it is to have, as they would stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axis {
    key: String,
    values: Vec<String>,
}

impl std::str::FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, list) = super::key_value(text)?;
        let line: Option<Table> = format!("values = {list}").parse().ok();
        match line.and_then(|mut line| line.remove("values")) {
            Some(Value::Array(values)) if !values.is_empty() => {
                Ok(Self { key, values: values.iter().map(ToString::to_string).collect() })
            }
            _ => Err(format!("`{list}` is not a list of values such as [0.1, 1.0] or [\"a\", \"b\"]")),
        }
    }
}

/// The values of one trial, by key.
pub(crate) type Combination = Vec<(String, String)>;

/// Every combination of the values, the last key changing fastest; without a key, the one of no values.
///
/// # Errors
/// A text, if a key occurs twice or there are too many combinations.
pub(crate) fn combinations(axes: &[Axis]) -> Result<Vec<Combination>, String> {
    let mut all = vec![Combination::new()];
    for (place, Axis { key, values }) in axes.iter().enumerate() {
        if axes[..place].iter().any(|other| other.key == *key) {
            return Err(format!("--grid {key}: the key is searched twice"));
        }
        if all.len() * values.len() > COMBINATIONS_MAX {
            return Err(format!("--grid: more than {COMBINATIONS_MAX} combinations of values"));
        }
        let longer = |combination: &Combination, value: &String| {
            let mut combination = combination.clone();
            combination.push((key.clone(), value.clone()));
            combination
        };
        all = all.iter().flat_map(|combination| values.iter().map(move |value| longer(combination, value))).collect();
    }
    Ok(all)
}

/// The words that `--set` takes for a combination.
pub(crate) fn as_set(combination: &[(String, String)]) -> String {
    combination.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(text: &str) -> Axis {
        text.parse().unwrap()
    }

    #[test]
    fn every_value_of_a_key_meets_every_value_of_the_others() {
        let axes = [axis("model.l2=[0.1, 1]"), axis("train.solver = [\"newton\", \"lbfgs\"]")];
        let texts: Vec<String> = combinations(&axes).unwrap().iter().map(|values| as_set(values)).collect();
        let expected = [
            "model.l2=0.1 train.solver=\"newton\"",
            "model.l2=0.1 train.solver=\"lbfgs\"",
            "model.l2=1 train.solver=\"newton\"",
            "model.l2=1 train.solver=\"lbfgs\"",
        ];
        assert_eq!(texts, expected);
        assert_eq!(combinations(&[]), Ok(vec![Vec::new()]));
    }

    #[test]
    fn what_is_no_list_or_too_much_is_refused() {
        for text in ["model.l2", "model.l2=0.1", "model.l2=[]", "model.l2=[0.1"] {
            assert!(text.parse::<Axis>().is_err(), "{text}");
        }
        assert!(combinations(&[axis("a=[1]"), axis("a=[2]")]).unwrap_err().contains("twice"));
        let list = format!("[{}]", vec!["1"; 40].join(","));
        let axes = [axis(&format!("a={list}")), axis(&format!("b={list}"))];
        assert!(combinations(&axes).unwrap_err().contains("1000"));
    }
}
