//! The only place with OS calls.
