//! The fabric as its users see it: peers near and far, links, hostile bytes, supervision, commits.

#[cfg(test)]
mod commits;
#[cfg(test)]
mod delays;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod links;
#[cfg(test)]
mod order;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod runs;
mod schemas;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod supervision;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod watch;
