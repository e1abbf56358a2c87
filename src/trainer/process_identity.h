// Which process has written something, and whether it still lives: for locks that processes leave behind.
#pragma once

#include <string>

#include "base/json.h"

namespace isnet {

/// A process, told apart from all others, also from later ones with its number.
struct ProcessIdentity {
  std::string host;     ///< its name, for people
  std::string machine;  ///< boot of the machine, and name space of process numbers; "" where it is not known
  int process = 0;      ///< its number
  std::string started;  ///< when it began, in the machine's ticks
  std::string job;      ///< "cluster/123" within a Slurm job, else ""
  int restart = 0;      ///< how often Slurm has started that job again
  bool operator==(const ProcessIdentity&) const = default;
};

ProcessIdentity this_process();

/// Whether that process is known to have ended: its machine is this one, where no such process runs any more,
/// or Slurm has started its job again as this one. False where nothing is known.
bool has_ended(const ProcessIdentity& process);

void to_json(nlohmann::json& json, const ProcessIdentity& process);
/// Reads what to_json() wrote. Errors: those of JsonFields.
ProcessIdentity process_in(const JsonFields<nlohmann::json>& fields);

}  // namespace isnet
