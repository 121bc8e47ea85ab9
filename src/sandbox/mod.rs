//! The vendor as the documents describe it, for rehearsal.
