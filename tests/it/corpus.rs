//! The fuzzers' corpus, through the same functions as the fuzzers' (`fuzz/targets.rs`), with the stable toolchain.

use std::path::Path;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn the_whole_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut size = 0;
    for (name, _) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            size += input.len();
            inputs += 1;
            if std::panic::catch_unwind(|| targets::run(name, &input)).is_err() {
                panic!("{} fails", path.display());
            }
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
    assert!(size < 1024 * 1024, "the corpus is to stay small: {size} bytes");
}
