// The options that a weights file or a checkpoint carries, up to the network that they describe.
#include "run/stored_options.h"

#include <ATen/ATen.h>

#include "fuzz.h"
#include "model/network.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::checkpoint}, [&] {
    auto specs = networks().options();
    specs.push_back(text_option("network", "resnet", "NAME", ""));
    specs.push_back(real_option("dropout", "0", "", 0, 1));
    std::vector<std::string> names;
    for (const auto& spec : specs) names.push_back(spec.name);
    OptionValues options(specs);
    const isnet::StoredOptions stored("input", std::string(fuzz::text_of(data, size)));
    const Blame blame("input", stored.adopt_into(options, names), {});
    // What goes by no option of the file is larger than these tensors, and no fault of it.
    if (!options.given("blocks") && !options.given("layers")) return;
    blame.limited({{"weight", at::zeros({10})}},
                  [&] { networks().at(options.text("network")).make(options, 2); });
  });
}
