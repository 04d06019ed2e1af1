//! `Lanes`: an ordered, bounded way to each of many receivers, so that a slow one holds up nobody else.
//!
//! A lane exists while something waits in it or is under way. What waits together and can travel together is delivered
//! together; what is delivered, and how, is its owner's.

use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What travels on a lane.
pub(crate) trait Parcel: Sized {
    /// Takes in what is behind it; hands it back if that has to travel by itself.
    ///
    /// # Errors
    /// What was behind it.
    fn join(&mut self, next: Self) -> Result<(), Self>;
}

/// How much a lane holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// What may be under way at a time; with one, the next begins when the last has ended.
    pub(crate) under_way_max: usize,
    /// What may wait.
    pub(crate) waiting_max: usize,
}

/// Lanes to receivers of type `K`, for items of type `T`. Clones are the same lanes. Lives on one arbiter.
pub(crate) struct Lanes<K, T> {
    shared: Rc<Shared<K, T>>,
}

struct Shared<K, T> {
    limits: LaneLimits,
    deliver: Box<dyn Fn(K, T) -> LocalBoxFuture<'static, ()>>,
    open: RefCell<BTreeMap<K, Lane<T>>>,
}

/// What waits for one receiver, and who delivers it.
struct Lane<T> {
    waiting: VecDeque<T>,
    /// Tasks that each deliver one parcel after the other.
    carriers: usize,
    /// One of them has not taken its first parcel yet: whatever is posted until then can still travel with it.
    is_one_empty: bool,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), carriers: 0, is_one_empty: false }
    }
}

impl<T> Lane<T> {
    /// Whether one more carrier is to begin; it counts from now on.
    fn calls_another(&mut self, carriers_max: usize) -> bool {
        let calls = !self.waiting.is_empty() && !self.is_one_empty && self.carriers < carriers_max;
        if calls {
            self.carriers += 1;
            self.is_one_empty = true;
        }
        calls
    }
}

impl<K: Ord + Clone + 'static, T: Parcel + 'static> Lanes<K, T> {
    /// Lanes that deliver by the future that `deliver` makes of an item.
    pub(crate) fn new<F: Future<Output = ()> + 'static>(
        limits: LaneLimits,
        deliver: impl Fn(K, T) -> F + 'static,
    ) -> Self {
        let deliver = Box::new(move |to, item| Box::pin(deliver(to, item)) as LocalBoxFuture<'static, ()>);
        Self { shared: Rc::new(Shared { limits, deliver, open: RefCell::default() }) }
    }

    /// Puts an item behind those that wait for the same receiver.
    ///
    /// # Errors
    /// The item, if too many wait.
    pub(crate) fn post(&self, to: &K, item: T) -> Result<(), T> {
        let mut open = self.shared.open.borrow_mut();
        let lane = match open.get_mut(to) {
            Some(lane) => lane,
            None => open.entry(to.clone()).or_default(),
        };
        if lane.waiting.len() >= self.shared.limits.waiting_max {
            return Err(item);
        }
        lane.waiting.push_back(item);
        if lane.calls_another(self.shared.limits.under_way_max) {
            self.shared.begin(to);
        }
        Ok(())
    }
}

impl<K: Ord + Clone + 'static, T: Parcel + 'static> Shared<K, T> {
    fn begin(self: &Rc<Self>, to: &K) {
        actix_rt::spawn(Rc::clone(self).carry(to.clone()));
    }

    /// Delivers until nothing is left. Deliveries are first polled in the order in which they are begun.
    async fn carry(self: Rc<Self>, to: K) {
        let mut is_first = true;
        while let Some(parcel) = self.take(&to, std::mem::take(&mut is_first)) {
            (self.deliver)(to.clone(), parcel).await;
        }
    }

    /// What waits longest, with all behind it that can travel with it; nothing, and the carrier has ended, if nothing
    /// waits.
    fn take(self: &Rc<Self>, to: &K, is_first: bool) -> Option<T> {
        let mut open = self.open.borrow_mut();
        let lane = open.get_mut(to).expect("a lane with a carrier is open");
        lane.is_one_empty &= !is_first;
        let Some(mut parcel) = lane.waiting.pop_front() else {
            lane.carriers -= 1;
            if lane.carriers == 0 {
                open.remove(to);
            }
            return None;
        };
        while let Some(next) = lane.waiting.pop_front() {
            if let Err(other) = parcel.join(next) {
                lane.waiting.push_front(other);
                break;
            }
        }
        if lane.calls_another(self.limits.under_way_max) {
            self.begin(to);
        }
        Some(parcel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    /// Numbers that follow each other travel together, up to three of them, if the first one is from 100.
    impl Parcel for Vec<u32> {
        fn join(&mut self, next: Self) -> Result<(), Self> {
            let follows = self[0] >= 100 && self.len() < 3 && self.last().is_some_and(|last| last + 1 == next[0]);
            if !follows {
                return Err(next);
            }
            self.extend(next);
            Ok(())
        }
    }

    type Delivered = Rc<RefCell<Vec<(&'static str, Vec<u32>)>>>;

    struct Stage {
        lanes: Lanes<&'static str, Vec<u32>>,
        delivered: Delivered,
        /// One permit lets one delivery to `slow` end.
        gate: Rc<Semaphore>,
    }

    fn stage(under_way_max: usize, waiting_max: usize) -> Stage {
        let (delivered, gate) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Semaphore::new(0)));
        let (seen, held) = (Rc::clone(&delivered), Rc::clone(&gate));
        let lanes = Lanes::new(LaneLimits { under_way_max, waiting_max }, move |to, item| {
            let (seen, held) = (Rc::clone(&seen), Rc::clone(&held));
            async move {
                if to == "slow" {
                    held.acquire().await.expect("the gate is never closed").forget();
                }
                seen.borrow_mut().push((to, item));
            }
        });
        Stage { lanes, delivered, gate }
    }

    /// Lets everything run that can.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[actix_rt::test]
    async fn a_receiver_gets_everything_in_order_and_its_lane_ends() {
        let stage = stage(1, 100);
        for item in 0..100 {
            stage.lanes.post(&"quick", vec![item]).unwrap();
        }
        settle().await;
        assert_eq!(*stage.delivered.borrow(), (0..100).map(|item| ("quick", vec![item])).collect::<Vec<_>>());
        assert!(stage.lanes.shared.open.borrow().is_empty());
    }

    #[actix_rt::test]
    async fn a_slow_receiver_holds_up_nobody_else() {
        let stage = stage(1, 100);
        stage.lanes.post(&"slow", vec![1]).unwrap();
        stage.lanes.post(&"slow", vec![2]).unwrap();
        stage.lanes.post(&"quick", vec![3]).unwrap();
        settle().await;
        assert_eq!(*stage.delivered.borrow(), [("quick", vec![3])]);
        stage.gate.add_permits(2);
        settle().await;
        assert_eq!(*stage.delivered.borrow(), [("quick", vec![3]), ("slow", vec![1]), ("slow", vec![2])]);
    }

    #[actix_rt::test]
    async fn what_is_too_much_comes_back() {
        let stage = stage(1, 2);
        stage.lanes.post(&"slow", vec![1]).unwrap();
        settle().await;
        stage.lanes.post(&"slow", vec![2]).unwrap();
        stage.lanes.post(&"slow", vec![3]).unwrap();
        assert_eq!(stage.lanes.post(&"slow", vec![4]), Err(vec![4]));
        stage.gate.add_permits(1);
        settle().await;
        assert_eq!(stage.lanes.post(&"slow", vec![5]), Ok(()));
        stage.gate.add_permits(3);
        settle().await;
        assert_eq!(
            *stage.delivered.borrow(),
            [("slow", vec![1]), ("slow", vec![2]), ("slow", vec![3]), ("slow", vec![5])]
        );
    }

    #[actix_rt::test]
    async fn no_more_is_under_way_than_allowed() {
        let stage = stage(2, 100);
        for item in 0..5 {
            stage.lanes.post(&"slow", vec![item]).unwrap();
        }
        settle().await;
        assert_eq!(stage.lanes.shared.open.borrow()["slow"].waiting.len(), 3, "two are under way");
        stage.gate.add_permits(5);
        settle().await;
        assert_eq!(stage.delivered.borrow().len(), 5);
    }

    #[actix_rt::test]
    async fn what_waits_and_can_travel_together_is_delivered_together_and_in_order() {
        let stage = stage(1, 100);
        for item in [100, 101, 102, 103, 7, 8, 104] {
            stage.lanes.post(&"quick", vec![item]).unwrap();
        }
        settle().await;
        let delivered: Vec<Vec<u32>> = stage.delivered.borrow().iter().map(|(_, items)| items.clone()).collect();
        assert_eq!(delivered, [vec![100, 101, 102], vec![103], vec![7], vec![8], vec![104]]);
        assert!(stage.lanes.shared.open.borrow().is_empty());
    }
}
