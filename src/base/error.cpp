#include "base/error.h"

namespace isnet {

int exit_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return 2;
    case ErrorKind::data:
    case ErrorKind::checkpoint:
      return 3;
    case ErrorKind::runtime:
    case ErrorKind::communication:
    case ErrorKind::internal:
      return 1;
  }
  return 1;
}

}  // namespace isnet
