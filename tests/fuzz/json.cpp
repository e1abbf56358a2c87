#include "base/json.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::data}, [&] {
    const auto text = fuzz::text_of(data, size);
    const JsonSource source{"input", ErrorKind::data, ""};
    const auto value = parse_json(text, source);
    parse_json<nlohmann::ordered_json>(text, source);
    // What was read can be written, and read again as the same.
    if (parse_json(value.dump(), source) != value) std::abort();
  });
}
