//! How schedulers become those of a framework: first, again, and in the place of another.
//!
//! Tasks stay what they are; offers of the earlier subscription are void.

use super::frameworks::{Framework, roles_of};
use super::timers::Timer;
use super::{MasterCore, MasterOutbox};
use crate::effect::{SchedulerAddress, SchedulerEvent};
use crate::record::Record;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::master_scheduler::{FrameworkFailed, Subscribe, SubscribeError, Subscribed};
use odeon_protocol::messages::members::MemberChange;
use odeon_protocol::moment::Moment;
use odeon_runtime::{ActorName, NodeId};

impl MasterCore {
    /// Makes the sender the scheduler of a framework; the newest subscriber wins.
    ///
    /// # Errors
    /// [`SubscribeError`]; nothing has changed then.
    pub fn on_subscribe(
        &mut self,
        node: &NodeId,
        message: Subscribe,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<Subscribed, SubscribeError> {
        let Ok(actor) = ActorName::new(message.actor.as_str()) else {
            return Err(SubscribeError::Actor(message.actor));
        };
        let roles = roles_of(&message.info);
        if let Some(role) = message.suppressed.difference(&roles).next() {
            return Err(SubscribeError::SuppressedRole(role.clone()));
        }
        let scheduler = SchedulerAddress { node: node.clone(), actor };
        let framework_id = self.identify_framework(message.framework_id.clone(), &scheduler)?;
        self.end_subscription(&framework_id, &scheduler, now, out);
        self.begin_subscription(&framework_id, message, scheduler, now, out);
        Ok(Subscribed { framework_id, master_id: self.master_id.clone() })
    }

    /// The id that a scheduler brought, the one that a lost answer gave it, or a new one.
    fn identify_framework(
        &mut self,
        brought: Option<FrameworkId>,
        scheduler: &SchedulerAddress,
    ) -> Result<FrameworkId, SubscribeError> {
        if let Some(framework_id) = brought {
            let has_ended = self.ended.iter().any(|ended| ended.framework_id == framework_id);
            return match self.frameworks.contains_key(&framework_id) {
                true => Ok(framework_id),
                false if has_ended => Err(SubscribeError::Removed(framework_id)),
                false => Err(SubscribeError::Unknown(framework_id)),
            };
        }
        let mut subscribed = self.frameworks.iter();
        if let Some((framework_id, _)) =
            subscribed.find(|(_, framework)| framework.scheduler.as_ref() == Some(scheduler))
        {
            return Ok(framework_id.clone());
        }
        let max = self.rules.frameworks_max;
        if self.frameworks.len() >= max {
            return Err(SubscribeError::TooMany { max });
        }
        let text = format!("{}-F{}", self.master_id, self.next_framework);
        self.next_framework += 1;
        Ok(FrameworkId::new(text).expect("the id of the master leaves room for a number"))
    }

    /// Takes back what an earlier subscription was offered, and turns its scheduler away if it is another one.
    fn end_subscription(
        &mut self,
        framework_id: &FrameworkId,
        newest: &SchedulerAddress,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        self.rescind_offers_of_framework(framework_id, now, out);
        let earlier = self.frameworks.get(framework_id).and_then(|framework| framework.scheduler.as_ref());
        if earlier.is_some_and(|earlier| earlier != newest) {
            let message = "framework failed over".to_owned();
            let failed = FrameworkFailed { framework_id: framework_id.clone(), message };
            self.tell(framework_id, SchedulerEvent::Failed(failed), out);
        }
    }

    fn begin_subscription(
        &mut self,
        framework_id: &FrameworkId,
        message: Subscribe,
        scheduler: SchedulerAddress,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        let Subscribe { info, suppressed, .. } = message;
        let roles = roles_of(&info);
        let before = self.frameworks.get(framework_id);
        let admitted_ms = before.map_or(now.wall_ms, |framework| framework.admitted_ms);
        let change = match before {
            None => Some(MemberChange::Joined),
            Some(framework) => (framework.scheduler.as_ref() != Some(&scheduler)).then_some(MemberChange::Returned),
        };
        if before.is_none_or(|framework| framework.info != info) {
            out.write(Record::FrameworkAdmitted {
                framework_id: framework_id.clone(),
                info: info.clone(),
                admitted_ms,
            });
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.info = info;
            framework.roles.clone_from(&roles);
            framework.scheduler = Some(scheduler);
            if framework.deadline_ms.take().is_some() {
                out.write(Record::FrameworkConnected { framework_id: framework_id.clone() });
            }
            let updated = self.allocator.update_framework(framework_id, &roles, &suppressed);
            updated.and_then(|()| self.allocator.activate_framework(framework_id)).expect("the allocator knows it");
            self.timers.cancel(&Timer::Failover(framework_id.clone()));
        } else {
            let added = self.allocator.add_framework(framework_id.clone(), &roles, &suppressed);
            added.expect("a new framework has a new id");
            self.frameworks.insert(framework_id.clone(), Framework::new(info, Some(scheduler), admitted_ms));
        }
        if let Some(change) = change {
            self.note_framework(framework_id, change, now, out);
        }
    }
}
