//! The engine in a world made from a seed: the promises as invariants.
