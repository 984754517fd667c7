//! `cargo xtask test`: all tests, against servers of their own.

use testing::PostgresOptions;

use crate::interrupt;
use crate::program;
use crate::servers::Servers;
use crate::step::{self, answers, command, step};
use crate::workspace;

/// Runs them. Without `arguments` the documentation's examples are tests too.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    interrupt::watch()?;
    if needs_program(arguments) {
        program::build()?;
    }
    let servers = Servers::start(PostgresOptions::for_tests)?;
    let cargo = |words: Vec<&str>| {
        let mut cargo = command("cargo", words);
        cargo.envs(servers.variables());
        if std::env::var_os("CARGO_TARGET_DIR").is_some() {
            // Tests run in their package's directory, from where a relative one leads elsewhere.
            cargo.env("CARGO_TARGET_DIR", workspace::target());
        }
        step::run(cargo)
    };
    if arguments.is_empty() {
        step("test the documentation's examples", || {
            cargo(vec!["test", "--workspace", "--doc"])
        })?;
    }
    let nextest = answers("cargo", &["nextest", "--version"]);
    step("test", || cargo(test_command(nextest, arguments)))
}

fn test_command(nextest: bool, arguments: &[String]) -> Vec<&str> {
    let mut words = if nextest {
        vec!["nextest", "run"]
    } else {
        vec!["test"]
    };
    if !names_packages(arguments) {
        words.push("--workspace");
        // Tests of `vefa` have cargo build the program, too, and in the same place.
        words.extend(["--features", program::FEATURES]);
    }
    if !nextest && arguments.is_empty() {
        // The examples have been tested already.
        words.push("--all-targets");
    }
    words.extend(arguments.iter().map(String::as_str));
    words
}

fn names_packages(arguments: &[String]) -> bool {
    let mut words = arguments.iter();
    words.any(|word| word.starts_with("-p") || word.starts_with("--package"))
}

/// Scenarios of the whole run the program itself. They are tests of this package, which brings the processes.
fn needs_program(arguments: &[String]) -> bool {
    let this_one = |word: &String| word.contains(env!("CARGO_PKG_NAME"));
    !names_packages(arguments) || arguments.iter().any(this_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(nextest: bool, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        test_command(nextest, &arguments).join(" ")
    }

    #[test]
    fn tests_the_whole_workspace_unless_a_package_is_named() {
        assert_eq!(
            words(true, &[]),
            "nextest run --workspace --features vefa/failpoints"
        );
        assert_eq!(
            words(false, &[]),
            "test --workspace --features vefa/failpoints --all-targets"
        );
        assert_eq!(
            words(true, &["kill_9"]),
            "nextest run --workspace --features vefa/failpoints kill_9"
        );
        assert_eq!(words(true, &["-p", "testing"]), "nextest run -p testing");
        assert_eq!(
            words(false, &["--package=testing"]),
            "test --package=testing"
        );
    }
    #[test]
    fn builds_the_program_for_the_tests_that_run_it() {
        let needs = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            needs_program(&arguments)
        };
        assert!(needs(&[]) && needs(&["kill_9"]) && needs(&["-p", "xtask"]));
        assert!(!needs(&["-p", "customers"]) && !needs(&["--package=testing"]));
    }
}
