//! What coordinator and workers of one training job say to each other.

use std::fmt;

use odeon_protocol::{block::F64Block, interface, remote_message};
use serde::{Deserialize, Serialize};

use crate::{
    blocks::NodeId,
    data::{DataError, DataSummary},
    job::TrainingJob,
    model_registry::UnknownModel,
    prepare::FittedStep,
    program::Pass,
};

/// A worker: the id of the task it runs as, so that a restarted worker is a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Offers a worker's help; a worker sends it to the coordinator once, when its task starts.
///
/// Sending it again after a lost reply is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTraining {
    /// Who offers.
    pub worker: WorkerId,
}
remote_message!(JoinTraining => Result<Joined, JoinError>, "learning.v1.JoinTraining");

/// Reply to [`JoinTraining`]: all that a worker needs to know before the first pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The job.
    pub job: TrainingJob,
    /// The data as the coordinator saw it; the worker's must be the same.
    pub data: DataSummary,
}

/// Why a worker may not join. A retry of the same worker fails the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JoinError {
    /// The model is done, or the job has failed.
    #[error("the training job has ended")]
    JobEnded,
    /// The worker was dropped before.
    #[error("worker {0} was dropped from this job")]
    Dropped(WorkerId),
    /// The job has as many workers as it can keep account of.
    #[error("the job has had {0} workers, more are not let in")]
    TooManyWorkers(usize),
}

/// Asks for the sums of a pass over some nodes; the coordinator sends it to each worker in each pass,
/// and again for nodes that another worker failed to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputePartials {
    /// Counts from 1 through the job; the reply repeats it.
    pub pass_number: u64,
    /// What to sum, and over which split.
    pub pass: Pass,
    /// Nodes of that split's tree; disjoint.
    pub nodes: Vec<NodeId>,
    /// How many fitted steps of `[prepare]` this worker was sent before; its rows have gone through those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_known: usize,
    /// The steps fitted since then, which come next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_steps: Vec<FittedStep>,
}
/// Not worth a place in each request.
fn is_zero(count: &usize) -> bool {
    *count == 0
}
remote_message!(ComputePartials => Result<Partials, ComputeError>, "learning.v1.ComputePartials", Bulk);

/// Reply to [`ComputePartials`]: one partial for each node asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partials {
    /// Of the request.
    pub pass_number: u64,
    /// One for each node, in the order of the request.
    pub partials: Vec<Partial>,
    /// What it took; told, and not a part of the sums.
    #[serde(default)]
    pub times: WorkerTimes,
}

/// What a request took the worker that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkerTimes {
    /// Loading rows, in microseconds.
    pub load_us: u64,
    /// Computing sums, in microseconds.
    pub compute_us: u64,
}

/// The sums over one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Whose blocks were summed.
    pub node: NodeId,
    /// Of length [`Pass::partial_len`].
    pub values: F64Block,
}

/// Why a worker cannot compute. A retry on the same worker fails the same way.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ComputeError {
    /// The worker's file is missing or bad.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The worker's file is not the one the coordinator saw.
    #[error(
        "the data here has {actual_rows} rows of {actual_features:?}, the job's has {expected_rows} of {expected_features:?}"
    )]
    DataDiffers {
        /// Rows the coordinator saw.
        expected_rows: usize,
        /// Rows of the worker's file.
        actual_rows: usize,
        /// Features the coordinator saw.
        expected_features: Vec<String>,
        /// Features of the worker's file.
        actual_features: Vec<String>,
    },
    /// A class label other than 0 and 1.
    #[error("target is {value} in data row {row} (the first below the header is 1), a class label must be 0 or 1")]
    Label {
        /// The target's value.
        value: f64,
        /// Data row, from 1.
        row: usize,
    },
    /// A target that a user's model does not take.
    #[error("target is {value} in data row {row} (the first below the header is 1): {reason}")]
    Target {
        /// The target's value.
        value: f64,
        /// Data row, from 1.
        row: usize,
        /// What the model says.
        reason: String,
    },
    /// The binary of the worker has not got the model of the job.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A target that is no class.
    #[error(
        "target is {value} in data row {row} (the first below the header is 1), the job has {class_count} classes from 0"
    )]
    Class {
        /// The target's value.
        value: f64,
        /// Data row, from 1.
        row: usize,
        /// Classes of the job.
        class_count: usize,
    },
    /// A step of `[prepare]` takes no such number.
    #[error(
        "data row {row} (the first kept below the header is 1) has {value} in column \"{column}\", and the step \"log\" takes numbers above -1"
    )]
    Log {
        /// The number.
        value: f64,
        /// Data row, from 1.
        row: usize,
        /// Position of the column at this step, from 1, or its name in the file.
        column: String,
    },
    /// The steps of `[prepare]` that were sent before are not here.
    #[error("the request counts on {expected} steps of [prepare], {actual} are here")]
    StepsMissing {
        /// Steps that the request counts on.
        expected: usize,
        /// Steps that are here.
        actual: usize,
    },
    /// The column means that were sent before are not here.
    #[error("the request counts on column means that were sent before, and none are here")]
    MeanMissing,
    /// The bins or trees that were sent before are not here.
    #[error("the request counts on trees that were sent before, and they are not here")]
    TreesMissing,
    /// A pass that sparse rows have no sums of.
    #[error("sparse rows have no sums of a pass \"{pass}\"")]
    NotForSparse {
        /// The pass, by its name.
        pass: String,
    },
    /// A vector of the pass does not fit the data.
    #[error("the data has {expected} {what}, the request has {actual}")]
    ShapeMismatch {
        /// What is counted.
        what: String,
        /// In the worker's data.
        expected: usize,
        /// In the request.
        actual: usize,
    },
    /// The tree of the split has no such node.
    #[error("no node {node:?} over {block_count} blocks")]
    UnknownNode {
        /// The node asked for.
        node: NodeId,
        /// Blocks of the split.
        block_count: usize,
    },
}

/// Tells a worker that its job has ended, well or badly; the coordinator sends it once, and the worker's task finishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndTraining {}
remote_message!(EndTraining => (), "learning.v1.EndTraining");

interface! {
    /// What the coordinator of a training job hears.
    pub TrainingCoordinator: JoinTraining
}

interface! {
    /// What a worker of a training job hears.
    pub TrainingWorker: ComputePartials, EndTraining
}

#[cfg(test)]
mod tests {
    use odeon_protocol::wire::{Lane, RemoteMessage};

    use super::*;
    use crate::{
        blocks::Split,
        kernel::{ClassLoss, Loss},
        prepare::{PreparePass, RankTarget},
        program::{ClassParameters, HingeMachine, HingeMove, Parameters},
    };
    use odeon_protocol::codec;

    fn cross_the_wire<T: Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
        let bytes = codec::encode(value).unwrap();
        assert_eq!(codec::decode::<T>(&bytes, codec::RECORD_DEPTH_MAX).unwrap(), *value);
    }

    #[test]
    fn wire_names_and_lanes_never_change() {
        assert_eq!(JoinTraining::WIRE_NAME, "learning.v1.JoinTraining");
        assert_eq!(ComputePartials::WIRE_NAME, "learning.v1.ComputePartials");
        assert_eq!((JoinTraining::LANE, ComputePartials::LANE), (Lane::Control, Lane::Bulk));
    }

    fn of_trees() -> Pass {
        use crate::tree::histogram::{
            Bins, FlatNode, FlatTree, Loss, OpenTree, Part, Scales, Shared, TreePass, TreeState,
        };
        let tree = FlatTree { nodes: vec![FlatNode { feature: 1, left: 0, threshold: 0.1, value: -0.3 }] };
        let state = TreeState {
            bins: Shared::new(Bins::new(vec![vec![0.1, 0.2], Vec::new()])),
            trees: Shared::new(vec![tree.clone()]),
            trees_known: 4,
            loss: Loss::Softmax(3),
            base: vec![0.1, 0.2, 0.3].into(),
            held_out: 0.1,
            seed: u64::MAX,
            is_bagged: true,
            scales: Scales { gradient: 30, curvature: -28 },
        };
        let parts = vec![Part { tree: 0, node: 0, from: 0, to: 2 }];
        let open = vec![OpenTree { number: 4, tree, is_final: false }];
        Pass::Trees(Box::new(TreePass::Histograms { state, open, parts, sums: 12 }))
    }

    #[test]
    fn messages_replies_and_errors_survive_the_wire() {
        let job = toml::from_str(include_str!("../../../examples/jobs/breast_cancer.toml")).unwrap();
        let data = DataSummary::numeric(569, &["a"], "target");
        let node = NodeId { level: 3, index: 1 };
        let at = Parameters { mean: vec![0.1].into(), weights: vec![-1e-300].into(), intercept: f64::MIN_POSITIVE };
        let (mean, weights) = (vec![0.1].into(), vec![0.3, -0.3].into());
        let of_classes = ClassParameters { mean, weights, intercepts: vec![1.0, -1.0].into() };
        let rows = ndarray::array![[1.0], [2.0]];
        let tree = crate::tree::grow(rows.view(), &[0.0, 1.0], 2, &Default::default());
        let settings = crate::svm::SvmSettings { gamma: crate::svm::Gamma::Value(0.1), ..Default::default() };
        let (mean, scale) = (vec![0.1].into(), vec![2.0].into());
        let problem = crate::svm::SvmProblem { c: 1.0, class_count: 0, mean, scale, settings };
        let machine = crate::svm::SupportVectors {
            class_counts: vec![1, 0],
            coefficients: vec![vec![0.5]],
            feature_count: 1,
            intercepts: vec![-0.1],
            kernel: crate::svm::KernelFunction { coef0: 0.0, degree: 3, gamma: 0.1, kind: Default::default() },
            vectors: vec![vec![0.3]],
        };
        for pass in [
            Pass::ColumnSums { split: Split::Test },
            Pass::CentredSquares { mean: vec![0.1].into(), target_mean: 0.3 },
            Pass::ObjectiveGradient { loss: Loss::Logistic, at: at.clone() },
            Pass::ObjectiveCurvature { loss: Loss::HalfSquared, at: at.clone(), every: 3 },
            Pass::EvaluateRegression { at: at.clone(), target_mean: 2.0 },
            Pass::EvaluateClassification { at },
            Pass::ClassCounts { class_count: 3 },
            Pass::ClassGradient { loss: ClassLoss::Softmax, at: of_classes.clone() },
            Pass::ClassCurvature { loss: ClassLoss::OneVsRestSquaredHinge, at: of_classes.clone() },
            Pass::EvaluateClasses { at: of_classes },
            Pass::HingePath {
                mean: vec![0.1].into(),
                class_count: 0,
                machines: vec![HingeMachine {
                    class: 1,
                    steps: vec![HingeMove { direction: vec![0.3].into(), intercept: -0.1, length: 0.4, target: 1e-9 }],
                }],
            },
            Pass::SupportVectors { problem, rows: 9 },
            Pass::EvaluateSupport { machine, mean: vec![0.1].into(), scale: vec![2.0].into(), target_mean: 0.5 },
            Pass::Rows { from: 7, rows: 9, class_count: 3 },
            Pass::EvaluateTree { tree, target_mean: 0.5 },
            Pass::OwnGradient { at: vec![1.0].into() },
            Pass::OwnCurvature { at: vec![1.0].into() },
            Pass::EvaluateOwn { at: vec![1.0].into(), target_mean: Some(2.0) },
            of_trees(),
            Pass::Prepare(PreparePass::Ranks {
                targets: vec![RankTarget { column: 1, prefix: u64::MAX >> 4 }],
                depth: 15,
            }),
        ] {
            let new_steps = vec![FittedStep::Fill { columns: vec![0], values: vec![0.1], indicators: vec![0] }];
            let nodes = vec![node];
            cross_the_wire(&ComputePartials { pass_number: 7, pass, nodes, steps_known: 3, new_steps });
        }
        cross_the_wire(&JoinTraining { worker: WorkerId("task-1".into()) });
        cross_the_wire(&Ok::<_, JoinError>(Joined { job, data }));
        let partials = Partials {
            pass_number: 7,
            partials: vec![Partial { node, values: vec![1.0, 2.0].into() }],
            times: WorkerTimes { load_us: 1, compute_us: 2 },
        };
        cross_the_wire(&Ok::<_, ComputeError>(partials));
        cross_the_wire(&Err::<Partials, _>(ComputeError::Data(DataError::Empty { file: "d.csv".into() })));
        cross_the_wire(&Err::<Joined, _>(JoinError::TooManyWorkers(3)));
    }
}
