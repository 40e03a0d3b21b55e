//! The program, run as a user would. One binary, since each takes long to link with the engine.

mod article;
mod corrections;
mod dialect;
mod problems;
mod pruning;
mod real;
mod speed;
mod support;
