//! What a snapshot shows a person.
