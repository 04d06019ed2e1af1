//! Models on arrays: fitted in this process, then on a cluster, with the same bits; run it with `cargo run --example estimators`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use odeon::estimators::ndarray::{Array1, Array2, Axis};
use odeon::estimators::{DecisionTreeClassifier, LogisticRegression, OnCluster, Preparation};
use odeon::prelude::*;

/// Rows and species of the iris set.
fn iris() -> (Array2<f64>, Array1<f64>) {
    let text = include_str!("data/iris.csv");
    let cells: Vec<f64> =
        text.lines().skip(1).flat_map(|line| line.split(',')).filter_map(|x| x.parse().ok()).collect();
    let table = Array2::from_shape_vec((cells.len() / 5, 5), cells).expect("each line has five numbers");
    let (x, species) = table.view().split_at(Axis(1), 4);
    (x.as_standard_layout().into_owned(), species.column(0).to_owned())
}

fn main() -> std::process::ExitCode {
    odeon::app().run_program(|environment| async move {
        let (x, species) = iris();
        let scaled = Preparation::new().standard().fit(x.view()).or_exit(Exit::WorkFailed)?;
        let scaled = scaled.transform(x.view()).or_exit(Exit::WorkFailed)?;

        let softmax = LogisticRegression::new().l2(0.01);
        let here = softmax.fit(scaled.view(), species.view()).or_exit(Exit::WorkFailed)?;
        let score = here.score(scaled.view(), species.view()).or_exit(Exit::WorkFailed)?;
        println!("logistic regression is right on {:.1} % of the rows", 100.0 * score);
        let tree = DecisionTreeClassifier::new().fit(x.view(), species.view()).or_exit(Exit::WorkFailed)?;
        println!("a tree on {:.1} %", 100.0 * tree.score(x.view(), species.view()).or_exit(Exit::WorkFailed)?);

        let cluster = LocalCluster::start(&LocalConfig { port: 0, ..LocalConfig::default() }, &environment).await?;
        let there = softmax.workers(3).on(&cluster).fit(scaled.view(), species.view()).await?;
        println!("three workers give the same bits: {}", there.model().model_sha256() == here.model().model_sha256());
        cluster.stop().await;
        Ok(())
    })
}
