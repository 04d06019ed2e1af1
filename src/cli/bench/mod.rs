//! `odeon bench`: measures a part of the project on this machine. One part a file.

mod allocator;
mod cluster;
mod cluster_figures;
mod fabric;
mod floors;
mod memory;
mod pin;
mod processes;
mod reregistration;
mod tasks;
mod times;
mod train;
mod train_figures;
mod trees;

use clap::{Args, Subcommand};

use crate::app::Environment;
use crate::failure::Failure;

pub(crate) use tasks::Nothing;

/// Measures a part of the project on this machine, beside a floor of the same run
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    Allocator(allocator::AllocatorArgs),
    Cluster(cluster::ClusterArgs),
    Fabric(fabric::FabricArgs),
    Reregistration(reregistration::ReregistrationArgs),
    Tasks(tasks::TasksBenchArgs),
    Train(train::TrainBenchArgs),
    Trees(trees::TreesBenchArgs),
    #[command(hide = true)]
    FabricPeer(fabric::FabricPeerArgs),
}

/// Measures what was asked for.
pub(crate) async fn bench(args: BenchArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.part {
        Part::Allocator(args) => allocator::allocator(&args, environment),
        Part::Cluster(args) => cluster::cluster(args, environment).await,
        Part::Fabric(args) => fabric::fabric(args, environment).await,
        Part::Reregistration(args) => reregistration::run(args, environment).await,
        Part::Tasks(args) => tasks::tasks(args, environment).await,
        Part::Train(args) => train::train(args, environment).await,
        Part::Trees(args) => trees::trees(args, environment).await,
        Part::FabricPeer(args) => fabric::fabric_peer(args, environment).await,
    }
}
