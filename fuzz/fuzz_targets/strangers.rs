//! Any bytes of a stranger: greetings, frames, bodies, and a whole node that must go on serving.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| odeon_runtime::testkit::hear(bytes));
