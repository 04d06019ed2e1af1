//! The models that users have added to a binary: a value, not a global, from names to code.
//!
//! A name travels with a job and stands in a model file; the code does not. Who reads either looks the name up here.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::data::nearest;
use crate::job::{ModelKind, TrainingJob};
use crate::model::TrainedModel;
use crate::trainable::{LabelledRows, SecondDerivatives, Target, Trainable};

/// Longest name of a model, in bytes.
pub const MODEL_NAME_LENGTH_MAX: usize = 40;

/// A name of lower-case letters, digits, `_`, `-` and `.`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelName {
    bytes: [u8; MODEL_NAME_LENGTH_MAX],
    length: u8,
}

/// A model of a user's: its name, and its code if this binary has it and it was looked up.
#[derive(Clone, Copy)]
pub struct OwnModel {
    name: ModelName,
    code: Option<&'static dyn OwnCode>,
}

/// Models by name.
#[derive(Debug, Clone, Default)]
pub struct ModelRegistry {
    models: BTreeMap<&'static str, OwnModel>,
}

/// Why a model cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterModelError {
    /// It could not stand in a job file.
    #[error(
        "a model has the name {0:?}, and a name is 1 to {MODEL_NAME_LENGTH_MAX} lower-case letters, digits, \"_\", \"-\" or \".\""
    )]
    BadName(&'static str),
    /// Two models of one name, one of which may be built in.
    #[error("a model {0:?} is there already")]
    Twice(&'static str),
}

/// A model that this binary does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "this binary has no model \"{name}\"{}: it has {known}, and `odeon::app().model::<…>(\"{name}\")` would add it",
    nearest.as_ref().map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default()
)]
pub struct UnknownModel {
    /// The name.
    pub name: String,
    /// All names that there are.
    pub known: String,
    /// The most similar one, if any is similar.
    pub nearest: Option<String>,
}

/// Why the model of a file cannot be used by this binary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnModelError {
    /// It has not got it.
    #[error(transparent)]
    Unknown(#[from] UnknownModel),
    /// It has another one of the same name.
    #[error("the model \"{name}\" of this binary has {expected} parameters over these columns, the file has {actual}")]
    Parameters {
        /// The name.
        name: String,
        /// Of the binary's model.
        expected: usize,
        /// In the file.
        actual: usize,
    },
}

/// A [`Trainable`] whose type is not known.
pub(crate) trait OwnCode: Sync {
    fn target(&self) -> Target;
    fn has_curvature(&self) -> bool;
    fn parameters(&self, columns: &[String]) -> Vec<String>;
    fn start(&self, parameter_count: usize, target_mean: f64) -> Vec<f64>;
    fn is_penalised(&self, parameter: usize) -> bool;
    fn check_target(&self, target: f64) -> Result<(), String>;
    fn objective(&self, rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64;
    fn curvature(&self, rows: LabelledRows<'_>, parameters: &[f64], curvature: &mut SecondDerivatives<'_>);
    fn predict(&self, row: &[f64], parameters: &[f64]) -> f64;
}

struct CodeOf<M>(PhantomData<fn() -> M>);

impl<M: Trainable> OwnCode for CodeOf<M> {
    fn target(&self) -> Target {
        M::TARGET
    }

    fn has_curvature(&self) -> bool {
        M::HAS_CURVATURE
    }

    fn parameters(&self, columns: &[String]) -> Vec<String> {
        M::parameters(columns)
    }

    fn start(&self, parameter_count: usize, target_mean: f64) -> Vec<f64> {
        M::start(parameter_count, target_mean)
    }

    fn is_penalised(&self, parameter: usize) -> bool {
        M::is_penalised(parameter)
    }

    fn check_target(&self, target: f64) -> Result<(), String> {
        M::check_target(target)
    }

    fn objective(&self, rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        M::objective(rows, parameters, gradient)
    }

    fn curvature(&self, rows: LabelledRows<'_>, parameters: &[f64], curvature: &mut SecondDerivatives<'_>) {
        M::curvature(rows, parameters, curvature);
    }

    fn predict(&self, row: &[f64], parameters: &[f64]) -> f64 {
        M::predict(row, parameters)
    }
}

impl ModelRegistry {
    /// An empty registry: only the built-in models are there.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model.
    ///
    /// # Errors
    /// [`RegisterModelError`] if the name is taken, or is none.
    pub fn register<M: Trainable>(mut self, name: &'static str) -> Result<Self, RegisterModelError> {
        let Some(model_name) = ModelName::new(name) else { return Err(RegisterModelError::BadName(name)) };
        let model = OwnModel { name: model_name, code: Some(const { &CodeOf::<M>(PhantomData) }) };
        if ModelKind::built_in(name).is_some() || self.models.insert(name, model).is_some() {
            return Err(RegisterModelError::Twice(name));
        }
        Ok(self)
    }

    /// The model of a name, if a user has added it.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<ModelKind> {
        self.models.get(name).map(|model| ModelKind::Own(*model))
    }

    /// The kind with its code, if it is one of a user's.
    ///
    /// # Errors
    /// [`UnknownModel`] if it is not here.
    pub fn resolve(&self, kind: ModelKind) -> Result<ModelKind, UnknownModel> {
        let ModelKind::Own(own) = kind else { return Ok(kind) };
        let known = self.models.get(own.name()).ok_or_else(|| self.unknown(own.name()))?;
        Ok(ModelKind::Own(*known))
    }

    /// What is told of a name that is not here.
    #[must_use]
    pub fn unknown(&self, name: &str) -> UnknownModel {
        let own_names = self.models.keys().copied();
        let names: Vec<&str> = ModelKind::BUILT_IN.iter().map(|kind| kind.name()).chain(own_names).collect();
        UnknownModel { name: name.to_owned(), known: names.join(", "), nearest: nearest(name, names) }
    }

    /// Gives a job the code of its model.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_job(&self, job: &mut TrainingJob) -> Result<(), UnknownModel> {
        job.model.kind = self.resolve(job.model.kind)?;
        Ok(())
    }

    /// Gives a model that was read from a file its code.
    ///
    /// # Errors
    /// [`OwnModelError`] if it is not here, or is another one.
    pub fn resolve_model(&self, model: &mut TrainedModel) -> Result<(), OwnModelError> {
        let kind = self.resolve(model.model)?;
        if let Some(code) = kind.own().and_then(|own| own.code()) {
            let (expected, actual) = (code.parameters(&model.features).len(), model.coefficients.len());
            if expected != actual {
                return Err(OwnModelError::Parameters { name: kind.name().to_owned(), expected, actual });
            }
        }
        model.model = kind;
        Ok(())
    }
}

impl OwnModel {
    /// The model of this name, whose code nobody has looked up.
    pub(crate) fn of_name(name: ModelName) -> Self {
        Self { name, code: None }
    }

    /// As in a job file.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether it can be trained and asked here.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.code.is_some()
    }

    /// Whether its target is one of two classes.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.code.is_some_and(|code| code.target() == Target::Label)
    }

    pub(crate) fn code(&self) -> Option<&'static dyn OwnCode> {
        self.code
    }
}

/// Models of one name are one: there is one registry in a process.
impl PartialEq for OwnModel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnModel {}

impl fmt::Debug for OwnModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("OwnModel").field(&self.name()).field(&self.is_known()).finish()
    }
}

impl ModelName {
    /// The name, if it is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        let length = text.len();
        if !(1..=MODEL_NAME_LENGTH_MAX).contains(&length) || !text.bytes().all(fits) {
            return None;
        }
        let mut bytes = [0; MODEL_NAME_LENGTH_MAX];
        bytes[..length].copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(length).ok()? })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("a name is of ASCII letters")
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Trainable for Nothing {
        fn objective(_: LabelledRows<'_>, _: &[f64], _: &mut [f64]) -> f64 {
            0.0
        }
    }

    fn kind(name: &str) -> ModelKind {
        serde_json::from_value(name.into()).unwrap()
    }

    #[test]
    fn a_name_is_taken_once_and_never_that_of_a_built_in_model() {
        let registry = ModelRegistry::new().register::<Nothing>("nothing").unwrap();
        let refused = |name| registry.clone().register::<Nothing>(name).unwrap_err();
        assert_eq!(refused("nothing"), RegisterModelError::Twice("nothing"));
        assert_eq!(refused("linear"), RegisterModelError::Twice("linear"));
        for name in ["", "a b", "Poisson", "a123456789b123456789c123456789d123456789e"] {
            assert_eq!(refused(name), RegisterModelError::BadName(name));
        }
    }

    #[test]
    fn a_model_that_is_not_here_is_named_with_those_that_are() {
        let registry = ModelRegistry::new().register::<Nothing>("nothing").unwrap();
        assert_eq!(registry.resolve(ModelKind::Linear), Ok(ModelKind::Linear));
        let found = registry.resolve(kind("nothing")).unwrap();
        assert!(found.own().unwrap().is_known() && !kind("nothing").own().unwrap().is_known());
        let text = registry.resolve(kind("linaer")).unwrap_err().to_string();
        assert!(
            text.starts_with("this binary has no model \"linaer\" (did you mean \"linear\"?): it has linear, "),
            "{text}"
        );
        assert!(text.contains(", nothing, and `odeon::app().model::<…>(\"linaer\")` would add it"), "{text}");
    }
}
