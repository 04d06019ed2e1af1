//! Resources: exact sums, refusals and the text form.

use super::*;
use proptest::prelude::*;

fn resources(text: &str) -> Resources {
    text.parse().expect(text)
}

#[test]
fn the_text_form_reads_back_as_written() {
    let text = "cpus:1.5;mem:1024;ports:[1-5,7-9];disks:{a,b}";
    assert_eq!(resources(text).to_string(), text);
}

#[test]
fn an_amount_that_thousandths_cannot_hold_is_refused() {
    for value in ["-1", "-0", "NaN", "inf", "1e3", "0.0005", "1.2345", "", "99999999999999999999", "1.", ".5"] {
        let text = format!("cpus:{value}");
        assert!(text.parse::<Resources>().is_err(), "{text}");
    }
}

#[test]
fn ranges_that_overlap_or_run_backwards_are_refused() {
    for value in ["[5-1]", "[1-5,5-9]", "[1-5", "[a-b]", "{a,a}"] {
        let text = format!("ports:{value}");
        assert!(text.parse::<Resources>().is_err(), "{text}");
    }
    assert_eq!(resources("ports:[1-5,6-9]").to_string(), "ports:[1-9]");
}

#[test]
fn a_shortage_is_named() {
    let error = resources("cpus:1;mem:10").checked_sub(&resources("cpus:2")).expect_err("2 of 1");
    assert_eq!(error.to_string(), "cpus is short: 2 wanted, 1 available");
    let error = resources("ports:[1-5]").checked_sub(&resources("ports:[4-6]")).expect_err("6 is not there");
    assert_eq!(error.to_string(), "ports is short: [4-6] wanted, [1-5] available");
}

#[test]
fn a_sum_that_overflows_or_counts_twice_is_refused() {
    let most = Resources::empty().with_scalar(CPUS, Scalar::from_thousandths(u64::MAX));
    assert!(most.checked_add(&resources("cpus:0.001")).is_err());
    assert!(resources("ports:[1-5]").checked_add(&resources("ports:[5-6]")).is_err());
    assert!(resources("disks:{a}").checked_add(&resources("disks:{a}")).is_err());
}

#[test]
fn what_cannot_be_added_or_taken_changes_nothing() {
    let mut have = resources("cpus:1;mem:10;ports:[1-5];disks:{a}");
    let before = have.clone();
    for bad in ["cpus:1;mem:11", "cpus:1;ports:[5-6]", "cpus:1;disks:{a,b}", "cpus:1;more:1"] {
        assert!(have.take(&resources(bad)).is_err(), "{bad}");
        assert_eq!(have, before, "{bad}");
    }
    for bad in ["cpus:1;ports:[5-6]", "cpus:1;disks:{a,b}"] {
        assert!(have.add(&resources(bad)).is_err(), "{bad}");
        assert_eq!(have, before, "{bad}");
    }
    have.add(&resources("cpus:1;ports:[6-7]")).expect("it is another");
    have.take(&resources("mem:10;disks:{a}")).expect("it is there");
    assert_eq!(have, resources("cpus:2;ports:[1-7]"));
}

fn any_resources() -> impl Strategy<Value = Resources> {
    let ports = proptest::collection::btree_set(0u64..40, 0..20);
    let set = proptest::collection::btree_set("[a-e]", 0..4);
    (0u64..10_000, 0u64..10_000, ports, set).prop_map(|(cpus, mem, ports, set)| {
        let ports = ports.into_iter().map(|port| Range { begin: port, end: port }).collect();
        Resources::empty()
            .with_scalar(CPUS, Scalar::from_thousandths(cpus))
            .with_scalar(MEM, Scalar::from_thousandths(mem))
            .with_ranges(PORTS, Ranges::new(ports).expect("single numbers"))
            .with_set("disks", set)
    })
}

proptest! {
    #[test]
    fn what_is_taken_and_given_back_leaves_the_same(all in any_resources(), part in any_resources()) {
        if let Ok(rest) = all.checked_sub(&part) {
            prop_assert_eq!(rest.checked_add(&part), Ok(all));
        }
    }

    #[test]
    fn what_is_added_can_be_taken_again(one in any_resources(), two in any_resources()) {
        if let Ok(sum) = one.checked_add(&two) {
            prop_assert!(sum.contains(&one) && sum.contains(&two));
            prop_assert_eq!(sum.checked_sub(&two), Ok(one));
        }
    }

    #[test]
    fn any_text_form_reads_back(all in any_resources()) {
        prop_assert_eq!(all.to_string().parse::<Resources>(), Ok(all));
    }
}
