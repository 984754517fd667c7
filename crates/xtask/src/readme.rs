//! The README's promise, that two commands do everything, is run as printed there.

use std::fs;

use anyhow::{Context, bail};

use crate::workspace;

const PROMISED: [&str; 2] = ["cargo xtask demo", "cargo xtask test"];

/// The commands that README.md prints first; fails unless they are the two that it promises.
pub(crate) fn commands() -> anyhow::Result<Vec<String>> {
    let text =
        fs::read_to_string(workspace::root().join("README.md")).context("reading README.md")?;
    let printed = first_shell_block(&text).context("README.md has no ```sh block")?;
    if printed != PROMISED {
        bail!(
            "README.md's first ```sh block should print {PROMISED:?} alone, and prints {printed:?}"
        );
    }
    Ok(printed.into_iter().map(str::to_owned).collect())
}

/// The lines of the first ```sh block that are not empty; `None` without such a block or without its end.
fn first_shell_block(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == "```sh")?;
    let mut block = Vec::new();
    for line in lines {
        match line {
            "```" => return Some(block),
            "" => {}
            command => block.push(command),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_shell_block_whole() {
        let text = "# Vefa\n\n```text\nno\n```\n\n```sh\ncargo xtask demo\n\n  cargo xtask test\n```\n\n```sh\nlater\n```\n";
        assert_eq!(first_shell_block(text).unwrap(), PROMISED);
    }

    #[test]
    fn sees_a_third_command_and_a_comment() {
        let text = "```sh\n# first\ncargo xtask demo\ncargo xtask test\n```\n";
        assert_eq!(first_shell_block(text).unwrap().len(), 3);
    }

    #[test]
    fn without_a_closed_shell_block_there_are_no_commands() {
        assert_eq!(
            first_shell_block("# Vefa\n```bash\ncargo xtask demo\n```\n"),
            None
        );
        assert_eq!(first_shell_block("```sh\ncargo xtask demo\n"), None);
    }
}
