#include "cli/plugin_file.h"

#include "fuzz.h"

namespace {

class Bytes : public isnet::cli::ByteSource {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::string read(std::uint64_t offset, std::uint64_t count) const override {
    if (offset > bytes_.size() || count > bytes_.size() - offset) std::abort();
    return std::string(bytes_.substr(offset, count));
  }

 private:
  std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::usage},
                        [&] { cli::plugin_stamps(Bytes(fuzz::text_of(data, size)), "input"); });
}
