//! Distributed gradient-descent learning: data, kernels, solver, training program, coordinator core.
//!
//! The modules build on each other in this order: `data` reads rows, `blocks` cuts them into fixed
//! blocks under a fixed tree, `prepare` makes columns of what a file holds, `stored_rows` keeps them, `kernel` sums
//! over one block, `trainable` is what a user's own model sums over it, `model_registry` knows those by name, `block_store` answers a pass for tree nodes, `program` decides the next pass, `coordinator_core` spreads passes over workers.
//! A model has the same bits for any number of workers: only the tree fixes the order of sums.
//!
//! Deliberately absent from these modules: actors, sockets, clocks. Only `data` and `checkpoint` open files.
//! The actors come last: `worker`, `coordinator`, `scheduler`, and `training`, which puts them together; `estimator` does the same
//! in one process, over arrays; `measure` is for benches.

pub mod block_store;
pub mod blocks;
pub mod boosting;
pub mod checkpoint;
mod combine;
pub mod coordinator;
pub mod coordinator_core;
pub mod data;
pub mod estimator;
pub mod folds;
pub mod job;
pub mod kernel;
pub mod local;
pub mod measure;
pub mod messages;
pub mod metrics;
pub mod model;
pub mod model_file;
pub mod model_registry;
pub mod onnx;
pub mod optimiser;
pub mod pass_report;
pub mod predictions;
pub mod prepare;
pub mod program;
pub mod request_memory;
pub mod scaling;
pub mod scaling_model;
pub mod scheduler;
pub mod scores;
mod sparse_pass;
mod sparse_rows;
pub mod stored_rows;
pub mod svm;
pub mod trainable;
pub mod training;
pub mod tree;
pub mod worker;
