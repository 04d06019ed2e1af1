//! What a worker remembers of earlier requests, so that it is sent once: fitted steps of `[prepare]`, column means, and
//! what trees were grown before.
//!
//! It holds no rows and computes nothing.

use std::sync::Arc;

use odeon_protocol::block::F64Block;

use crate::messages::{ComputeError, ComputePartials};
use crate::prepare::FittedStep;
use crate::tree::histogram::TreeMemory;

/// The memory of one worker; requests are to be completed in the order in which they come.
#[derive(Debug, Clone, Default)]
pub struct RequestMemory {
    steps: Arc<Vec<FittedStep>>,
    mean: F64Block,
    trees: TreeMemory,
}

impl RequestMemory {
    /// Puts into a request what it leaves out, and remembers what it brings. The result are all steps that its rows
    /// are to go through.
    ///
    /// # Errors
    /// [`ComputeError`] if it counts on what was never sent here.
    pub fn complete(&mut self, request: &mut ComputePartials) -> Result<Arc<Vec<FittedStep>>, ComputeError> {
        let (expected, actual) = (request.steps_known, self.steps.len());
        if expected > actual {
            return Err(ComputeError::StepsMissing { expected, actual });
        }
        if expected < actual || !request.new_steps.is_empty() {
            let steps = Arc::make_mut(&mut self.steps);
            steps.truncate(expected);
            steps.append(&mut request.new_steps);
        }
        match request.pass.mean_mut() {
            None => {}
            Some(mean) if !mean.0.is_empty() => self.mean.clone_from(mean),
            Some(_) if self.mean.0.is_empty() => return Err(ComputeError::MeanMissing),
            Some(mean) => mean.clone_from(&self.mean),
        }
        if let Some(state) = request.pass.tree_state_mut() {
            self.trees.complete(state).map_err(|_| ComputeError::TreesMissing)?;
        }
        Ok(Arc::clone(&self.steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Loss;
    use crate::program::{Parameters, Pass};

    fn request(mean: &[f64], steps_known: usize, new_steps: &[FittedStep]) -> ComputePartials {
        let at = Parameters { mean: mean.to_vec().into(), weights: vec![1.0].into(), intercept: 0.0 };
        let pass = Pass::ObjectiveGradient { loss: Loss::Logistic, at };
        ComputePartials { pass_number: 1, pass, nodes: Vec::new(), steps_known, new_steps: new_steps.to_vec() }
    }

    fn step(column: usize) -> FittedStep {
        FittedStep::Log { columns: vec![column] }
    }

    #[test]
    fn what_was_sent_once_is_put_in_again() {
        let mut memory = RequestMemory::default();
        assert_eq!(*memory.complete(&mut request(&[0.5], 0, &[step(1)])).unwrap(), [step(1)]);
        let mut second = request(&[], 1, &[step(2)]);
        assert_eq!(*memory.complete(&mut second).unwrap(), [step(1), step(2)]);
        assert_eq!(second.pass, request(&[0.5], 0, &[]).pass);
        // A coordinator that counts on less has another history; the newer one holds.
        assert_eq!(*memory.complete(&mut request(&[0.7], 1, &[])).unwrap(), [step(1)]);
    }

    #[test]
    fn what_was_never_sent_is_missed() {
        let mut memory = RequestMemory::default();
        assert_eq!(memory.complete(&mut request(&[], 0, &[])), Err(ComputeError::MeanMissing));
        let missing = ComputeError::StepsMissing { expected: 1, actual: 0 };
        assert_eq!(memory.complete(&mut request(&[0.5], 1, &[])), Err(missing));
    }
}
