// What is known of the program that started this process before MPI is up.
#pragma once

#include <optional>
#include <string>

namespace isnet {

/// A variable of the environment, "" where it is not set.
std::string environment(const char* name);

/// Whether a launcher that speaks MPI started this process (mpirun, srun --mpi=pmix). Errors: usage, when
/// another launcher (srun without PMIx, the mpirun of another MPI) started several processes, which cannot
/// find each other.
bool started_by_mpi_launcher();

/// The number of processes that mpirun says that it started; 0 where it does not say.
int processes_by_launcher();

std::string host_name();

/// For an error before there is a World, which all ranks may have alike (an option that does not exist): rank
/// 0 says it, the others wait for three seconds whether mpirun ends them for it. Returns who speaks, as a
/// prefix for log::Settings ("rank 3 on node1: "; "" in rank 0 and without a launcher), or nothing: say
/// nothing then.
std::optional<std::string> speaker_before_start();

}  // namespace isnet
