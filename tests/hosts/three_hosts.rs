//! Three hosts: actors spread over them, one is cut off, in both ways or in one, and comes back.

use std::time::{Duration, Instant};

use super::hosts::{Hosts, name, on_hosts, show};
use super::network::Network;
use crate::support::eventually;

/// A cut that nobody is to notice: shorter than what the fabric always forgives.
const SHORT: Duration = Duration::from_secs(2);
/// The host that is cut off.
const AWAY: usize = 3;

#[test]
fn actors_are_spread_over_three_hosts_and_each_answers_by_name() {
    on_hosts("three hosts", 3, |hosts| {
        assert_eq!(hosts.places(), ["host-1", "host-2", "host-3"]);
        for ledger in ["ledger/0", "ledger/1", "ledger/2"] {
            hosts.ask(ledger);
            hosts.tell(ledger);
        }
    });
}

#[test]
fn a_short_cut_moves_nothing() {
    on_hosts("short cut", 3, |hosts| {
        let before = hosts.actors();
        let others = hosts.network.others(&[AWAY]);
        hosts.network.cut(&[AWAY], &others);
        let began = Instant::now();
        // The fault itself lasts so long; nothing can be awaited that would tell of its end.
        eventually("the end of the cut", || (began.elapsed() >= SHORT).then_some(()));
        hosts.network.heal().expect("a cut can be healed");
        before.iter().for_each(|actor| hosts.ask(actor["name"].as_str().expect("a name")));
        let tasks = |actors: &[serde_json::Value]| actors.iter().map(|one| one["task_id"].clone()).collect::<Vec<_>>();
        assert_eq!(tasks(&hosts.actors()), tasks(&before));
    });
}

#[test]
fn actors_of_a_host_that_is_cut_off_come_back_elsewhere_and_are_alone_after_the_heal() {
    let cut = |network: &Network, others: &[usize]| network.cut(&[AWAY], others);
    on_hosts("cut", 3, |hosts| be_cut_off("cut", hosts, cut));
}

#[test]
fn actors_of_a_host_that_is_not_heard_come_back_elsewhere_and_are_alone_after_the_heal() {
    let cut = |network: &Network, others: &[usize]| network.cut_one_way(&[AWAY], others);
    on_hosts("cut one way, from the host", 3, |hosts| be_cut_off("cut one way, from the host", hosts, cut));
}

#[test]
fn actors_of_a_host_that_hears_nothing_come_back_elsewhere_and_are_alone_after_the_heal() {
    let cut = |network: &Network, others: &[usize]| network.cut_one_way(others, &[AWAY]);
    on_hosts("cut one way, to the host", 3, |hosts| be_cut_off("cut one way, to the host", hosts, cut));
}

fn be_cut_off(scenario: &str, hosts: &mut Hosts<'_>, cut: impl FnOnce(&Network, &[usize])) {
    let there = hosts.actors_on(AWAY);
    assert_eq!(there.len(), 1);
    let fault = Instant::now();
    cut(hosts.network, &hosts.network.others(&[AWAY]));
    let times = hosts.wait_for_replacement(&there, fault);
    assert!(!hosts.places().contains(&name(AWAY)));
    let heal = Instant::now();
    hosts.network.heal().expect("a cut can be healed");
    hosts.wait_for_agents(3);
    hosts.wait_for_refusal(&there[0]["location"]);
    let alone = heal.elapsed();
    show(scenario, &format!("{times}, each held once {:.1} s after the heal", alone.as_secs_f64()));
}
