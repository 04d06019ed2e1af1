//! Three hosts, and `kill -9` to an actor host, an agent, the master.

use std::time::Instant;

use super::hosts::{name, on_hosts, show};
use crate::support::eventually;

/// Not the master's.
const HOST: usize = 2;

#[test]
fn actors_of_a_killed_actor_host_come_back() {
    on_hosts("kill of an actor host", 3, |hosts| {
        let there = hosts.actors_on(HOST);
        let executors = hosts.executors_on(HOST);
        assert_eq!((there.len(), executors.len()), (1, 1));
        let fault = Instant::now();
        executors[0].kill();
        show("kill of an actor host", &hosts.wait_for_replacement(&there, fault).to_string());
    });
}

#[test]
fn actors_of_a_killed_agent_come_back_elsewhere_and_the_agent_is_taken_again() {
    on_hosts("kill of an agent", 3, |hosts| {
        let there = hosts.actors_on(HOST);
        let old = hosts.executors_on(HOST);
        let fault = Instant::now();
        hosts.kill_agent(HOST);
        show("kill of an agent", &hosts.wait_for_replacement(&there, fault).to_string());
        assert!(!hosts.places().contains(&name(HOST)));
        hosts.wait_for_the_end_of(&old);
        hosts.start_agent(HOST);
        hosts.wait_for_agents(3);
    });
}

#[test]
fn actors_answer_while_the_master_is_away_and_none_is_moved() {
    on_hosts("kill of the master", 3, |hosts| {
        let places =
            |actors: Vec<serde_json::Value>| actors.iter().map(|one| one["location"].clone()).collect::<Vec<_>>();
        let before = places(hosts.actors());
        let fault = Instant::now();
        hosts.kill_master();
        hosts.start_master();
        eventually("all actors to be known", || (hosts.places().len() == 3).then_some(()));
        hosts.wait_for_agents(3);
        assert_eq!(places(hosts.actors()), before);
        ["ledger/0", "ledger/1", "ledger/2"].iter().for_each(|ledger| hosts.ask(ledger));
        let known = format!("all is known again after {:.1} s", fault.elapsed().as_secs_f64());
        show("kill of the master", &known);
    });
}
