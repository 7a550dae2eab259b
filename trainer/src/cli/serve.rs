//! `fledge serve`.

use std::path::PathBuf;

use super::{CliResult, Failure};
use crate::serve::Server;

/// Serve a built page on this machine
///
/// A small file server for the folder that `trunk build` or `make demo` wrote. Stop it with Ctrl-C.
///
/// Example:
///   fledge serve www/dist --port 8080
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ServeArgs {
    /// Folder with index.html
    folder: PathBuf,
    /// Port; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 makes the page visible to other machines
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
