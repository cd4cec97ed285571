//! `deltav export`: a model for other programs.

use std::path::PathBuf;

use clap::Args;

use super::args::one_of;
use super::help;
use super::streams::Streams;
use super::table::bytes;
use crate::data::Side;
use crate::error::Result;
use crate::model::{ExportFormat, Model};
use crate::output::Output;

/// Write a model in a format that other programs read
#[derive(Debug, Args)]
pub(super) struct Export {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    #[arg(long, value_name = "FORMAT", help = help::export_names(), long_help = help::exports())]
    format: String,

    /// Which side a format holds that has only one [default: items]
    #[arg(long, value_name = "SIDE", value_parser = one_of(&Side::BOTH, Side::name))]
    side: Option<Side>,

    /// Where to write it
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

impl Export {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let format = ExportFormat::find(&self.format)?;
        let output = Output::create(&self.out, self.force)?.apart_from([&*self.model])?;
        let written = format.write(&Model::load(&self.model)?, self.side, output)?;
        streams.note(format!("saved {}, {}", self.out.display(), bytes(written)));
        Ok(())
    }
}
