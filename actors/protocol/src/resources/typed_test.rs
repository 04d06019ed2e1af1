//! The text form of resources by class, and their sums.

use super::*;
use crate::resources::{ParseTypedError, Scalar};

fn typed(text: &str) -> TypedResources {
    text.parse().unwrap()
}

#[test]
fn the_text_form_reads_back_the_same() {
    let text = "cpus:4;mem:64;ports:[1-9];gpus[revocable]:2;cpus(ads):2;disk(ads)[mount=/mnt/1,id=v1,shared]:50;\
                mem(ads,dynamic:ads/eu@ops#team=x):0.5;disk[path=/d]:7";
    let read = typed(text);
    assert_eq!(read.parts().count(), 6);
    assert_eq!(typed(&read.to_string()), read);
    let sum = read.quantities().unwrap();
    assert_eq!((sum.scalar("cpus"), sum.scalar("disk")), (Scalar::from_whole(6), Scalar::from_whole(57)));
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let refused = |text: &str| text.parse::<TypedResources>().unwrap_err().to_string();
    assert!(refused("cpus(ads:2").contains("cpus(ads:2"));
    assert!(refused("cpus[fast]:2").contains("\"fast\""));
    assert!(refused("cpus(a b):2").contains("\"a b\""));
    assert!(refused("cpus(a):1;cpus(a):2").contains("twice"));
    assert!(refused("cpus[mount=/x]:1").contains("no disk"));
    assert!(refused("disk[id=v]:1").contains("not reserved"));
    assert!(matches!("cpus(a):x".parse::<TypedResources>(), Err(ParseTypedError::Amount(_))));
}

#[test]
fn classes_are_added_and_taken_apart() {
    let (all, part) = (typed("cpus:2;cpus(a):3"), typed("cpus(a):1"));
    assert!(all.contains(&part) && !typed("cpus:9").contains(&part));
    assert_eq!(all.checked_sub(&part).unwrap(), typed("cpus:2;cpus(a):2"));
    assert_eq!(all.checked_add(&part).unwrap(), typed("cpus:2;cpus(a):4"));
    assert!(part.checked_sub(&all).is_err());
}

#[test]
fn a_class_that_is_listed_twice_is_summed_up() {
    let parts = |texts: &[&str]| texts.iter().flat_map(|text| Vec::from(typed(text))).collect::<Vec<_>>();
    assert_eq!(TypedResources::try_from(parts(&["cpus:2", "cpus:1"])).unwrap(), typed("cpus:3"));
    assert!(TypedResources::try_from(parts(&["ports:[1-2]", "ports:[2-3]"])).is_err());
}

#[test]
fn a_role_takes_of_its_narrowest_reservation_first_and_never_of_what_is_anothers_or_special() {
    let all =
        typed("cpus:4;cpus(a):1;cpus(a,dynamic:a/b):2;cpus(c):9;disk(a):5;disk(a)[id=v]:50;ports:[1-9];ports(a):[3-4]");
    let part = |role: &str, wanted: &str| all.part_for(&role.parse().unwrap(), &wanted.parse().unwrap()).to_string();
    assert_eq!(part("a/b", "cpus:2.5"), "cpus(a):0.5;cpus(a,dynamic:a/b):2");
    assert_eq!(part("a", "cpus:2.5;disk:7"), "cpus:1.5;disk:2;cpus(a):1;disk(a):5");
    assert_eq!(part("a", "ports:[2-3]"), "ports:[2-2];ports(a):[3-3]");
    assert_eq!(part("*", "cpus:99"), "cpus:99");
}

#[test]
fn sums_in_place_are_those_of_copies_and_what_fails_changes_nothing() {
    for (have, other) in
        [("cpus:2;cpus(a):3", "cpus(a):1"), ("cpus:2;mem(a):1", "cpus:2;mem(a):1"), ("cpus:1", "mem:1")]
    {
        let (have, other) = (typed(have), typed(other));
        let mut changed = have.clone();
        assert_eq!(changed.add(&other).map(|()| changed.clone()), have.checked_add(&other));
        let mut changed = have.clone();
        match changed.take(&other) {
            Ok(()) => assert_eq!(Ok(changed), have.checked_sub(&other)),
            Err(error) => assert_eq!((changed, Err(error)), (have.clone(), have.checked_sub(&other))),
        }
    }
}
