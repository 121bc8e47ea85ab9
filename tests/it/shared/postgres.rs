//! What is PostgreSQL's own: tables, standbys, warnings, rights.
