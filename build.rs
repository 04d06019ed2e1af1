//! How the binary is linked: at a fixed address, where the system has one for it.
//!
//! An agent starts the binary for every executor. Seventy thousand addresses, moved at each start to where the program
//! happens to be, take a quarter of that time and two hundred pages of memory of its own.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
