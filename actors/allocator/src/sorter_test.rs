//! The order of clients, charge by charge; what is offered to them is tested with the allocator.

use super::*;
use crate::kinds::Kinds;
use crate::totals::Amounts;
use odeon_protocol::resources::Scalar;

/// A sorter with the totals that an allocator would hold beside it.
struct Bench {
    kinds: Kinds,
    totals: Totals,
    sorter: Sorter<&'static str>,
    leaves: BTreeMap<&'static str, Slot<Node<&'static str>>>,
}

impl Bench {
    fn new(total: &str) -> Self {
        let (kinds, totals) = (Kinds::default(), Totals::default());
        let mut bench = Self { kinds, totals, sorter: Sorter::new(BTreeMap::new(), None), leaves: BTreeMap::new() };
        bench.grow(total);
        bench
    }

    fn with(mut self, paths: &[&'static str]) -> Self {
        for path in paths {
            let leaf = self.sorter.insert(path, *path);
            self.sorter.set_active(leaf, true, &self.totals);
            self.leaves.insert(path, leaf);
        }
        self
    }

    fn amounts(&mut self, text: &str) -> Amounts {
        let bundle = self.kinds.bundle(&text.parse().unwrap());
        self.kinds.amounts(&bundle, |_| true)
    }

    fn grow(&mut self, text: &str) {
        let amounts = self.amounts(text);
        self.totals.add(&amounts);
    }

    fn charge(&mut self, path: &str, text: &str) {
        let amounts = self.amounts(text);
        self.sorter.charge(self.leaves[path], &amounts, &self.totals);
    }

    fn credit(&mut self, path: &str, text: &str) {
        let amounts = self.amounts(text);
        self.sorter.credit(self.leaves[path], &amounts, &self.totals);
    }

    fn order(&mut self) -> Vec<&'static str> {
        self.sorter.refresh(&self.totals);
        let mut order = Vec::new();
        self.sorter.first(|client| {
            order.push(client);
            None::<()>
        });
        order
    }
}

#[test]
fn the_largest_part_of_any_scalar_decides() {
    let mut bench = Bench::new("cpus:100;mem:100").with(&["a", "b", "c"]);
    bench.charge("a", "cpus:5;mem:5");
    bench.charge("b", "cpus:1;mem:6");
    assert_eq!(bench.order(), ["c", "a", "b"]);
    bench.charge("c", "cpus:7");
    assert_eq!(bench.order(), ["a", "b", "c"]);
}

#[test]
fn equal_shares_go_by_grants_then_by_path() {
    let mut bench = Bench::new("cpus:10").with(&["b", "a"]);
    assert_eq!(bench.order(), ["a", "b"]);
    bench.charge("a", "cpus:1");
    bench.credit("a", "cpus:1");
    assert_eq!(bench.order(), ["b", "a"]);
}

#[test]
fn what_is_allocated_below_counts_above() {
    let mut bench = Bench::new("cpus:100").with(&["a/b", "a/c", "d/e", "d/f"]);
    bench.charge("a/b", "cpus:3");
    bench.charge("d/e", "cpus:1");
    bench.charge("d/f", "cpus:1");
    assert_eq!(bench.order(), ["d/e", "d/f", "a/c", "a/b"]);
}

#[test]
fn the_own_clients_of_an_inner_node_are_a_sibling_of_its_children() {
    let mut bench = Bench::new("cpus:100").with(&["a/.", "a/b/.", "z/."]);
    bench.charge("a/.", "cpus:2");
    assert_eq!(bench.order(), ["z/.", "a/b/.", "a/."]);
    bench.charge("a/b/.", "cpus:3");
    bench.charge("z/.", "cpus:9");
    assert_eq!(bench.order(), ["a/.", "a/b/.", "z/."]);
}

#[test]
fn a_weight_divides_at_any_level_and_before_there_is_a_client() {
    let two = Weight::new(Scalar::from_whole(2)).unwrap();
    let mut bench = Bench::new("cpus:100");
    bench.sorter.set_weight("x/b", two, &bench.totals);
    let mut bench = bench.with(&["x/a", "x/b", "y"]);
    for path in ["x/a", "x/b", "y"] {
        bench.charge(path, "cpus:3");
    }
    assert_eq!(bench.order(), ["y", "x/b", "x/a"]);
    bench.sorter.set_weight("x", Weight::new(Scalar::from_whole(3)).unwrap(), &bench.totals);
    assert_eq!(bench.order(), ["x/b", "x/a", "y"]);
}

#[test]
fn inactive_clients_are_skipped_but_still_count_above() {
    let mut bench = Bench::new("cpus:100").with(&["a/b", "a/c", "d"]);
    bench.charge("a/b", "cpus:9");
    bench.charge("d", "cpus:1");
    bench.sorter.set_active(bench.leaves["a/b"], false, &bench.totals);
    assert_eq!(bench.order(), ["d", "a/c"]);
    bench.sorter.set_active(bench.leaves["a/c"], false, &bench.totals);
    assert_eq!(bench.order(), ["d"]);
}

#[test]
fn a_change_of_the_totals_changes_which_scalar_is_dominant() {
    let mut bench = Bench::new("cpus:10;mem:100").with(&["a", "b"]);
    bench.charge("a", "cpus:2");
    bench.charge("b", "mem:19");
    assert_eq!(bench.order(), ["b", "a"]);
    bench.grow("cpus:90");
    assert_eq!(bench.order(), ["a", "b"]);
}

#[test]
fn removing_the_last_client_removes_its_path() {
    let mut bench = Bench::new("cpus:10").with(&["a/b/c", "a/d"]);
    bench.sorter.remove(bench.leaves["a/b/c"], &bench.totals);
    assert_eq!(bench.order(), ["a/d"]);
    assert_eq!(bench.sorter.inner().map(Node::path).collect::<Vec<_>>(), ["a"]);
    bench.sorter.remove(bench.leaves["a/d"], &bench.totals);
    assert_eq!((bench.order().len(), bench.sorter.inner().count(), bench.sorter.is_active()), (0, 0, false));
}
