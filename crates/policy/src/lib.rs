//! The rules: when to dump and what to keep, in given time.
