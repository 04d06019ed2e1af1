//! `odeon bench fabric`: tells, asks and bulk transfers, near and between two processes.
//!
//! The second process is this binary again, behind a hidden command; it ends when its input ends. What is measured,
//! and how, is in `odeon_runtime::measure`.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::SystemTime;

use clap::Args;
use odeon_runtime::measure::{FarEnds, FarSide, Figure, MeasureError, Scale, far, median, near, sealed};
use odeon_runtime::trust::{Authority, CredentialFiles, Credentials, PeerRoles, Request, Validity};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::pin;
use crate::app::{Environment, fresh_seed};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, print, render};

/// Measures the fabric, near and between two processes on the loopback interface
#[derive(Debug, Args)]
pub(crate) struct FabricArgs {
    /// How often everything is measured; of each measure the run with the median ratio is shown
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Keep both processes on one core
    #[arg(long)]
    pinned: bool,
    /// Send little: shows that everything works, the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The second process of `odeon bench fabric`; not for people
#[derive(Debug, Args)]
pub(crate) struct FabricPeerArgs {}

/// A figure as it is listed.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    figure: Figure,
    pinned: bool,
    /// Whether the bound for this kind of run is kept; null where nothing was promised.
    holds: Option<bool>,
}

impl Listed for Row {
    const KIND: &'static str = "fabric";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("FABRIC"),
        Column::always("UNIT"),
        Column::always("FLOOR"),
        Column::always("OF"),
        Column::always("RATIO"),
        Column::always("BOUND"),
        Column::always("HOLDS"),
        Column::always("LOST"),
    ];

    fn cells(&self) -> Vec<String> {
        let figure = &self.figure;
        let bound = if self.pinned { figure.bound.pinned } else { figure.bound.free };
        vec![
            figure.name.to_owned(),
            short(figure.fabric),
            figure.unit.to_owned(),
            short(figure.floor),
            figure.floor_name.to_owned(),
            format!("{:.2}", figure.ratio),
            bound.map(|bound| format!("{bound:.2}")).unwrap_or_default(),
            self.holds.map(|holds| if holds { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
            figure.lost.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.figure.name.to_owned()
    }
}

/// Three digits are more than the machine repeats.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.1}k", value / 1e3),
        _ => format!("{value:.1}"),
    }
}

/// Measures, and prints the table.
pub(crate) async fn fabric(args: FabricArgs, environment: &Environment) -> Result<i32, Failure> {
    if args.pinned {
        pin::to_one_core().or_exit(Exit::WorkFailed)?;
    }
    let scale = if args.quick { Scale::QUICK } else { Scale::FULL };
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        runs.push(run(environment, &scale).await?);
    }
    let rows = median(runs).into_iter().map(|figure| {
        let holds = figure.holds(args.pinned);
        Row { figure, pinned: args.pinned, holds }
    });
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    let text = render(&rows.collect::<Vec<_>>(), format, style).or_exit(Exit::WorkFailed)?;
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn run(environment: &Environment, scale: &Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = near(fresh_seed(), scale).await.or_exit(Exit::WorkFailed)?;
    let proof = Proof::new()?;
    let (_second, ends) = second_process(environment, &proof.files).await?;
    let measured: Result<_, MeasureError> = far(&ends, fresh_seed(), scale).await;
    figures.extend(measured.or_exit(Exit::WorkFailed)?);
    let credentials = Credentials::load(&proof.files).or_exit(Exit::WorkFailed)?;
    figures.extend(sealed(&ends, credentials, fresh_seed(), scale).await.or_exit(Exit::WorkFailed)?);
    Ok(figures)
}

/// Credentials of both processes, in files that go with it.
struct Proof {
    files: CredentialFiles,
    _directory: tempfile::TempDir,
}

impl Proof {
    fn new() -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("odeon-bench-").tempdir().or_exit(Exit::WorkFailed)?;
        let validity = Validity::days(SystemTime::now(), 1);
        let authority = Authority::new(validity).or_exit(Exit::WorkFailed)?;
        let request = Request { name: "bench".into(), roles: PeerRoles::ALL, hosts: Vec::new(), validity };
        let issued = authority.issue(&request).or_exit(Exit::WorkFailed)?;
        let file = |name: &str| directory.path().join(name);
        let files = CredentialFiles { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") };
        // The directory is its owner's only.
        std::fs::write(&files.ca, authority.cert_pem()).or_exit(Exit::WorkFailed)?;
        std::fs::write(&files.cert, &issued.cert_pem).or_exit(Exit::WorkFailed)?;
        std::fs::write(&files.key, &issued.key_pem).or_exit(Exit::WorkFailed)?;
        Ok(Self { files, _directory: directory })
    }
}

/// Starts the second process; dropping it, or the end of this process, ends it.
async fn second_process(environment: &Environment, proof: &CredentialFiles) -> Result<(Child, FarEnds), Failure> {
    let mut child = Command::new(&environment.program)
        .args(["bench", "fabric-peer"])
        .args([OsStr::new("--tls-ca"), proof.ca.as_os_str()])
        .args([OsStr::new("--tls-cert"), proof.cert.as_os_str()])
        .args([OsStr::new("--tls-key"), proof.key.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .or_exit(Exit::WorkFailed)?;
    let stdout = child.stdout.take().ok_or_else(|| silent("it has no output"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.or_exit(Exit::WorkFailed)?;
    let ends = serde_json::from_str(&line).map_err(|error| silent(&error.to_string()))?;
    Ok((child, ends))
}

fn silent(cause: &str) -> Failure {
    Failure::new(Exit::WorkFailed, format!("the second process did not say where it listens: {cause}"))
}

/// Serves until its input ends, which it does with the first process.
pub(crate) async fn fabric_peer(_: FabricPeerArgs, environment: &Environment) -> Result<i32, Failure> {
    let far_side = FarSide::start(fresh_seed(), environment.credentials()?).await.or_exit(Exit::WorkFailed)?;
    let ends = serde_json::to_string(far_side.ends()).or_exit(Exit::WorkFailed)?;
    print(&ends).or_exit(Exit::WorkFailed)?;
    let input_ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
    input_ended.await.or_exit(Exit::WorkFailed)?.or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_values_are_cut_to_what_the_machine_repeats() {
        assert_eq!([18.64, 9_999.0, 12_340.0, 6_812_345.0].map(short), ["18.6", "9999.0", "12.3k", "6.81M"]);
    }
}
