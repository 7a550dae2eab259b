//! `fledge serve`.

use std::path::PathBuf;

use super::{CliResult, Failure};
use crate::serve::Server;

/// Serve the built web page on this machine
///
/// A small file server for the folder that `trunk build` or `make demo` wrote. Press Ctrl-C to
/// stop.
///
/// Example:
///   fledge serve www/dist --port 8080
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ServeArgs {
    /// Folder that holds index.html
    folder: PathBuf,
    /// Port to listen on; 0 picks any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; with 0.0.0.0 other machines can reach the page
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
}

pub fn run(args: &ServeArgs) -> CliResult<()> {
    let server = Server::bind(&args.folder, &args.host, args.port)?;
    let address = server
        .address()
        .map_err(Failure::while_doing("the server has no address"))?;
    super::print_line(&format!("http://{address}/"))?;
    server
        .run()
        .map_err(Failure::while_doing("the server stopped"))
}
