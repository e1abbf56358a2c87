#include "base/launcher.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "base/error.h"

namespace isnet {
namespace {

// Variables with which a launcher tells a process its rank and the number of processes.
struct LauncherVariables {
  const char* rank;
  const char* size;
  const char* launcher;
};

// Launchers whose processes Open MPI cannot connect. Those of MPICH and Intel MPI set PMI_*, and MPI_LOCAL*
// for the processes of one host. Cray's tell the number of processes by PMI_SIZE, or not at all.
constexpr std::array<LauncherVariables, 8> foreign{{
    {"PALS_RANKID", "PMI_SIZE", "mpiexec of Cray PALS"},
    {"ALPS_APP_PE", "PMI_SIZE", "aprun of Cray ALPS"},
    {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "the mpirun of MVAPICH2"},
    {"MVP_COMM_WORLD_RANK", "MVP_COMM_WORLD_SIZE", "the mpirun of MVAPICH"},
    {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "jsrun"},
    {"FLUX_TASK_RANK", "FLUX_JOB_SIZE", "flux run"},
    {"PMI_RANK", "PMI_SIZE", "the launcher of another MPI (MPICH, Intel MPI)"},
    {"MPI_LOCALRANKID", "MPI_LOCALNRANKS", "the launcher of another MPI (MPICH, Intel MPI)"},
}};

// PyTorch's launchers. Their names are common words, so only all of them together count.
constexpr LauncherVariables torchrun{"LOCAL_RANK", "WORLD_SIZE", "torchrun, or a launcher like it,"};

bool is_set(const char* name) {
  return !environment(name).empty();
}

[[noreturn]] void refuse(const LauncherVariables& one) {
  const std::string size = environment(one.size);
  fail(
      ErrorKind::usage, one.launcher, " started ", size.empty() ? "one or more" : size, " processes (",
      one.rank,
      " is set), which isnet cannot connect: start them with Open MPI's mpirun (launch/run.sh), or with srun "
      "--mpi=pmix; for one process alone unset ",
      one.rank);
}

// A process that another launcher started together with others would take itself for the only one: each of
// them would train, and write to the same folder.
void refuse_foreign_launcher(bool single_slurm_task) {
  for (const auto& one : foreign) {
    if (!is_set(one.rank)) continue;
    if (is_set(one.size) ? environment(one.size) != "1" : !single_slurm_task) refuse(one);
  }
  if (is_set(torchrun.rank) && is_set(torchrun.size) && environment(torchrun.size) != "1") refuse(torchrun);
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Under mpirun inside a Slurm job SLURM_PROCID and SLURM_NTASKS are those of mpirun's daemon, so Open MPI's
// variables decide first.
bool started_by_mpi_launcher() {
  if (is_set("OMPI_COMM_WORLD_SIZE") || is_set("PMIX_RANK")) return true;
  const std::string tasks = environment("SLURM_STEP_NUM_TASKS");
  if (!tasks.empty() && tasks != "1")
    fail(ErrorKind::usage, "srun started ", tasks,
         " processes that cannot find each other: start them with srun --mpi=pmix, or with mpirun");
  refuse_foreign_launcher(tasks == "1");
  return false;
}

int processes_by_launcher() {
  return std::max(0, std::atoi(environment("OMPI_COMM_WORLD_SIZE").c_str()));
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::optional<std::string> speaker_before_start() {
  std::string rank;
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK",
                           "PALS_RANKID", "ALPS_APP_PE", "SLURM_PROCID", "MPI_LOCALRANKID"})
    if (rank.empty()) rank = environment(name);
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
