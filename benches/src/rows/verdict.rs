//! One answer with a chain of three, decoded and judged. By the shape of the answer: `cargo bench -p certcollectd-bench`.

use std::io;

use crate::bench::Bench;
use crate::clock;
use crate::figure::Figure;
use crate::judge::Case;
use crate::mock::Authority;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let authority = Authority::new().map_err(io::Error::other)?;
    let case = Case::new(&authority);
    let mut values = Vec::new();
    for _ in 0..bench.many(400, 100) {
        let begin = clock::now();
        case.run();
        values.push(clock::now().since(begin).as_secs_f64() * 1e3);
    }
    Ok(vec![Figure::new("an answer decoded, unpacked and judged", 0.25, "ms", values)])
}
