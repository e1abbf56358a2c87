// The end of a command by an error, as main hands it on.
#pragma once

#include <exception>
#include <string>

namespace isnet {

/// An uncaught error, with what to say and the status to leave with.
struct Failure {
  const std::exception& error;
  std::string message;  ///< one line
  int status = 1;
};

}  // namespace isnet
