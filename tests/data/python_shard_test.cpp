// The Python programs of docs/formats.md write shards and a data set that are read as they were meant.
#include <gmock/gmock.h>

#include <fstream>
#include <numeric>
#include <sstream>

#include "base/files.h"
#include "data/data_set.h"
#include "support/process.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::run_process;
using isnet::testing::TemporaryFolder;

// All blocks of Python in docs/formats.md, in their order.
std::vector<std::string> programs_of_the_docs() {
  const std::string docs = read_file(std::filesystem::path(ISNET_TESTS_DIR) / "../docs/formats.md");
  const std::string begin = "\n```python\n", end = "\n```\n";
  std::vector<std::string> programs;
  for (auto at = docs.find(begin); at != std::string::npos; at = docs.find(begin, at)) {
    at += begin.size();
    programs.push_back(docs.substr(at, docs.find(end, at) - at) + "\n");
  }
  return programs;
}

class PythonShard : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string(ISNET_PYTHON).empty() || run({"-c", "import h5py"}) != "")
      GTEST_SKIP() << "SKIPPED FOR WANT OF h5py in the virtual environment (./setup.sh --with-tests)";
  }
  // What it says on stderr, and on stdout; "" if all went well without a word.
  std::string run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), ISNET_PYTHON);
    testing::ProcessOptions options;
    options.timeout = std::chrono::seconds(100);
    options.working_folder = folder.path().string();
    const auto result = run_process(arguments, options);
    return result.out + (result.status == 0 ? "" : "FAILED: " + result.err);
  }
  std::string python(const std::string& program) {
    std::ofstream(folder / "program.py") << program;
    return run({"program.py"});
  }

  TemporaryFolder folder;
};

std::vector<double> sums(const SplitReader& split) {
  const auto& layout = split.layout();
  std::vector<double> image(static_cast<std::size_t>(3 * layout.pixels()));
  std::vector<double> mask(static_cast<std::size_t>(layout.mask_channels * layout.pixels()));
  std::vector<double> result(2, 0);
  for (std::int64_t i = 0; i < split.size(); ++i) {
    split.read(i, image.data(), mask.data());
    // Places count, so that a wrong order is seen.
    for (std::size_t p = 0; p < image.size(); ++p)
      result[0] += image[p] * static_cast<double>((p + 7 * static_cast<std::size_t>(i)) % 101);
    for (std::size_t p = 0; p < mask.size(); ++p)
      result[1] += mask[p] * static_cast<double>((p + 7 * static_cast<std::size_t>(i)) % 101);
  }
  return result;
}

TEST_F(PythonShard, TheProgramsOfTheDocsWriteWhatTheySay) {
  const auto programs = programs_of_the_docs();
  ASSERT_EQ(programs.size(), 3u);
  // The data set's section comes first, and its program takes the shard that the next section writes.
  const auto& by_hand = programs[0];
  const auto& shard = programs[1];
  const auto& everything = programs[2];
  EXPECT_LE(std::count(shard.begin(), shard.end(), '\n'), 10);
  std::istringstream expected(python(shard + R"(
place = lambda v: (np.arange(v[0].size)[None] + 7 * np.arange(12)[:, None]) % 101
print(repr(float((images.reshape(12, -1) / 255 * place(images)).sum())), repr(float((masks.reshape(12, -1) * place(masks)).sum())))
)"));
  {
    const DataSet data(folder / "shard.h5");
    const auto split = data.split("all");
    EXPECT_EQ(split->size(), 12);
    EXPECT_EQ(layout_text(split->layout()), "images 3×32×32 uint8, masks 1×32×32 uint8, one class each");
    EXPECT_EQ(data.class_count(), 3);
    for (std::int64_t i = 0; i < 12; ++i) EXPECT_EQ(split->label(i), i % 3);
    double images = 0, masks = 0;
    expected >> images >> masks;
    const auto read = sums(*split);
    EXPECT_NEAR(read[0], images, 1e-9 * images);
    EXPECT_EQ(read[1], masks);
  }
  ASSERT_EQ(python(everything), "");
  {
    const DataSet data(folder / "everything.h5");
    const auto split = data.split("all");
    EXPECT_EQ(layout_text(split->layout()),
              "images 1×20×24 uint16, masks 4×20×24 uint8 (one for each class), any of 4 classes");
    EXPECT_EQ(split->id(11), "picture 11");
    EXPECT_EQ(split->group(5), 2);
    EXPECT_EQ(split->weight(0), 0.5);
    EXPECT_EQ(split->weight(11), 2);
    sums(*split);
  }
  ASSERT_EQ(python(by_hand), "");
  const DataSet data(folder / "by-hand");
  EXPECT_EQ(data.split_names(), std::vector<std::string>{"train"});
  EXPECT_EQ(data.split("train")->size(), 12);
  EXPECT_EQ(data.description().class_names, (std::vector<std::string>{"a", "b", "c"}));
  data.verify_checksums();
  std::fstream file(folder / "by-hand/train/a.h5", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('x');
  file.close();
  EXPECT_THAT(data_refusal([&] { data.verify_checksums(); }), ::testing::HasSubstr("a.h5: checksum"));
}

// Every type of images and masks × ways of storing × h5py's versions of the format, compared with numpy's
// sums.
TEST_F(PythonShard, AllThatTheTablesAllowIsReadAsH5pyWroteIt) {
  std::istringstream lines(python(R"(
import h5py, itertools, numpy as np
n, random = 5, np.random.default_rng(3)
storages = {"plain": {}, "chunks": {"chunks": True}, "gzip": {"compression": "gzip"},
            "shuffle": {"compression": "gzip", "shuffle": True, "fletcher32": True}, "grow": {"maxshape": (None,) }}
place = lambda v: (np.arange(v[0].size)[None] + 7 * np.arange(n)[:, None]) % 101
number = 0
for kind, mask_kind, (storage, options), libver, channels in itertools.product(
        ["u1", "<u2", ">u2", "<f4", ">f8"], ["u1", "<f4", ">f8", None], storages.items(), [None, "v108", "v110"], [1, 3]):
    if (number := number + 1) % 3 and storage != "gzip": continue
    name = f"{number}.h5"
    images = random.random((n, channels, 6, 7))
    images = (images * 255).astype(kind) if kind[-2] == "u" else images.astype(kind)
    white = {"u1": 255, "u2": 65535}.get(kind[-2:], 1)
    masks = random.integers(0, 2, (n, 1 + number % 2 * 2, 1, 6, 7))
    if number % 2 == 0: masks = masks[:, 0]
    with h5py.File(name, "w", **({"libver": libver} if libver else {})) as f:
        f.attrs["format"], f.attrs["version"] = ("isnet-shard", 1) if number % 5 else (np.bytes_("isnet-shard"), np.int16(1))
        grow = lambda v: {"maxshape": (None, *v.shape[1:])} if storage == "grow" else options
        f.create_dataset("images", data=images, **grow(images))
        if mask_kind:
            stored = (masks * (255 if mask_kind == "u1" else 1)).astype(mask_kind)
            f.create_dataset("masks", data=stored, **grow(stored))
        f["labels"] = (np.arange(n) % 3).astype(["i1", "u1", ">i2", "<u4", ">i8"][number % 5])
        f["ids"] = [f"ä{i}" for i in range(n)] if number % 2 else np.array([f"ä{i}".encode() for i in range(n)])
        f["groups"] = np.arange(n, dtype=["u1", ">i4"][number % 2]) * 3
        f["weights"] = np.arange(n, dtype=["f4", ">f8", "u1", "f2"][number % 4]) + 1
        f["mine"] = np.arange(3)
        f.attrs["mine"] = [True, False]
    colour = np.broadcast_to(images, (n, 3, 6, 7)).reshape(n, -1)
    flat = masks.reshape(n, -1)
    print(name, repr(float((colour.astype("f8") / white * place(colour)).sum())),
          repr(float((flat * place(flat)).sum()) if mask_kind else 0.0))
)"));
  std::string name;
  double images = 0, masks = 0;
  int count = 0;
  while (lines >> name >> images >> masks) {
    SCOPED_TRACE(name);
    const auto split = DataSet(folder / name, 3).split("all");
    ASSERT_EQ(split->size(), 5);
    const auto read = sums(*split);
    EXPECT_NEAR(read[0], images, 1e-9 * images);
    EXPECT_EQ(read[1], masks);
    for (std::int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(split->label(i), i % 3);
      EXPECT_EQ(split->id(i), "ä" + std::to_string(i));
      EXPECT_EQ(split->group(i), 3 * i);
      EXPECT_EQ(split->weight(i), i + 1);
    }
    ++count;
  }
  EXPECT_GT(count, 200) << name;
}

}  // namespace
}  // namespace isnet
