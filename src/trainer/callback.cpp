#include "trainer/callback.h"

#include <algorithm>

#include "base/error.h"

namespace isnet {

Registry<CallbackFactory>& callbacks() {
  static Registry<CallbackFactory> registry("callback");
  return registry;
}

Registry<CallbackFactory>& loggers() {
  static Registry<CallbackFactory> registry("logger");
  return registry;
}

std::vector<OptionSpec> callback_options() {
  std::string names;
  for (const auto& name : loggers().names()) names += (names.empty() ? "" : ",") + name;
  std::vector<OptionSpec> options{
      of_this_machine(text_option("logger", "csv", names, "Where metrics go; several are separated by commas"))};
  for (auto& more : {loggers().options(), callbacks().options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

std::vector<std::shared_ptr<Callback>> make_callbacks(const CallbackContext& context) {
  std::vector<std::shared_ptr<Callback>> result;
  const auto add = [&](const Strategy<CallbackFactory>& strategy) {
    if (auto callback = strategy.make(context)) result.push_back(std::move(callback));
  };
  for (const auto& name : callbacks().names()) add(callbacks().at(name));
  if (!context.options.has("logger")) return result;
  for (const auto& name : context.options.list("logger")) add(loggers().at(name));
  return result;
}

}  // namespace isnet
