//! How the world carries frames: dials, delays, cuts, broken links, answers that do not come.

use crate::message::{Asked, Body, NoAnswer, ReplyTo};
use crate::network::{BACKOFF_MAX_US, BACKOFF_MIN_US, DIAL_TIMEOUT_US, Frame, HEARTBEAT_TIMEOUT_US, SEND_TIMEOUT_US};
use crate::plan::Site;
use crate::process::{Input, Pid};
use crate::world::{Event, OpenAsk, World};
use odeon_runtime::NodeId;

impl World {
    /// Asks the process that serves at a machine; dials if there is no link yet.
    pub(crate) fn ask_site(&mut self, pid: Pid, site: Site, body: Body, asked: Asked, timeout_us: u64) {
        let ask = self.open_ask(pid, Some(site), asked, timeout_us);
        self.send_to_site(pid, site, Some(ask), body);
    }

    /// Tells the process that serves at a machine; lost if it cannot be reached.
    pub(crate) fn tell_site(&mut self, pid: Pid, site: Site, body: Body) {
        self.send_to_site(pid, site, None, body);
    }

    /// Asks a node over the link that it has opened.
    pub(crate) fn ask_node(&mut self, pid: Pid, node: &NodeId, body: Body, asked: Asked) {
        let ask = self.open_ask(pid, None, asked, SEND_TIMEOUT_US);
        match self.net.link_to(pid, node) {
            Some(link) => self.send_request(link, pid, Some(ask), body),
            None => self.fail_ask(ask, NoAnswer::Unreachable),
        }
    }

    /// Tells a node over the link that it has opened; lost if there is none.
    pub(crate) fn tell_node(&mut self, pid: Pid, node: &NodeId, body: Body) {
        if let Some(link) = self.net.link_to(pid, node) {
            self.send_request(link, pid, None, body);
        }
    }

    fn open_ask(&mut self, pid: Pid, site: Option<Site>, asked: Asked, timeout_us: u64) -> u64 {
        let ask = self.next_ask();
        self.asks.insert(ask, OpenAsk { pid, link: None, site, asked });
        self.after(timeout_us, Event::Overdue { ask });
        ask
    }

    fn send_to_site(&mut self, pid: Pid, site: Site, ask: Option<u64>, body: Body) {
        if let Some(link) = self.net.route(pid, site) {
            return self.send_request(link, pid, ask, body);
        }
        if let Some(dial) = self.net.dials.get_mut(&(pid, site)) {
            dial.waiting.push((ask, body));
            return;
        }
        let until_us = self.net.backoffs.get(&(pid, site)).map_or(0, |backoff| backoff.until_us);
        if self.now_us < until_us {
            if let Some(ask) = ask {
                self.fail_ask(ask, NoAnswer::Unreachable);
            }
            return;
        }
        self.net.dials.entry((pid, site)).or_default().waiting.push((ask, body));
        self.dial(pid, site);
    }

    /// A machine that is cut off or stands still lets the dial time out; one without a process refuses it.
    fn dial(&mut self, pid: Pid, site: Site) {
        let own = self.site_of(pid).unwrap_or(site);
        let target = self.serving.get(&site).copied();
        let silent = self.net.is_cut(own, site) || self.net.is_cut(site, own);
        let paused = target.and_then(|target| self.processes.get(&target)).is_some_and(|process| process.paused);
        let (wait_us, target) = match target {
            _ if silent || paused => (DIAL_TIMEOUT_US, None),
            target => (self.delay_us(own, site) * 2, target),
        };
        self.after(wait_us, Event::Dialled { pid, site, target });
    }

    fn site_of(&self, pid: Pid) -> Option<Site> {
        // The process that acts now is not in the table.
        let acting = || self.acting.filter(|(acting, _)| *acting == pid).map(|(_, site)| site);
        self.processes.get(&pid).map(|process| process.site).or_else(acting)
    }

    pub(crate) fn on_dialled(&mut self, pid: Pid, site: Site, target: Option<Pid>) {
        let waiting = self.net.dials.remove(&(pid, site)).map(|dial| dial.waiting).unwrap_or_default();
        let Some(own) = self.processes.get(&pid).map(|process| (pid, process.node.clone(), process.site)) else {
            return;
        };
        let there = target.and_then(|target| Some((target, self.processes.get(&target)?)));
        let there = there.map(|(target, process)| (target, process.node.clone(), process.site));
        let Some(there) = there.filter(|(target, _, _)| self.serving.get(&site) == Some(target)) else {
            return self.on_dial_failed(pid, site, waiting);
        };
        self.net.backoffs.remove(&(pid, site));
        let link = self.net.add([own, there], self.now_us);
        self.net.routes.insert((pid, site), link);
        self.watch_silence(link);
        for (ask, body) in waiting {
            if ask.is_none_or(|ask| self.asks.contains_key(&ask)) {
                self.send_request(link, pid, ask, body);
            }
        }
    }

    fn on_dial_failed(&mut self, pid: Pid, site: Site, waiting: Vec<(Option<u64>, Body)>) {
        self.back_off(pid, site);
        for ask in waiting.into_iter().filter_map(|(ask, _)| ask) {
            self.fail_ask(ask, NoAnswer::Unreachable);
        }
    }

    fn back_off(&mut self, pid: Pid, site: Site) {
        let mut backoff = self.net.backoffs.get(&(pid, site)).copied().unwrap_or_default();
        let full_us = (BACKOFF_MIN_US << backoff.failures.min(16)).min(BACKOFF_MAX_US);
        backoff.failures += 1;
        backoff.until_us = self.now_us + full_us - self.chance.network.below(full_us / 2);
        self.net.backoffs.insert((pid, site), backoff);
    }

    fn send_request(&mut self, link: u64, pid: Pid, ask: Option<u64>, body: Body) {
        if let Some(open) = ask.and_then(|ask| self.asks.get_mut(&ask)) {
            open.link = Some(link);
        }
        self.send(link, pid, Frame::Request { reply_to: ask, body });
    }

    /// Puts a frame on a link: it arrives after those before it, unless the link breaks first.
    pub(crate) fn send(&mut self, link: u64, from: Pid, frame: Frame) {
        let Some((own, other, end)) = self.net.links.get(&link).map(|found| {
            let own = found.end_of(from);
            (found.ends[own].site, found.ends[1 - own].site, 1 - own)
        }) else {
            return;
        };
        let delay_us = self.delay_us(own, other);
        let is_cut = self.net.is_cut(own, other);
        let Some(found) = self.net.links.get_mut(&link) else { return };
        if !found.ends[1 - end].open && !matches!(frame, Frame::Close) {
            return;
        }
        if is_cut || !found.ends[end].held.is_empty() {
            found.ends[end].held.push(frame);
            return;
        }
        let at_us = (self.now_us + delay_us).max(found.ends[end].last_arrival_us + 1);
        found.ends[end].last_arrival_us = at_us;
        self.at(at_us, Event::Arrives { link, end, frame });
    }

    fn delay_us(&mut self, own: Site, other: Site) -> u64 {
        if own == other {
            return self.chance.network.between(10, 200);
        }
        let extra_us = self.net.delay_max_us;
        self.chance.network.between(50, 1_500) + self.chance.network.below(extra_us + 1)
    }

    pub(crate) fn on_arrives(&mut self, link: u64, end: usize, frame: Frame) {
        let Some(found) = self.net.links.get(&link).filter(|found| found.ends[end].open) else { return };
        let (pid, asker, from) = (found.ends[end].pid, found.ends[1 - end].pid, found.ends[1 - end].node.clone());
        match frame {
            Frame::Request { reply_to, body } => {
                let reply_to = reply_to.map(|ask| ReplyTo { link, asker, ask });
                self.give(pid, Input::Request { from, reply_to, body });
            }
            Frame::Reply { ask, reply } => {
                if let Some(open) = self.asks.remove(&ask) {
                    let node = open.site.and_then(|site| self.routed_node(pid, site));
                    self.input_soon(pid, Input::Answer { asked: open.asked, answer: Ok(reply), node });
                }
            }
            Frame::Close => self.close_end(link, end),
        }
    }

    /// The node at the other end of the link that a process has dialled.
    fn routed_node(&self, pid: Pid, site: Site) -> Option<NodeId> {
        let link = self.net.links.get(&self.net.route(pid, site)?)?;
        Some(link.ends[1 - link.end_of(pid)].node.clone())
    }

    pub(crate) fn fail_ask(&mut self, ask: u64, why: NoAnswer) {
        if let Some(open) = self.asks.remove(&ask) {
            let node = open.site.and_then(|site| self.routed_node(open.pid, site));
            self.input_soon(open.pid, Input::Answer { asked: open.asked, answer: Err(why), node });
        }
    }

    /// An end learns that its link is broken; what waits on it fails.
    pub(crate) fn close_end(&mut self, link: u64, end: usize) {
        let Some((pid, node)) = self.net.links.get(&link).map(|l| (l.ends[end].pid, l.ends[1 - end].node.clone()))
        else {
            return;
        };
        if !self.net.close(link, end) {
            return;
        }
        self.send(link, pid, Frame::Close);
        self.net.forget_if_closed(link);
        let lost: Vec<u64> =
            self.asks.iter().filter(|(_, a)| a.link == Some(link) && a.pid == pid).map(|(id, _)| *id).collect();
        for ask in lost {
            self.fail_ask(ask, NoAnswer::LinkLost);
        }
        let sites: Vec<Site> = self
            .net
            .routes
            .range((pid, Site::Master)..)
            .take_while(|(key, _)| key.0 == pid)
            .filter(|(_, id)| **id == link)
            .map(|(key, _)| key.1)
            .collect();
        sites.into_iter().for_each(|site| self.back_off(pid, site));
        if !self.is_linked(pid, &node) {
            self.input_soon(pid, Input::LinkDown { node });
        }
    }

    /// Schedules what follows from silence, for each end that hears nothing now.
    pub(crate) fn watch_silence(&mut self, link: u64) {
        for end in [0, 1] {
            if self.hears_nothing(link, end) {
                let wait_us = HEARTBEAT_TIMEOUT_US + self.chance.network.below(1_000_000);
                self.after(wait_us, Event::Silent { link, end });
            }
        }
    }

    fn hears_nothing(&self, link: u64, end: usize) -> bool {
        let Some(found) = self.net.links.get(&link) else { return false };
        let (own, other) = (&found.ends[end], &found.ends[1 - end]);
        let other_silent = self.processes.get(&other.pid).is_none_or(|process| process.paused);
        own.open && (other_silent || self.net.is_cut(other.site, own.site))
    }

    /// The end closes if it still hears nothing. A silence that was interrupted counts as one: rare, and harmless.
    pub(crate) fn on_silent(&mut self, link: u64, end: usize) {
        if self.hears_nothing(link, end) {
            self.close_end(link, end);
        }
    }

    pub(crate) fn begin_cut(&mut self, from: Site, to: Site, for_ms: u64) {
        self.net.begin_cut(from, to);
        self.after(for_ms * 1000, Event::CutEnds { from, to });
        for link in self.net.links_at(from) {
            self.watch_silence(link);
        }
    }

    /// What was held up goes on its way, in order.
    pub(crate) fn end_cut(&mut self, from: Site, to: Site) {
        self.net.end_cut(from, to);
        if self.net.is_cut(from, to) {
            return;
        }
        for link in self.net.links_at(from) {
            let Some(found) = self.net.links.get_mut(&link) else { continue };
            let Some(end) = (0..2).find(|end| found.ends[*end].site == to && found.ends[1 - end].site == from) else {
                continue;
            };
            let held = std::mem::take(&mut found.ends[end].held);
            let mut at_us = found.ends[end].last_arrival_us.max(self.now_us);
            let mut arrivals = Vec::new();
            for frame in held {
                at_us += 1 + self.chance.network.below(50);
                arrivals.push((at_us, frame));
            }
            found.ends[end].last_arrival_us = at_us;
            for (at_us, frame) in arrivals {
                self.at(at_us, Event::Arrives { link, end, frame });
            }
        }
    }
}
