//! Holds what came of a step against what was expected.

use odeon_allocator::{Grant, InverseGrant, TakeBack, TakeBackStage};
use odeon_protocol::id::FrameworkId;
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;

use super::Stage;
use crate::scenario::expectation::{Expectation, OfferParts, mismatches};

/// How far a share may be from what is expected: expectations are written with two decimals.
const SHARE_TOLERANCE: f64 = 0.005;

impl Stage {
    /// What did not come as expected.
    pub(super) fn failures(
        &self,
        expected: &Expectation,
        refused: Option<&str>,
        grants: &[Grant],
        inverse: &[InverseGrant],
    ) -> Vec<String> {
        let mut failures = error_failures(expected.error.as_deref(), refused);
        if let Some(patterns) = &expected.offers {
            let offers: Vec<_> = grants.iter().map(offer_parts).collect();
            failures.extend(mismatches("offer", patterns, &offers));
        }
        if let Some(patterns) = &expected.inverse {
            let nothing = TypedResources::empty();
            let asked: Vec<_> = inverse.iter().map(|inverse| inverse_parts(inverse, &nothing)).collect();
            failures.extend(mismatches("inverse offer", patterns, &asked));
        }
        let (killed, asked): (Vec<_>, Vec<_>) =
            self.taken_back.iter().partition(|back| back.stage == TakeBackStage::Kill);
        for (what, patterns, came) in [("claim", &expected.asked, asked), ("kill", &expected.killed, killed)] {
            let Some(patterns) = patterns else { continue };
            let resources: Vec<TypedResources> = came.iter().map(|back| (&back.resources).into()).collect();
            let lines: Vec<_> = came.into_iter().zip(&resources).map(|(back, part)| back_parts(back, part)).collect();
            failures.extend(mismatches(what, patterns, &lines));
        }
        for (framework, count) in &expected.offer_counts {
            let came = grants.iter().filter(|grant| grant.framework == *framework).count();
            failures.extend(differs(&format!("number of offers to {framework}"), count, &came));
        }
        for (framework, resources) in &expected.offered {
            let came = sum(grants.iter().filter(|grant| grant.framework == *framework).map(|grant| &grant.resources));
            failures.extend(differs(&format!("what {framework} is offered"), &resources.0, &came));
        }
        failures.extend(self.state_failures(expected));
        failures
    }

    fn state_failures(&self, expected: &Expectation) -> Vec<String> {
        let mut failures = Vec::new();
        for (framework, resources) in &expected.held {
            failures.extend(differs(&format!("what {framework} holds"), &resources.0, &self.held(framework)));
        }
        for (role, share) in &expected.shares {
            let came = self.share(role);
            let is_near = (came - share).abs() <= SHARE_TOLERANCE;
            failures.extend((!is_near).then(|| format!("share of {role}: expected {share}, is {came:.3}")));
        }
        for (role, consumed) in &expected.consumed {
            failures.extend(differs(&format!("what {role} has consumed"), &consumed.0, &self.allocator.consumed(role)));
        }
        if let Some(filters) = expected.filters {
            failures.extend(differs("number of filters", &filters, &self.allocator.refusal_count()));
        }
        for (name, state) in &expected.gangs {
            let is = self.gangs.get(name).map_or("unknown", |(_, state)| state.word());
            failures.extend(differs(&format!("gang {name}"), &state.as_str(), &is));
        }
        for why in &expected.why {
            let reason = self.allocator.why(self.now, &why.framework, &why.role, &why.agent);
            let what = format!("why {} is not offered to {}@{}", why.agent, why.framework, why.role);
            failures.extend(differs(&what, &why.reason.as_str(), &reason.word()));
        }
        failures
    }

    fn held(&self, framework: &FrameworkId) -> TypedResources {
        let offered = self.offers.iter().filter(|grant| grant.framework == *framework).map(|grant| &grant.resources);
        let used = self.used.iter().filter(|((holder, ..), _)| holder == framework).map(|(_, resources)| resources);
        sum(offered.chain(used))
    }

    fn share(&self, role: &Role) -> f64 {
        let shares = self.allocator.role_shares();
        shares.iter().find(|share| share.path == role.as_str()).map_or(0.0, |share| share.share.as_f64())
    }
}

fn offer_parts(grant: &Grant) -> (String, OfferParts<'_>) {
    let Grant { agent, framework, role, resources } = grant;
    (format!("{agent} -> {framework}@{role}: {resources}"), (agent, framework, Some(role), resources))
}

fn back_parts<'a>(back: &'a TakeBack, part: &'a TypedResources) -> (String, OfferParts<'a>) {
    let TakeBack { agent, framework, role, .. } = back;
    (format!("{agent} -> {framework}@{role}: {part}"), (agent, framework, Some(role), part))
}

fn inverse_parts<'a>(inverse: &'a InverseGrant, nothing: &'a TypedResources) -> (String, OfferParts<'a>) {
    let InverseGrant { agent, framework, .. } = inverse;
    (format!("{agent} -> {framework}"), (agent, framework, None, nothing))
}

fn error_failures(expected: Option<&str>, refused: Option<&str>) -> Vec<String> {
    match (expected, refused) {
        (None, None) => Vec::new(),
        (None, Some(refused)) => vec![format!("the event was refused: {refused}")],
        (Some(expected), None) => vec![format!("the event was expected to be refused with {expected:?}")],
        (Some(expected), Some(refused)) if refused.contains(expected) => Vec::new(),
        (Some(expected), Some(refused)) => vec![format!("expected to be refused with {expected:?}, was: {refused}")],
    }
}

fn differs<T: PartialEq + std::fmt::Display>(what: &str, expected: &T, came: &T) -> Option<String> {
    let shown = |value: &T| {
        let text = value.to_string();
        if text.is_empty() { "nothing".to_owned() } else { text }
    };
    (expected != came).then(|| format!("{what}: expected {}, is {}", shown(expected), shown(came)))
}

/// Sums up the scalars of many agents by class; ports and sets of different agents are not summed up.
fn sum<'a>(all: impl Iterator<Item = &'a TypedResources>) -> TypedResources {
    let mut total = TypedResources::empty();
    for (class, amounts) in all.flat_map(TypedResources::parts) {
        let mut so_far = total.of(class);
        for (name, amount) in amounts.scalars() {
            let thousandths = so_far.scalar(name).thousandths().saturating_add(amount.thousandths());
            so_far = so_far.with_scalar(name, odeon_protocol::resources::Scalar::from_thousandths(thousandths));
        }
        total = total.with(class.clone(), so_far);
    }
    total
}
