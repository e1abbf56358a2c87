#include "base/launcher.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "base/error.h"

namespace isnet {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Under mpirun inside a Slurm job SLURM_PROCID and SLURM_NTASKS are those of mpirun's daemon, so OMPI_*
// decides first.
bool started_by_mpi_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"})
    if (!environment(name).empty()) return true;
  const std::string tasks = environment("SLURM_STEP_NUM_TASKS");
  if (!tasks.empty() && tasks != "1")
    fail(ErrorKind::usage, "srun started ", tasks,
         " processes that cannot find each other: start them with srun --mpi=pmix, or with mpirun");
  return !environment("PMI_RANK").empty() && tasks.empty();
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::optional<std::string> speaker_before_start() {
  std::string rank = environment("OMPI_COMM_WORLD_RANK");
  if (rank.empty()) rank = environment("PMIX_RANK");
  if (rank.empty() || rank == "0") return "";
  // mpirun begins to end a rank with SIGCONT; SIGTERM comes later (odls_base_sigkill_timeout).
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGCONT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  const timespec patience{3, 0};
  if (::sigtimedwait(&ending, nullptr, &patience) == SIGCONT) return std::nullopt;
  return cat("rank ", rank, " on ", host_name(), ": ");
}

}  // namespace isnet
