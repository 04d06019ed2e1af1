//! Draws clients one after the other, without putting back, in proportion to their tickets.
//!
//! Only as many are drawn as are asked for, each in logarithmic time.

use crate::random::Random;

/// Clients with tickets, and sums of tickets in a Fenwick tree.
#[derive(Debug)]
pub(crate) struct Lottery<C> {
    tickets: Vec<(C, u64)>,
    sums: Vec<u64>,
}

impl<C> Lottery<C> {
    /// The tickets of all clients together; there is room above for those that are rounded up to one.
    pub(crate) const WHOLE: u64 = 1 << 48;
}

impl<C: Copy> Lottery<C> {
    pub(crate) fn new(tickets: Vec<(C, u64)>) -> Self {
        let mut sums = vec![0; tickets.len() + 1];
        for (index, (_, count)) in tickets.iter().enumerate() {
            add(&mut sums, index, *count);
        }
        Self { tickets, sums }
    }

    /// The answer of the first client drawn that gives one.
    pub(crate) fn draw<R>(&self, random: &mut Random, mut answer: impl FnMut(C) -> Option<R>) -> Option<R> {
        let mut sums = self.sums.clone();
        let mut left: u64 = self.tickets.iter().map(|(_, count)| count).sum();
        while left > 0 {
            let index = find(&sums, random.below(left));
            let (client, count) = self.tickets[index];
            if let Some(answer) = answer(client) {
                return Some(answer);
            }
            sub(&mut sums, index, count);
            left -= count;
        }
        None
    }
}

fn add(sums: &mut [u64], index: usize, count: u64) {
    let mut at = index + 1;
    while at < sums.len() {
        sums[at] += count;
        at += at & at.wrapping_neg();
    }
}

fn sub(sums: &mut [u64], index: usize, count: u64) {
    let mut at = index + 1;
    while at < sums.len() {
        sums[at] -= count;
        at += at & at.wrapping_neg();
    }
}

/// The index whose tickets the number falls on.
fn find(sums: &[u64], mut number: u64) -> usize {
    let mut at = 0;
    let mut step = sums.len().next_power_of_two();
    while step > 0 {
        if let Some(sum) = sums.get(at + step).filter(|sum| **sum <= number) {
            number -= sum;
            at += step;
        }
        step /= 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_drawn_once_if_nobody_answers() {
        let lottery = Lottery::new((0..20).map(|client| (client, u64::from(client) + 1)).collect());
        let mut drawn = Vec::new();
        lottery.draw(&mut Random::new(5), |client| {
            drawn.push(client);
            None::<()>
        });
        drawn.sort_unstable();
        assert_eq!(drawn, (0..20).collect::<Vec<u32>>());
    }

    #[test]
    fn who_has_three_times_the_tickets_is_first_three_times_as_often() {
        let lottery = Lottery::new(vec![('a', 1), ('b', 3)]);
        let mut random = Random::new(1);
        let wins = (0..4000).filter(|_| lottery.draw(&mut random, Some) == Some('b')).count();
        assert!((2850..3150).contains(&wins), "{wins}");
    }
}
