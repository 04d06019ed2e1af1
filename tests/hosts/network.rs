//! Hosts on one wire: namespaces, each with a veth pair into a bridge, whose ways to each other can be cut.
//!
//! A cut is silent, as on a broken wire: packets are sent to a hardware address that nobody has.

use super::namespace::Namespace;

/// The place of the person who looks at the cluster; hosts count from 1.
pub(crate) const DESK: usize = 0;

/// A hardware address that nobody has.
const NOBODY: &str = "02:00:00:00:ff:ff";

/// Some hosts, and the desk.
pub(crate) struct Network {
    /// The bridge.
    _wire: Namespace,
    places: Vec<Namespace>,
}

impl Network {
    /// Joins so many hosts and the desk.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub(crate) fn of(host_count: usize) -> Result<Self, String> {
        let wire = Namespace::new()?;
        wire.ip("link set lo up\nlink add wire type bridge\nlink set wire up\n")?;
        let places = (0..=host_count).map(|_| Namespace::new()).collect::<Result<Vec<_>, _>>()?;
        for (place, namespace) in places.iter().enumerate() {
            let pair = format!(
                "link add port{place} type veth peer name eth0 address {} netns {}\n",
                hardware(place),
                namespace.path()
            );
            wire.ip(&format!("{pair}link set port{place} master wire up\n"))?;
            let own = format!("link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n", address(place));
            namespace.ip(&own)?;
        }
        let network = Self { _wire: wire, places };
        network.heal()?;
        Ok(network)
    }

    /// A place: [`DESK`] or the number of a host.
    pub(crate) fn at(&self, place: usize) -> &Namespace {
        &self.places[place]
    }

    /// Every place but these.
    pub(crate) fn others(&self, places: &[usize]) -> Vec<usize> {
        (0..self.places.len()).filter(|place| !places.contains(place)).collect()
    }

    /// From now on no packet comes from one of these places to one of those.
    pub(crate) fn cut_one_way(&self, from: &[usize], to: &[usize]) {
        for sender in from {
            let ways = to.iter().map(|receiver| way(*receiver, NOBODY)).collect::<String>();
            self.places[*sender].ip(&ways).expect("ways that were made can be changed");
        }
    }

    /// From now on no packet passes between these places and those.
    pub(crate) fn cut(&self, some: &[usize], others: &[usize]) {
        self.cut_one_way(some, others);
        self.cut_one_way(others, some);
    }

    /// Every place reaches every other again.
    ///
    /// # Errors
    /// What `ip` says.
    pub(crate) fn heal(&self) -> Result<(), String> {
        for (place, namespace) in self.places.iter().enumerate() {
            let ways = self.others(&[place]).into_iter().map(|other| way(other, &hardware(other)));
            namespace.ip(&ways.collect::<String>())?;
        }
        Ok(())
    }
}

/// The address of a place.
pub(crate) fn address(place: usize) -> String {
    format!("10.77.0.{}", place + 1)
}

fn hardware(place: usize) -> String {
    format!("02:00:00:00:00:{:02x}", place + 1)
}

fn way(to: usize, hardware: &str) -> String {
    format!("neigh replace {} lladdr {hardware} nud permanent dev eth0\n", address(to))
}
