//! The corpus of the fuzz target, which every build hears once.

use crate::counting::most_held;
use crate::samples::corpus;
use odeon_runtime::testkit::hear;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/strangers")
}

#[test]
fn the_corpus_breaks_nothing_and_takes_no_more_than_it_brings() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let most = most_held(|| hear(&bytes));
        assert!(most < 6 * 1024 * 1024 + 4 * bytes.len(), "{}: {most} bytes for {}", path.display(), bytes.len());
        count += 1;
    }
    assert!(count >= corpus().len(), "{count} files");
}

/// FUZZ_CORPUS=write writes them, after a change of the wire format.
#[test]
fn the_samples_are_part_of_the_corpus() {
    for (name, bytes) in corpus() {
        let file = folder().join(name);
        if std::env::var("FUZZ_CORPUS").is_ok_and(|what| what == "write") {
            std::fs::write(&file, &bytes).unwrap();
        }
        let written = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(written, bytes, "{} is not as this build writes it: see FUZZ_CORPUS", file.display());
    }
}
