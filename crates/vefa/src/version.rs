//! Which program this is.

/// Told to the compiler by whoever builds: an image is built from files without their repository.
const COMMIT: Option<&str> = option_env!("VEFA_COMMIT");

pub(crate) fn commit() -> &'static str {
    let commit = COMMIT.filter(|commit| !commit.is_empty());
    commit.unwrap_or("unknown")
}

#[expect(clippy::print_stdout, reason = "it is what the command is for")]
pub(crate) fn print() {
    println!("vefa {} (commit {})", env!("CARGO_PKG_VERSION"), commit());
}
