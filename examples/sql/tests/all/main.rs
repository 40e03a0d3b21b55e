//! Tests of the program and of its parts.

mod article;
mod cli;
mod differential;
mod fuzz;
mod golden;
mod refusals;
mod support;
mod translate;
mod vectors;
