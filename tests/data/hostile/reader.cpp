// hostile_reader LIST: opens what each line of LIST names and reads all of it, as a command would; prints one
// line for each: "N read BYTES PART…", or "N refused KIND BYTES MESSAGE". BYTES is the largest piece of
// memory asked for at once. A data set's PART…s are sums of its parts, which tell what is equal. Each line N
// is announced by "N begun".
#include "data/data_set.h"
#include "hostile/memory_meter.h"
#include "support/list_reader.h"

namespace isnet::testing {
namespace {

// Fowler, Noll and Vo's sum: nobody attacks the test.
class Sum {
 public:
  void add(const void* bytes, std::size_t count) {
    const auto* at = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ at[i]) * 0x100000001b3u;
  }
  template <typename T>
  void add(const T& value) {
    add(&value, sizeof value);
  }
  std::string text() const { return std::to_string(value_); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

std::string parts_of(const std::string& name, const SplitReader& split) {
  const auto& layout = split.layout();
  std::string parts = " " + name + ".samples=" + std::to_string(split.size());
  std::vector<float> image(static_cast<std::size_t>(3 * layout.pixels()));
  std::vector<float> mask(static_cast<std::size_t>(layout.mask_channels * layout.pixels()));
  std::vector<float> labels(static_cast<std::size_t>(layout.label_classes));
  Sum classes, groups, weights, ids;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    split.read(i, image.data(), mask.data());
    Sum image_sum, mask_sum;
    image_sum.add(image.data(), image.size() * sizeof(float));
    mask_sum.add(mask.data(), mask.size() * sizeof(float));
    const auto number = std::to_string(i);
    parts += " " + name + ".image" + number + "=" + image_sum.text();
    parts += " " + name + ".mask" + number + "=" + mask_sum.text();
    if (layout.labels == LabelKind::single) classes.add(split.label(i));
    if (layout.labels == LabelKind::multi) {
      split.multi_label(i, labels.data());
      classes.add(labels.data(), labels.size() * sizeof(float));
    }
    const auto id = split.id(i);
    ids.add(id.data(), id.size() + 1);
    groups.add(split.group(i).value_or(-1));
    weights.add(split.weight(i));
  }
  return parts + " " + name + ".labels=" + classes.text() + " " + name + ".ids=" + ids.text() + " " + name +
         ".groups=" + groups.text() + " " + name + ".weights=" + weights.text();
}

std::string parts_of(const std::filesystem::path& path) {
  const DataSet data(path);
  std::string parts = " classes=" + std::to_string(data.class_count());
  for (const auto& name : data.split_names()) parts += parts_of(name, *data.split(name));
  try {
    data.verify_checksums();
    parts += " verified=yes";
  } catch (const Error&) {
    parts += " verified=no";
  }
  return parts;
}

std::string answer(const std::filesystem::path& path) {
  MemoryMeter::reset();
  try {
    const auto parts = parts_of(path);
    return "read " + std::to_string(MemoryMeter::largest()) + parts;
  } catch (const Error& error) {
    std::string message = error.what();
    for (auto& c : message)
      if (c == '\n') c = ' ';
    const char* kind = error.kind() == ErrorKind::data ? "data" : "other";
    return std::string("refused ") + kind + " " + std::to_string(MemoryMeter::largest()) + " " + message;
  }
}

}  // namespace
}  // namespace isnet::testing

int main(int count, char** arguments) {
  return isnet::testing::answer_list(count, arguments, rlim_t{1} << 30, 20, isnet::testing::answer);
}
