//! A cluster of an allocator under measurement, and what happens to it.

use super::Setup;
use crate::random::Random;
use crate::{AgentProfile, Allocator, AllocatorConfig, Grant, Quota};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Scalar, TypedResources};
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long who declines refuses: longer than any measurement.
const REFUSAL: Duration = Duration::from_secs(24 * 3600);

/// Agents and frameworks, and the offers that are out.
pub(super) struct Cluster {
    allocator: Allocator,
    out: Vec<Grant>,
    random: Random,
    refusal: Option<Duration>,
}

impl Cluster {
    /// Agents of five sizes with ports; frameworks that take anything.
    pub(super) fn new(setup: &Setup) -> Self {
        let (role_sorter, framework_sorter, seed) = (setup.sorter, setup.sorter, setup.seed);
        let mut allocator =
            Allocator::new(AllocatorConfig { role_sorter, framework_sorter, seed, ..AllocatorConfig::default() });
        let roles = setup.quota_roles.max(1);
        for number in 0..setup.frameworks {
            let framework = id::<FrameworkId>(format!("framework-{number:05}"));
            let added = allocator.add_framework(framework, &BTreeSet::from([role(number % roles)]), &BTreeSet::new());
            added.expect("its id is new");
        }
        for number in 0..setup.agents {
            let owner = (setup.reservations && number % 4 == 0).then(|| role(number % roles));
            let profile = AgentProfile::new(resources(number, owner.as_ref()));
            let added = allocator.add_agent_with(id::<AgentId>(format!("agent-{number:06}")), profile, &[]);
            added.expect("its id is new");
        }
        for number in 0..setup.quota_roles {
            let set = allocator.set_quota(&role(number), &quota(setup));
            set.expect("a guarantee below its limit");
        }
        let refusal = setup.filters.then_some(REFUSAL);
        Self { allocator, out: Vec::new(), random: Random::new(setup.seed), refusal }
    }

    /// A run over what is marked.
    pub(super) fn run(&mut self) {
        self.out.extend(self.allocator.allocate(Duration::ZERO));
    }

    /// A run over every agent.
    pub(super) fn run_over_all(&mut self) {
        self.allocator.mark_all();
        self.run();
    }

    /// Some offer comes back without a filter, and the agent is offered again.
    pub(super) fn event(&mut self, _: usize) {
        let count = self.out.len() as u64;
        if count == 0 {
            return;
        }
        let index = usize::try_from(self.random.below(count)).expect("an index below a length fits");
        let grant = self.out.swap_remove(index);
        self.give_back(grant, None);
        self.run();
    }

    /// Every offer that is out is declined.
    pub(super) fn decline_all(&mut self) {
        for grant in std::mem::take(&mut self.out) {
            self.give_back(grant, self.refusal);
        }
    }

    /// Everything that is offered is declined until nobody is offered anything any more.
    pub(super) fn refuse_all(&mut self) {
        loop {
            self.decline_all();
            self.run_over_all();
            if self.out.is_empty() {
                return;
            }
        }
    }

    fn give_back(&mut self, grant: Grant, refusal: Option<Duration>) {
        let Grant { framework, role, agent, resources } = grant;
        let given_back = self.allocator.recover(Duration::ZERO, &framework, &role, &agent, resources, refusal);
        given_back.expect("what was granted is held");
    }
}

/// What an agent has; half of it for an owner.
fn resources(number: u32, owner: Option<&Role>) -> TypedResources {
    let size = number % 5 + 1;
    let (cpus, mem, disk) = (8 * size, 16_384 * size, 65_536 * size);
    let text = match owner {
        None => format!("cpus:{cpus};mem:{mem};disk:{disk};ports:[31000-32000]"),
        Some(owner) => {
            let (cpus, mem) = (cpus / 2, mem / 2);
            format!("cpus:{cpus};mem:{mem};disk:{disk};ports:[31000-32000];cpus({owner}):{cpus};mem({owner}):{mem}")
        }
    };
    text.parse().expect("well-formed resources")
}

/// Guarantees half of an even part of the cluster, and allows twice the part.
fn quota(setup: &Setup) -> Quota {
    let part = u64::from(setup.agents) * 24 / u64::from(setup.quota_roles.max(1));
    let cpus = |amount: u64| BTreeMap::from([("cpus".to_owned(), Scalar::from_thousandths(amount * 1000))]);
    Quota { guarantees: cpus(part / 2), limits: cpus(part * 2) }
}

fn role(number: u32) -> Role {
    format!("role-{number:04}").parse().expect("a well-formed role")
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: String) -> T {
    text.parse().expect("a well-formed id")
}
