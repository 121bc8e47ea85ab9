//! What the sandbox promises, shown from outside.
