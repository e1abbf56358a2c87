#include "run/split_names.h"

#include <algorithm>

#include "base/error.h"
#include "data/split_names.h"

namespace isnet {

std::string validation_split(const OptionValues& options, const std::vector<std::string>& known,
                             const std::string& where) {
  const auto has = [&](const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  if (options.has("validation-split")) {
    if (!has(options.text("validation-split")))
      fail(ErrorKind::usage, "--validation-split: ", where, " has no split '",
           options.text("validation-split"), "'");
    return options.text("validation-split");
  }
  for (const auto& name : known)
    if (canonical_split_name(name) == "val") return name;
  fail(ErrorKind::usage,
       "--calibrate, --operating-points and --implicit-class choose on validation samples, and ", where,
       " has no split val; name another with --validation-split (--predictions: give "
       "--validation-predictions)");
}

}  // namespace isnet
