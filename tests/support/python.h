// The Python whose torch the tests compare with.
#pragma once

#include <fstream>
#include <string>

#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet::testing {

/// Runs a program whose first argument is the folder.
inline ProgramResult python(const TemporaryFolder& folder, const std::string& program) {
  std::ofstream(folder / "program.py") << program;
  return run_program({ISNET_PYTHON, (folder / "program.py").string(), folder.path().string()},
                     {.timeout = std::chrono::seconds(120)});
}

}  // namespace isnet::testing
