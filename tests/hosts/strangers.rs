//! A host that wants to join and may not: what its agent says, and that nobody takes it in.

use super::credentials::new_authority;
use super::hosts::on_hosts;

/// The host whose agent is away, so that another may try in its place.
const HOST: usize = 3;

#[test]
fn an_agent_with_the_certificate_of_a_client_ends_and_names_the_role() {
    on_hosts("agent as a client", 3, |hosts| {
        hosts.kill_agent(HOST);
        let refused = hosts.start_agent_as_client(HOST).end().expect(2).stderr;
        assert!(refused.contains("that of desk as client, and this takes one of the role agent"), "{refused}");
        assert!(refused.contains("client.pem"), "{refused}");
        hosts.start_agent(HOST);
        hosts.wait_for_agents(3);
    });
}

#[test]
fn an_agent_of_another_authority_does_not_join_and_says_why() {
    on_hosts("agent of another authority", 3, |hosts| {
        hosts.kill_agent(HOST);
        hosts.wait_for_agents(2);
        let mut stranger = hosts.start_agent_of(&new_authority(), HOST);
        stranger.wait_for_stderr("was not issued by the authority of this cluster");
        assert_eq!(hosts.agents_in_service(), 2);
        stranger.kill();
        hosts.start_agent(HOST);
        hosts.wait_for_agents(3);
    });
}
