#include "distributed/failures.h"

#include <c10/util/Exception.h>

#include <typeinfo>

#include "base/error.h"

namespace isnet {

bool is_communication_failure(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception))
    return error->kind() == ErrorKind::communication;
  if (dynamic_cast<const c10::DistError*>(&exception)) return true;
  // Gloo's exceptions are known by the name of their type only, without its headers.
  return std::string(typeid(exception).name()).find("gloo") != std::string::npos;
}

std::string communication_failure_text(const std::exception& exception) {
  std::string text = exception.what();
  text = text.substr(0, text.find('\n'));
  // Gloo: "[/path/pair.cc:537] Read error [10.0.0.1]:54460: … This is typically caused by …".
  if (const auto place = text.find("[/"); place != std::string::npos)
    if (const auto end = text.find("] ", place); end != std::string::npos) text.erase(place, end + 2 - place);
  if (const auto advice = text.find(" This is typically"); advice != std::string::npos) text.erase(advice);
  // The store's, which hold the run's token.
  if (const auto keys = text.find(", keys: "); keys != std::string::npos) text.erase(keys);
  return text;
}

}  // namespace isnet
