#include "trainer/checkpoint_state.h"

#include "base/json.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::checkpoint}, [&] {
    const auto state = parse_json(fuzz::text_of(data, size), {"input", ErrorKind::checkpoint, ""});
    check_checkpoint_state(state, "input");
    check_position(state, {4, Accumulation(2), false}, "input");
  });
}
