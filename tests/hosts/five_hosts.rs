//! Five hosts in two parts. The part with the master goes on with all names, however small it is; in the other one actors
//! run on without them, and end after the heal.

use std::time::Instant;

use super::hosts::{Hosts, MASTER, on_hosts, show};
use super::writers::{ask_run, can_look_up};

#[test]
fn two_of_five_hosts_that_are_cut_off_lose_their_names() {
    on_hosts("2 of 5 hosts cut off", 5, |hosts| be_parted("2 of 5 hosts cut off", hosts, &[4, 5]));
}

#[test]
fn three_of_five_hosts_without_the_master_lose_their_names() {
    on_hosts("3 of 5 hosts cut off", 5, |hosts| be_parted("3 of 5 hosts cut off", hosts, &[3, 4, 5]));
}

fn be_parted(scenario: &str, hosts: &mut Hosts<'_>, away: &[usize]) {
    let there: Vec<_> = away.iter().flat_map(|host| hosts.actors_on(*host)).collect();
    assert_eq!(there.len(), away.len());
    let fault = Instant::now();
    hosts.network.cut(away, &hosts.network.others(away));
    let times = hosts.wait_for_replacement(&there, fault);
    // What was replaced runs on, and answers who knows it, on its side of the cut; a name leads nowhere there.
    for run in &there {
        let own = ask_run(hosts.network.at(away[0]), &run["location"]);
        assert!(own.is_ok(), "{own:?}");
    }
    assert!(!can_look_up(hosts.network.at(away[0]), &hosts.client.master, "ledger/0"));
    assert!(can_look_up(hosts.network.at(MASTER), &hosts.client.master, "ledger/0"));
    let heal = Instant::now();
    hosts.network.heal().expect("a cut can be healed");
    hosts.wait_for_agents(5);
    there.iter().for_each(|run| hosts.wait_for_refusal(&run["location"]));
    let alone = heal.elapsed();
    show(scenario, &format!("{times}, each held once {:.1} s after the heal", alone.as_secs_f64()));
}
