#include "distributed/mpi_leftovers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/launcher.h"

namespace isnet {
namespace {

constexpr std::string_view deleted_mark = " (deleted)";

bool is_own(const std::filesystem::path& path) {
  struct stat state{};
  return ::lstat(path.c_str(), &state) == 0 && state.st_uid == ::geteuid();
}

// This process's segment among those of its host, which it has all mapped:
// FOLDER/vader_segment.HOST.UID.JOB.N, in Open MPI 5 sm_segment.…, where N is its local rank.
std::vector<std::string> own_segments(int local_rank, bool deleted) {
  std::vector<std::string> found;
  const std::string number = cat(".", local_rank);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::string path = line.substr(slash);
    if (path.ends_with(deleted_mark) != deleted) continue;
    if (deleted) path.resize(path.size() - deleted_mark.size());
    const std::string name = path.substr(path.rfind('/') + 1);
    const bool segment = name.starts_with("vader_segment.") || name.starts_with("sm_segment.");
    if (segment && name.ends_with(number) && std::find(found.begin(), found.end(), path) == found.end())
      found.push_back(path);
  }
  return found;
}

// "pid.4711" → 4711; 0 for other names.
pid_t launcher_of(const std::string& session) {
  return session.starts_with("pid.") ? static_cast<pid_t>(std::atoi(session.c_str() + 4)) : 0;
}

}  // namespace

void unname_mpi_segment(MPI_Comm local, int local_rank) {
  int size = 1;
  MPI_Comm_size(local, &size);
  // Ranks attach to each other with their first message.
  std::vector<char> sent(static_cast<std::size_t>(size)), received(sent.size());
  MPI_Alltoall(sent.data(), 1, MPI_CHAR, received.data(), 1, MPI_CHAR, local);
  MPI_Barrier(local);
  for (const auto& segment : own_segments(local_rank, false))
    if (is_own(segment)) ::unlink(segment.c_str());
}

void rename_mpi_segment() {
  MPI_Comm local = MPI_COMM_NULL;
  int local_rank = 0;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank);
  MPI_Comm_free(&local);
  for (const auto& segment : own_segments(local_rank, true))
    if (const int file = ::open(segment.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600); file >= 0)
      ::close(file);
}

void remove_stale_mpi_sessions() {
  const std::filesystem::path own = environment("PMIX_SERVER_TMPDIR");  // …/ompi.HOST.UID/pid.N
  const auto sessions = own.parent_path();
  if (launcher_of(own.filename().string()) == 0 || !sessions.filename().string().starts_with("ompi.") ||
      !is_own(sessions))
    return;
  std::error_code code;
  for (auto entry = std::filesystem::directory_iterator(sessions, code);
       !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    const auto& path = entry->path();
    const pid_t launcher = launcher_of(path.filename().string());
    std::error_code ignored;
    if (launcher > 0 && is_own(path) && ::kill(launcher, 0) != 0 && errno == ESRCH)
      std::filesystem::remove_all(path, ignored);
  }
}

}  // namespace isnet
