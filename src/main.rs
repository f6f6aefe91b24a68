//! The `sanma` command.

fn main() -> std::process::ExitCode {
    sanma::cli::main()
}
