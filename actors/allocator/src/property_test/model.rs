//! A slow allocator's bookkeeping: lists of what is held and refused, from which all else is computed anew.
//!
//! It decides nothing itself; it follows the grants and checks them.

use crate::share::Share;
use crate::{Allocator, AllocatorConfig, Grant, Holding, Weight};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{CPUS, MEM, Resources, Scalar, TypedResources};
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const ROLES: [&str; 6] = ["*", "a", "a/b", "a/b/c", "a-b", "d/e"];
const TOTALS: [&str; 5] = [
    "cpus:4;mem:1024;ports:[1-10]",
    "cpus:2.5;mem:4096;ports:[5-7];disks:{x,y}",
    "cpus:8;gpus:2;mem:512",
    "cpus:0.001;mem:8",
    "mem:100;ports:[1-3]",
];
const INTERVAL: Duration = Duration::from_secs(2);

/// What happens to a cluster; indices stand for names.
#[derive(Debug, Clone)]
pub(super) enum Event {
    AddAgent { agent: usize, total: usize, used: Option<(usize, usize)> },
    UpdateAgent { agent: usize, total: usize, moved: bool },
    RemoveAgent(usize),
    SetAgentActive { agent: usize, active: bool },
    SetFramework { framework: usize, roles: u8, suppressed: u8 },
    RemoveFramework(usize),
    SetFrameworkActive { framework: usize, active: bool },
    Suppress { framework: usize, roles: u8, suppress: bool },
    SetWeight { role: usize, weight: u32 },
    Recover { grant: usize, part: bool, refuse: Option<u64> },
    Pass(u64),
    Allocate,
}

struct Agent {
    total: Resources,
    attributes: BTreeMap<String, String>,
    active: bool,
}

struct Framework {
    active: bool,
    roles: BTreeSet<Role>,
    suppressed: BTreeSet<Role>,
}

pub(super) struct Model {
    allocator: Allocator,
    now: Duration,
    agents: BTreeMap<AgentId, Agent>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    /// What is out, one entry for each grant or task.
    held: Vec<Grant>,
    /// What was refused, and until when.
    refused: Vec<(Grant, Duration)>,
    weights: BTreeMap<String, Weight>,
    /// Grants by path; `role/.` is a role's own leaf, `role/./framework` a framework in it.
    grant_counts: BTreeMap<String, u64>,
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        let config = AllocatorConfig { allocation_interval: INTERVAL, seed, ..AllocatorConfig::default() };
        Self {
            allocator: Allocator::new(config),
            now: Duration::ZERO,
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            held: Vec::new(),
            refused: Vec::new(),
            weights: BTreeMap::new(),
            grant_counts: BTreeMap::new(),
        }
    }

    /// Tells the allocator and follows; returns what was granted.
    pub(super) fn apply(&mut self, event: &Event) -> Vec<Grant> {
        let mut grants = Vec::new();
        match *event {
            Event::AddAgent { agent, total, used } => self.add_agent(&agent_id(agent), total, used),
            Event::UpdateAgent { agent, total, moved } => self.update_agent(&agent_id(agent), total, moved),
            Event::RemoveAgent(agent) => self.remove_agent(&agent_id(agent)),
            Event::SetAgentActive { agent, active } => self.set_agent_active(&agent_id(agent), active),
            Event::SetFramework { framework, roles, suppressed } => {
                self.set_framework(framework_id(framework), masked(roles), masked(roles & suppressed));
            }
            Event::RemoveFramework(framework) => self.remove_framework(&framework_id(framework)),
            Event::SetFrameworkActive { framework, active } => {
                self.set_framework_active(&framework_id(framework), active);
            }
            Event::Suppress { framework, roles, suppress } => {
                self.suppress(&framework_id(framework), &masked(roles), suppress);
            }
            Event::SetWeight { role, weight } => {
                let weight = Weight::new(Scalar::from_thousandths(u64::from(weight))).unwrap();
                self.allocator.set_weight(&ROLES[role].parse().unwrap(), weight);
                self.weights.insert(ROLES[role].to_owned(), weight);
            }
            Event::Recover { grant, part, refuse } => self.recover(grant, part, refuse),
            Event::Pass(seconds) => self.now += Duration::from_secs(seconds),
            Event::Allocate => grants = self.allocate(),
        }
        self.forget_idle_paths();
        grants
    }

    /// Runs until nothing is pending; each run can only make the next one smaller.
    pub(super) fn settle(&mut self) {
        for _ in 0..100 {
            if !self.allocator.is_pending() {
                return;
            }
            self.allocate();
        }
        panic!("the allocator does not come to rest");
    }

    /// Nothing is in two hands, and what is free and what is held make up the whole.
    pub(super) fn check_conservation(&self) {
        for (id, agent) in &self.agents {
            let mut holders: BTreeMap<_, Resources> = BTreeMap::new();
            for grant in self.held.iter().filter(|grant| grant.agent == *id) {
                let sum = holders.entry((grant.framework.clone(), grant.role.clone())).or_default();
                *sum = sum.checked_add(&plain(&grant.resources)).unwrap();
            }
            let told: BTreeMap<_, _> = self.allocator.holdings(id).map(owned).collect();
            assert_eq!(told, holders);
            let used = holders.values().fold(Resources::empty(), |sum, held| sum.checked_add(held).unwrap());
            let free = plain(&self.allocator.free(id).unwrap());
            if agent.total.contains(&used) {
                assert_eq!(free.checked_add(&used).unwrap(), agent.total);
            } else {
                assert!(agent.total.contains(&free));
                for (name, amount) in agent.total.scalars() {
                    let left = amount.thousandths().saturating_sub(used.scalar(name).thousandths());
                    assert_eq!(free.scalar(name).thousandths(), left);
                }
            }
        }
    }

    pub(super) fn check_shares(&self) {
        let told = self.allocator.role_shares();
        let inner: BTreeSet<String> = self.live_paths().into_iter().filter(|path| !path.contains("/.")).collect();
        assert_eq!(told.iter().map(|share| share.path.clone()).collect::<BTreeSet<_>>(), inner);
        for role in told {
            assert_eq!(role.share, self.share(&role.path), "{}", role.path);
            assert_eq!(role.grant_count, self.grant_counts.get(&role.path).copied().unwrap_or(0), "{}", role.path);
        }
        for (framework, role) in self.live_clients() {
            let told = self.allocator.framework_share(&framework, &role);
            assert_eq!(told, Some(self.share(&format!("{role}/./{framework}"))));
        }
    }

    pub(super) fn check_order(&mut self) {
        let mut order: Vec<(FrameworkId, Role)> = Vec::new();
        let active: BTreeSet<String> = self.active_clients().iter().map(client_path).collect();
        self.order_below("", &active, &mut order);
        assert_eq!(self.allocator.order(), order);
    }

    /// Every framework that wants offers refuses each of the agents that have something to offer.
    pub(super) fn check_nothing_is_left_over(&self) {
        for (id, _) in self.agents.iter().filter(|(_, agent)| agent.active) {
            let free = plain(&self.allocator.free(id).unwrap());
            let is_worth_offering = free.scalar(CPUS).thousandths() >= 10 || free.scalar(MEM) >= Scalar::from_whole(32);
            if is_worth_offering {
                for (framework, role) in self.active_clients() {
                    assert!(self.is_refused(id, &framework, &role, &free), "{framework} may have {free} of {id}");
                }
            }
        }
    }

    fn add_agent(&mut self, id: &AgentId, total: usize, used: Option<(usize, usize)>) {
        let total: Resources = TOTALS[total].parse().unwrap();
        let resources: Resources = "cpus:1;mem:64;ports:[7-7]".parse().unwrap();
        let holding = used.map(|(framework, role)| Holding {
            framework: framework_id(framework),
            role: ROLES[role].parse().unwrap(),
            resources: resources.into(),
        });
        let holdings: Vec<Holding> = holding.into_iter().collect();
        let added = self.allocator.add_agent(id.clone(), &total, BTreeMap::new(), &holdings);
        assert_eq!(added.is_ok(), !self.agents.contains_key(id));
        if added.is_ok() {
            self.agents.insert(id.clone(), Agent { total, attributes: BTreeMap::new(), active: true });
            for Holding { framework, role, resources } in holdings {
                self.hold(Grant { framework, role, agent: id.clone(), resources });
            }
        }
    }

    fn update_agent(&mut self, id: &AgentId, total: usize, moved: bool) {
        let total: Resources = TOTALS[total].parse().unwrap();
        let mut attributes = self.agents.get(id).map(|agent| agent.attributes.clone()).unwrap_or_default();
        if moved {
            attributes.insert("moved".to_owned(), format!("{:?}", self.now));
        }
        let updated = self.allocator.update_agent(id, &total, attributes.clone());
        assert_eq!(updated.is_ok(), self.agents.contains_key(id));
        if let Some(agent) = self.agents.get_mut(id) {
            if agent.attributes != attributes {
                self.refused.retain(|(grant, _)| grant.agent != *id);
            }
            agent.total = total;
            agent.attributes = attributes;
        }
    }

    fn remove_agent(&mut self, id: &AgentId) {
        assert_eq!(self.allocator.remove_agent(id).is_ok(), self.agents.remove(id).is_some());
        self.held.retain(|grant| grant.agent != *id);
        self.refused.retain(|(grant, _)| grant.agent != *id);
    }

    fn set_agent_active(&mut self, id: &AgentId, active: bool) {
        let set = if active { self.allocator.activate_agent(id) } else { self.allocator.deactivate_agent(id) };
        let agent = self.agents.get_mut(id);
        assert_eq!(set.is_ok(), agent.is_some());
        agent.into_iter().for_each(|agent| agent.active = active);
    }

    fn set_framework(&mut self, id: FrameworkId, roles: BTreeSet<Role>, suppressed: BTreeSet<Role>) {
        let active = self.frameworks.get(&id).is_none_or(|framework| framework.active);
        if self.frameworks.contains_key(&id) {
            self.allocator.update_framework(&id, &roles, &suppressed).unwrap();
            self.refused.retain(|(grant, _)| grant.framework != id || roles.contains(&grant.role));
        } else {
            self.allocator.add_framework(id.clone(), &roles, &suppressed).unwrap();
        }
        self.frameworks.insert(id, Framework { active, roles, suppressed });
    }

    fn remove_framework(&mut self, id: &FrameworkId) {
        assert_eq!(self.allocator.remove_framework(id).is_ok(), self.frameworks.remove(id).is_some());
        self.refused.retain(|(grant, _)| grant.framework != *id);
    }

    fn set_framework_active(&mut self, id: &FrameworkId, active: bool) {
        let allocator = &mut self.allocator;
        let set = if active { allocator.activate_framework(id) } else { allocator.deactivate_framework(id) };
        let framework = self.frameworks.get_mut(id);
        assert_eq!(set.is_ok(), framework.is_some());
        framework.into_iter().for_each(|framework| framework.active = active);
        if !active {
            self.refused.retain(|(grant, _)| grant.framework != *id);
        }
    }

    fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>, suppress: bool) {
        let allocator = &mut self.allocator;
        let set = if suppress { allocator.suppress(id, roles) } else { allocator.revive(id, roles) };
        let framework = self.frameworks.get_mut(id).filter(|framework| roles.is_subset(&framework.roles));
        assert_eq!(set.is_ok(), framework.is_some());
        let Some(framework) = framework else { return };
        let named = if roles.is_empty() { framework.roles.clone() } else { roles.clone() };
        if suppress {
            framework.suppressed.extend(named);
        } else {
            framework.suppressed.retain(|role| !named.contains(role));
            self.refused.retain(|(grant, _)| grant.framework != *id || !named.contains(&grant.role));
        }
    }

    fn recover(&mut self, grant: usize, part: bool, refuse: Option<u64>) {
        if self.held.is_empty() {
            return;
        }
        let index = grant % self.held.len();
        let mut grant = self.held.swap_remove(index);
        let part: TypedResources = if part { "cpus:1;mem:64".parse().unwrap() } else { grant.resources.clone() };
        let Grant { framework, role, agent, resources } = &grant;
        let filter = refuse.map(Duration::from_secs);
        let Ok(rest) = resources.checked_sub(&part) else {
            self.held.push(grant);
            return;
        };
        self.allocator.recover(self.now, framework, role, agent, &part, filter).unwrap();
        let subscribed = self.frameworks.get(framework).filter(|held| held.active && held.roles.contains(role));
        if let Some(refuse) = filter.filter(|refuse| !refuse.is_zero() && subscribed.is_some()) {
            let refused = Grant { resources: part, ..grant.clone() };
            self.refused.push((refused, self.now + refuse.max(INTERVAL)));
        }
        if !rest.is_empty() {
            grant.resources = rest;
            self.held.push(grant);
        }
    }

    fn allocate(&mut self) -> Vec<Grant> {
        let active = self.active_clients();
        let grants = self.allocator.allocate(self.now);
        for grant in &grants {
            let Grant { framework, role, agent, resources } = grant;
            assert!(self.agents[agent].active && active.contains(&(framework.clone(), role.clone())));
            assert!(!self.is_refused(agent, framework, role, &plain(resources)));
            self.hold(grant.clone());
        }
        let deadline = self.allocator.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now));
        grants
    }

    fn hold(&mut self, grant: Grant) {
        for path in paths(&grant.framework, &grant.role) {
            *self.grant_counts.entry(path).or_default() += 1;
        }
        self.held.push(grant);
    }

    fn is_refused(&self, agent: &AgentId, framework: &FrameworkId, role: &Role, offered: &Resources) -> bool {
        self.refused.iter().any(|(grant, until)| {
            let is_same = grant.agent == *agent && grant.framework == *framework && grant.role == *role;
            is_same && *until > self.now && plain(&grant.resources).contains(offered)
        })
    }

    fn active_clients(&self) -> BTreeSet<(FrameworkId, Role)> {
        let active = self.frameworks.iter().filter(|(_, framework)| framework.active);
        active
            .flat_map(|(id, framework)| {
                framework.roles.difference(&framework.suppressed).map(|role| (id.clone(), role.clone()))
            })
            .collect()
    }

    fn live_clients(&self) -> BTreeSet<(FrameworkId, Role)> {
        let holders = self.held.iter().map(|grant| (grant.framework.clone(), grant.role.clone()));
        let subscribed = self.frameworks.iter();
        let subscribed =
            subscribed.flat_map(|(id, framework)| framework.roles.iter().map(|role| (id.clone(), role.clone())));
        holders.chain(subscribed).collect()
    }

    fn live_paths(&self) -> BTreeSet<String> {
        self.live_clients().iter().flat_map(|(framework, role)| paths(framework, role)).collect()
    }

    fn forget_idle_paths(&mut self) {
        let live = self.live_paths();
        self.grant_counts.retain(|path, _| live.contains(path));
    }

    /// The share of a path, summed up from all that is held.
    fn share(&self, path: &str) -> Share {
        let mut parts: BTreeMap<String, u128> = BTreeMap::new();
        for grant in self.held.iter().filter(|grant| paths(&grant.framework, &grant.role).iter().any(|p| p == path)) {
            for (name, amount) in plain(&grant.resources).scalars() {
                *parts.entry(name.to_owned()).or_default() += u128::from(amount.thousandths());
            }
        }
        let whole = |name: &str| -> u128 {
            self.agents.values().map(|agent| u128::from(agent.total.scalar(name).thousandths())).sum()
        };
        let shares = parts.iter().map(|(name, part)| Share::of(*part, whole(name)));
        let weight = self.weights.get(path).copied().unwrap_or(Weight::ONE);
        shares.max().unwrap_or(Share::ZERO).per(weight)
    }

    fn order_below(&self, above: &str, active: &BTreeSet<String>, order: &mut Vec<(FrameworkId, Role)>) {
        let below = active.iter().filter_map(|path| path.strip_prefix(above));
        let steps: BTreeSet<&str> = below.filter_map(|rest| rest.split('/').next()).collect();
        let mut siblings: Vec<_> = steps
            .into_iter()
            .map(|step| {
                let path = format!("{above}{step}");
                (self.share(&path), self.grant_counts.get(&path).copied().unwrap_or(0), path)
            })
            .collect();
        siblings.sort();
        for (.., path) in siblings {
            match path.split_once("/./") {
                Some((role, framework)) => order.push((framework.parse().unwrap(), role.parse().unwrap())),
                None => self.order_below(&format!("{path}/"), active, order),
            }
        }
    }
}

/// The role and those above it, its own leaf, and the framework in that.
fn paths(framework: &FrameworkId, role: &Role) -> Vec<String> {
    let role = role.as_str();
    let above = role.match_indices('/').map(|(end, _)| role[..end].to_owned());
    let own = [role.to_owned(), format!("{role}/."), format!("{role}/./{framework}")];
    above.chain(own).collect()
}

fn client_path((framework, role): &(FrameworkId, Role)) -> String {
    format!("{role}/./{framework}")
}

fn owned(holding: (&FrameworkId, &Role, TypedResources)) -> ((FrameworkId, Role), Resources) {
    let (framework, role, resources) = holding;
    ((framework.clone(), role.clone()), plain(&resources))
}

/// The amounts of resources that have no class.
fn plain(resources: &TypedResources) -> Resources {
    resources.quantities().unwrap()
}

fn masked(mask: u8) -> BTreeSet<Role> {
    let chosen = ROLES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
    chosen.map(|(_, role)| role.parse().unwrap()).collect()
}

fn agent_id(number: usize) -> AgentId {
    format!("agent-{number}").parse().unwrap()
}

fn framework_id(number: usize) -> FrameworkId {
    format!("framework-{number}").parse().unwrap()
}
