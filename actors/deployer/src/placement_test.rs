//! Actors on offers, without a cluster.

use super::*;
use odeon_protocol::id::{FrameworkId, OfferId};
use odeon_protocol::restart::RestartPolicy;
use odeon_protocol::role::Role;
use odeon_protocol::update::UpdatePolicy;

pub(crate) fn spec(name: &str, instances: u32) -> DeploymentSpec {
    DeploymentSpec {
        name: DeploymentName::new(name).unwrap(),
        actor_type: "examples.Counter".into(),
        instances,
        singleton: false,
        arguments: "{}".into(),
        resources: "cpus:1;mem:10".parse().unwrap(),
        program: None,
        binary: None,
        constraints: BTreeMap::new(),
        per_agent_max: None,
        restart: RestartPolicy::default(),
        update: UpdatePolicy::default(),
    }
}

pub(crate) fn offer(agent: &str, resources: &str) -> Offer {
    Offer {
        offer_id: OfferId::new(format!("offer-{agent}")).unwrap(),
        framework_id: FrameworkId::new("F").unwrap(),
        role: Role::default(),
        agent_id: AgentId::new(agent).unwrap(),
        hostname: format!("host-{agent}"),
        agent_endpoint: "h:1".into(),
        resources: resources.parse().unwrap(),
        reserved: Default::default(),
        attributes: BTreeMap::from([("rack".into(), agent.to_owned())]),
    }
}

/// How many actors each offer gets.
fn counts(spec: &DeploymentSpec, placed: &[(&str, u32)], offers: &[Offer]) -> Vec<usize> {
    let placed: BTreeMap<_, _> = placed.iter().map(|(agent, count)| (AgentId::new(*agent).unwrap(), *count)).collect();
    let hosted = placed.keys().cloned().collect();
    let wanted = Wanted { spec, indices: (0..spec.instances).collect(), placed, hosted };
    let host = "mem:32".parse().unwrap();
    place(vec![wanted], offers, &host).iter().map(Vec::len).collect()
}

#[test]
fn actors_spread_over_agents_that_have_few() {
    let offers = [offer("a", "cpus:8;mem:500"), offer("b", "cpus:8;mem:500"), offer("c", "cpus:8;mem:500")];
    assert_eq!(counts(&spec("d", 6), &[], &offers), [2, 2, 2]);
    assert_eq!(counts(&spec("d", 5), &[("a", 3)], &offers), [0, 3, 2]);
}

#[test]
fn the_first_actor_of_an_agent_pays_for_its_host() {
    assert_eq!(counts(&spec("d", 9), &[], &[offer("a", "cpus:9;mem:61")]), [2], "61 = 32 + 2 × 10 + 9");
    assert_eq!(counts(&spec("d", 9), &[("a", 1)], &[offer("a", "cpus:9;mem:61")]), [6]);
}

#[test]
fn what_does_not_fit_on_one_agent_goes_to_another() {
    let offers = [offer("a", "cpus:1;mem:500"), offer("b", "cpus:3;mem:500")];
    assert_eq!(counts(&spec("d", 9), &[], &offers), [1, 3]);
}

#[test]
fn limits_and_attributes_bind() {
    let offers = [offer("a", "cpus:9;mem:500"), offer("b", "cpus:9;mem:500")];
    let few = DeploymentSpec { per_agent_max: Some(2), ..spec("d", 9) };
    assert_eq!(counts(&few, &[("a", 1)], &offers), [1, 2]);
    let constraints = BTreeMap::from([("rack".into(), "b".into())]);
    assert_eq!(counts(&DeploymentSpec { constraints, ..spec("d", 9) }, &[], &offers), [0, 9]);
}

#[test]
fn two_offers_of_one_agent_count_as_one_agent() {
    let mut second = offer("a", "cpus:9;mem:500");
    second.offer_id = OfferId::new("second").unwrap();
    let few = DeploymentSpec { per_agent_max: Some(3), ..spec("d", 9) };
    assert_eq!(counts(&few, &[], &[offer("a", "cpus:9;mem:500"), second]).iter().sum::<usize>(), 3);
}

#[test]
fn deployments_share_what_is_offered() {
    let (one, two) = (spec("one", 3), spec("two", 3));
    let wanted = |spec| Wanted { spec, indices: vec![0, 1, 2], placed: BTreeMap::new(), hosted: BTreeSet::new() };
    let placement =
        place(vec![wanted(&one), wanted(&two)], &[offer("a", "cpus:4;mem:500")], &"mem:32".parse().unwrap());
    let names: Vec<&str> = placement[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "one", "one", "two"]);
}
