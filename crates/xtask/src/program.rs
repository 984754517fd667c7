//! The `vefa` program for the tasks and tests that run it, built the same for all of them.

use crate::step::{self, command, step};

/// With what tests need. One build serves demo, tests and torture, so that a fresh clone compiles once.
const BUILD: [&str; 5] = ["build", "--package", "vefa", "--features", FAILPOINTS];
const FAILPOINTS: &str = "failpoints";
/// The same for a build of the whole workspace.
pub(crate) const FEATURES: &str = "vefa/failpoints";

/// Builds it, with failpoints. A release build cannot have them.
pub(crate) fn build() -> anyhow::Result<()> {
    step("build Vefa", || step::run(command("cargo", BUILD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The features with which cargo would compile the crate `fail`.
    fn features_of_fail(features: &[&str]) -> String {
        let mut tree = command("cargo", ["tree", "--locked", "--package", "vefa"]);
        tree.args(["--edges", "normal,build", "--prefix", "none"]);
        tree.args(["--format", "{p} {f}"]).args(features);
        let output = tree.output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        let mut lines = listed.lines();
        let of_fail = lines.find(|line| line.starts_with("fail v"));
        of_fail.expect("vefa depends on it").to_owned()
    }

    #[test]
    fn a_build_that_does_not_ask_for_failpoints_has_none() {
        let without = features_of_fail(&[]);
        assert!(!without.contains(FAILPOINTS), "{without}");
        let with = features_of_fail(&["--features", FAILPOINTS]);
        assert!(with.contains(FAILPOINTS), "{with}");
    }
}
