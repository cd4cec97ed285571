//! `deltav completions`: what a shell needs to complete commands and flags.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;
use super::streams::{Streams, stdout_error};
use crate::error::Result;

/// Print what a shell needs to complete deltav's commands and flags
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  deltav completions bash > ~/.local/share/bash-completion/completions/deltav
  deltav completions zsh > ~/.zfunc/_deltav             with fpath+=~/.zfunc before compinit
  deltav completions fish > ~/.config/fish/completions/deltav.fish
  deltav completions powershell >> $PROFILE")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "deltav", &mut script);
        streams.out().write_all(&script).map_err(stdout_error)
    }
}
