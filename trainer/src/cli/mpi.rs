//! `fledge mpi`.

use std::path::PathBuf;

use clap::Subcommand;

use super::CliResult;
use crate::cluster;

/// Prepare training by several processes: the library between fledge and MPI
///
/// `mpirun -n N fledge run RECIPE` and `srun fledge run RECIPE` train with N processes. They find each
/// other through the MPI that is installed there, for which a small library is compiled once.
///
/// Example:
///   fledge mpi build
///   mpirun -n 4 --bind-to none fledge run recipes/quick.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct MpiArgs {
    #[command(subcommand)]
    command: MpiCommand,
}

#[derive(Debug, Subcommand)]
enum MpiCommand {
    Build(BuildArgs),
}

/// Compile the library with the compiler of the MPI whose mpirun or srun will start fledge
///
/// Example:
///   fledge mpi build
///   fledge mpi build --mpicc mpicc.mpich --out mpich/libfledge_mpi.so
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct BuildArgs {
    /// The C compiler of the MPI
    #[arg(long, value_name = "COMPILER", default_value = "mpicc")]
    mpicc: String,
    /// Where to write the library; FLEDGE_MPI_LIBRARY names it in training
    /// [default: beside this program, where it is found]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &MpiArgs) -> CliResult<()> {
    let MpiCommand::Build(BuildArgs { mpicc, out }) = &args.command;
    let path = out.clone().unwrap_or_else(cluster::default_library);
    cluster::build_library(mpicc, &path)?;
    super::print_line(&path.display().to_string())?;
    Ok(())
}
