//! Who started this process, as the environment tells.

/// What a launcher of MPI says in the environment of every process that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// For people.
    pub launcher: &'static str,
    /// How many processes it started.
    pub processes: usize,
    /// Which of them this one is.
    pub rank: usize,
}

/// Launchers with the variables that hold number and rank. Those of MPI come first: their daemons may
/// run in a step of SLURM, whose own variables reach the processes, too.
const LAUNCHERS: [(&str, &str, &str); 5] = [
    (
        "mpirun (Open MPI)",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
    ),
    (
        "mpirun (MVAPICH)",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_RANK",
    ),
    ("mpirun (MPICH)", "PMI_SIZE", "PMI_RANK"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    // Launchers of PMIx alone give a rank, and the size to those who ask in MPI.
    ("the launcher", "PMIX_SIZE", "PMIX_RANK"),
];

/// Who started this process; `None` if no launcher of MPI did.
pub fn launched() -> Option<Launched> {
    launched_by(|name| std::env::var(name).ok())
}

fn launched_by(variable: impl Fn(&str) -> Option<String>) -> Option<Launched> {
    LAUNCHERS.iter().find_map(|&(launcher, size, rank)| {
        let number = |name| variable(name)?.trim().parse().ok();
        Some(Launched {
            launcher,
            processes: number(size)?,
            rank: number(rank).unwrap_or(0),
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<Launched> {
        launched_by(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_launcher_is_known_by_its_variables() {
        assert_eq!(found(&[]), None);
        let open_mpi = found(&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")]);
        let open_mpi = open_mpi.unwrap();
        assert_eq!((open_mpi.processes, open_mpi.rank), (4, 3));
        let mpich = found(&[("PMI_SIZE", "2"), ("PMI_RANK", "1")]).unwrap();
        assert_eq!((mpich.processes, mpich.rank), (2, 1));
        let srun = found(&[("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "5")]).unwrap();
        assert_eq!((srun.launcher, srun.processes, srun.rank), ("srun", 8, 5));
    }

    #[test]
    fn mpirun_inside_a_step_of_slurm_is_mpirun() {
        // The step is that of Open MPI's daemons, one a machine.
        let inner = found(&[
            ("SLURM_STEP_NUM_TASKS", "2"),
            ("SLURM_PROCID", "1"),
            ("OMPI_COMM_WORLD_SIZE", "8"),
            ("OMPI_COMM_WORLD_RANK", "6"),
        ]);
        let inner = inner.unwrap();
        assert_eq!((inner.processes, inner.rank), (8, 6));
    }

    #[test]
    fn a_job_of_slurm_without_a_step_is_one_process() {
        assert_eq!(found(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]), None);
    }
}
