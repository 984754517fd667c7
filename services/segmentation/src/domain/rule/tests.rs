//! What the language accepts, what it refuses and where, and what it compiles to.

mod compile;
mod generate;
mod laws;
mod refusals;
