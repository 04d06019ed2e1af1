//! What each pass of a training cost: its time, its slowest worker, its bytes.
//!
//! Pure bookkeeping: whoever carries the messages tells it the time and the traffic.

use std::time::Duration;

use crate::messages::{ComputePartials, WorkerTimes};
use crate::program::Progress;

/// One pass over the rows of a split, from its first request to what follows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PassReport {
    /// Counts from 1 through the job.
    pub number: u64,
    /// What was summed; see [`crate::program::Pass::name`].
    pub name: &'static str,
    /// From the first request until the sums were added and used.
    pub took: Duration,
    /// What the slowest worker spent, loading included.
    pub slowest: Duration,
    /// What the worker that computed longest spent on sums alone.
    pub compute: Duration,
    /// What the worker that loaded longest spent on loading rows.
    pub load: Duration,
    /// Bytes over the links to workers, both directions, with all framing and heartbeats.
    pub bytes: u64,
    /// Bytes that a star needs at least: to each worker the numbers of the point, from each worker one vector of sums.
    pub bytes_min: u64,
    /// If it was a round of the solver.
    pub progress: Option<Progress>,
}

impl PassReport {
    /// What is not the slowest worker's: requests, answers, the actors, the solver.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        self.took.saturating_sub(self.slowest)
    }
}

/// Follows the passes of one job.
#[derive(Debug, Default)]
pub(crate) struct PassMeter {
    open: Option<OpenPass>,
}

#[derive(Debug)]
struct OpenPass {
    opened: Duration,
    traffic: u64,
    report: PassReport,
}

/// Time and traffic of the moment, since any fixed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    pub(crate) now: Duration,
    pub(crate) traffic: u64,
}

impl PassMeter {
    /// Whether a pass is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a request is the first of its pass.
    pub(crate) fn is_new(&self, request: &ComputePartials) -> bool {
        self.open.as_ref().is_none_or(|open| open.report.number != request.pass_number)
    }

    /// A request goes out; `sums` is how many its pass has.
    pub(crate) fn on_request(&mut self, at: Reading, request: &ComputePartials, sums: usize) {
        if self.is_new(request) {
            let report = PassReport {
                number: request.pass_number,
                name: request.pass.name(),
                took: Duration::ZERO,
                slowest: Duration::ZERO,
                compute: Duration::ZERO,
                load: Duration::ZERO,
                bytes: 0,
                bytes_min: 0,
                progress: None,
            };
            self.open = Some(OpenPass { opened: at.now, traffic: at.traffic, report });
        }
        if let Some(open) = &mut self.open {
            open.report.bytes_min += 8 * (request.pass.point_len() + sums) as u64;
        }
    }

    /// A worker tells what a request took it.
    pub(crate) fn on_answer(&mut self, pass_number: u64, times: WorkerTimes) {
        let Some(open) = self.open.as_mut().filter(|open| open.report.number == pass_number) else { return };
        let [load, compute] = [times.load_us, times.compute_us].map(Duration::from_micros);
        open.report.load = open.report.load.max(load);
        open.report.compute = open.report.compute.max(compute);
        open.report.slowest = open.report.slowest.max(load + compute);
    }

    /// The open pass was a round.
    pub(crate) fn on_progress(&mut self, progress: Progress) {
        if let Some(open) = &mut self.open {
            open.report.progress = Some(progress);
        }
    }

    /// The sums of the open pass are used; nothing if none is open.
    pub(crate) fn close(&mut self, at: Reading) -> Option<PassReport> {
        let OpenPass { opened, traffic, mut report } = self.open.take()?;
        report.took = at.now.saturating_sub(opened);
        report.bytes = at.traffic.saturating_sub(traffic);
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Split;
    use crate::program::Pass;

    fn request(pass_number: u64) -> ComputePartials {
        let pass = Pass::CentredSquares { mean: vec![0.0; 3].into(), target_mean: 0.0 };
        ComputePartials { pass_number, pass, nodes: Vec::new(), steps_known: 0, new_steps: Vec::new() }
    }

    fn at(ms: u64, traffic: u64) -> Reading {
        Reading { now: Duration::from_millis(ms), traffic }
    }

    #[test]
    fn a_pass_lasts_from_its_first_request_to_its_use_and_knows_its_slowest_worker() {
        let mut meter = PassMeter::default();
        assert_eq!(meter.close(at(1, 1)), None);
        meter.on_request(at(10, 100), &request(4), 5);
        meter.on_request(at(11, 130), &request(4), 5);
        assert!(meter.is_new(&request(5)) && !meter.is_new(&request(4)));
        meter.on_answer(4, WorkerTimes { load_us: 3000, compute_us: 1000 });
        meter.on_answer(4, WorkerTimes { load_us: 0, compute_us: 2000 });
        meter.on_answer(3, WorkerTimes { load_us: 0, compute_us: 9000 });
        let report = meter.close(at(17, 700)).unwrap();
        assert_eq!(
            (report.number, report.name, report.bytes, report.bytes_min),
            (4, "centred_squares", 600, 2 * 8 * 9)
        );
        let times = [report.took, report.slowest, report.compute, report.load, report.overhead()];
        assert_eq!(times.map(|time| time.as_millis()), [7, 4, 2, 3, 3]);
        assert_eq!(meter.close(at(18, 700)), None);
    }

    #[test]
    fn a_new_pass_begins_anew() {
        let mut meter = PassMeter::default();
        meter.on_request(at(1, 0), &request(1), 5);
        meter.on_progress(Progress { round: 1, objective: 0.5, gradient_norm: 0.1 });
        meter.on_request(at(3, 7), &request(2), 5);
        let report = meter.close(at(4, 9)).unwrap();
        assert_eq!((report.number, report.took, report.bytes, report.progress), (2, Duration::from_millis(1), 2, None));
        assert_eq!(Pass::ColumnSums { split: Split::Train }.point_len(), 0);
    }
}
