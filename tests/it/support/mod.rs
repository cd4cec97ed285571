//! What the tests share.

pub mod compare;
pub mod counting;
pub mod devices;
pub mod faulty;
pub mod fuzz;
pub mod inputs;
pub mod oracle;
pub mod oracle_search;
pub mod oracle_sgd;
pub mod oracle_steps;
pub mod problems;
pub mod python;
pub mod shares;
