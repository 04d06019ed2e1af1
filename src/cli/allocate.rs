//! `odeon allocate`: plays a scenario of agents, frameworks, roles and events, and says who is offered what, and why not.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::app::Environment;
use crate::config::{document, read_text};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, document as json_document, print, render};
use crate::scenario::{Report, Scenario, StepReport, play};

/// Plays an allocation scenario and checks what it expects
///
/// No cluster is needed: the scenario drives the allocator of the master itself.
/// Ends with 1 if an expectation does not hold, with 2 if the file cannot be read.
/// Example: odeon allocate examples/scenarios/01-unreserved-drf.toml
#[derive(Debug, Args)]
pub(crate) struct AllocateArgs {
    /// The scenario file; see docs/scenarios.md and examples/scenarios/
    scenario: PathBuf,
    /// Leaves out why frameworks were not offered agents
    #[arg(long)]
    no_why: bool,
    /// The form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A line of the table.
#[derive(Serialize)]
struct Row {
    step: usize,
    time: String,
    event: String,
    outcome: &'static str,
    agent: String,
    framework: String,
    detail: String,
}

impl Listed for Row {
    const KIND: &'static str = "scenario";
    const COLUMNS: &'static [Column] = &[
        Column::always("STEP"),
        Column::wide("TIME"),
        Column::always("EVENT"),
        Column::always("OUTCOME"),
        Column::always("AGENT"),
        Column::always("FRAMEWORK"),
        Column::always("DETAIL"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.step.to_string(),
            self.time.clone(),
            self.event.clone(),
            self.outcome.to_owned(),
            self.agent.clone(),
            self.framework.clone(),
            self.detail.clone(),
        ]
    }

    fn id(&self) -> String {
        self.step.to_string()
    }
}

/// Plays the scenario and prints what came of it.
pub(crate) fn allocate(args: &AllocateArgs, environment: &Environment) -> Result<i32, Failure> {
    let text = read_text(&args.scenario).or_exit(Exit::Usage)?;
    let scenario: Scenario = document::parse(&args.scenario, &text).or_exit(Exit::Usage)?;
    let mut report = play(scenario).or_exit(Exit::Usage)?;
    if args.no_why {
        report.steps.iter_mut().for_each(|step| step.not_offered.clear());
    }
    let style = Style::of(&std::io::stdout(), &environment.variables);
    let text = match args.output {
        Format::Json => json_document("scenario", &report),
        format => render(&report.steps.iter().flat_map(rows).collect::<Vec<_>>(), format, style),
    };
    print(&text.or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    verdict(&report)
}

fn verdict(report: &Report) -> Result<i32, Failure> {
    match report.failure_count {
        0 => Ok(Exit::Done.into()),
        count => {
            let text = format!("{}: {count} expectations do not hold", report.name);
            Err(Failure::new(Exit::WorkFailed, text))
        }
    }
}

fn rows(step: &StepReport) -> Vec<Row> {
    let row = |outcome, agent: &str, framework: String, detail: String| Row {
        step: step.step,
        time: format!("{} ms", step.time_ms),
        event: step.event.clone(),
        outcome,
        agent: agent.to_owned(),
        framework,
        detail,
    };
    let empty = String::new;
    let mut rows = Vec::new();
    rows.extend(step.refused.iter().map(|refused| row("refused", "", empty(), refused.clone())));
    for offer in &step.offers {
        let whom = format!("{}@{}", offer.framework, offer.role);
        rows.push(row("offer", &offer.agent, whom, offer.resources.clone()));
    }
    for inverse in &step.inverse_offers {
        rows.push(row("inverse offer", &inverse.agent, inverse.framework.clone(), empty()));
    }
    for back in &step.taken_back {
        let whom = format!("{}@{}", back.framework, back.role);
        let detail = format!("{} for {}@{}", back.resources, back.claimant, back.claimant_role);
        rows.push(row(back.stage, &back.agent, whom, detail));
    }
    for line in &step.not_offered {
        let whom = format!("{}@{}", line.framework, line.role);
        rows.push(row("not offered", &line.agent, whom, line.detail.clone()));
    }
    if step.not_offered_more > 0 {
        rows.push(row("not offered", "", empty(), format!("{} more", step.not_offered_more)));
    }
    rows.extend(step.failures.iter().map(|failure| row("FAILED", "", empty(), failure.clone())));
    if rows.is_empty() {
        rows.push(row(if step.ran { "nothing" } else { "no run" }, "", empty(), empty()));
    }
    rows
}
