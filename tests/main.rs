//! The one integration binary: each test module on a line.

mod agreement;
mod golden;
mod worlds;
