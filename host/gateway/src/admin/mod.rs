//! The two ways in for the operator.

pub mod protocol;
