//! Bytes of strangers: the corpus of the fuzz target, known bombs and damaged streams. None breaks a promise, and none
//! takes more memory than was received.

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod samples;
