#include "trainer/process_identity.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/launcher.h"

namespace isnet {
namespace {

std::string first_line_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Numbers of processes are those of a name space, and begin anew when a machine boots.
std::string this_machine() {
  const std::string boot = first_line_of("/proc/sys/kernel/random/boot_id");
  std::error_code code;
  const auto numbers = std::filesystem::read_symlink("/proc/self/ns/pid", code);
  return boot.empty() || code ? std::string() : cat(boot, " ", numbers.string());
}

// proc(5): the fields of /proc/N/stat after the command's name, which may hold blanks: state, …, and as the
// 20th the start in ticks.
std::vector<std::string> fields_of(int process) {
  const std::string line = first_line_of(cat("/proc/", process, "/stat"));
  const auto name_end = line.rfind(')');
  std::vector<std::string> fields;
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(line.substr(name_end + 1));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

constexpr std::size_t state_field = 0, start_field = 19;

}  // namespace

ProcessIdentity this_process() {
  ProcessIdentity self;
  self.host = host_name();
  self.machine = this_machine();
  self.process = ::getpid();
  if (const auto fields = fields_of(self.process); fields.size() > start_field)
    self.started = fields[start_field];
  if (const std::string job = environment("SLURM_JOB_ID"); !job.empty())
    self.job = environment("SLURM_CLUSTER_NAME") + "/" + job;
  self.restart = std::atoi(environment("SLURM_RESTART_COUNT").c_str());
  return self;
}

bool has_ended(const ProcessIdentity& process) {
  const ProcessIdentity self = this_process();
  if (!process.job.empty() && process.job == self.job && process.restart < self.restart) return true;
  if (process.process <= 0 || process.machine.empty() || process.machine != self.machine) return false;
  if (::kill(process.process, 0) != 0) return errno == ESRCH;
  const auto fields = fields_of(process.process);
  if (fields.size() <= start_field) return false;
  const bool gone = fields[state_field] == "Z" || fields[state_field] == "X";
  return gone || fields[start_field] != process.started;
}

void to_json(nlohmann::json& json, const ProcessIdentity& process) {
  json = {{"host", process.host},       {"machine", process.machine}, {"process", process.process},
          {"started", process.started}, {"job", process.job},         {"restart", process.restart}};
}

ProcessIdentity process_in(const JsonFields<nlohmann::json>& fields) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  ProcessIdentity process;
  process.host = fields.text("host");
  process.machine = fields.text("machine");
  process.process = static_cast<int>(fields.integer("process", 1, most));
  process.started = fields.text("started");
  process.job = fields.text("job");
  process.restart = static_cast<int>(fields.integer("restart", -most, most));
  return process;
}

}  // namespace isnet
