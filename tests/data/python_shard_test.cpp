// The Python programs of docs/formats.md write shards and a data set that are read as they were meant.
#include <gmock/gmock.h>

#include <fstream>
#include <map>
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
      GTEST_SKIP() << "SKIPPED, NEEDS h5py in the virtual environment (./setup.sh --with-tests)";
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
        ["u1", "<u2", ">u2", "<f2", ">f2", "<f4", ">f8"], ["u1", "?", "<f2", "<f4", ">f8", None], storages.items(),
        [None, "v108", "v110"], [1, 3]):
    number += 1
    if (storage != "gzip" and number % 7) or number % 11 > 4: continue
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
  EXPECT_GT(count, 100) << name;
}

// What h5py adds to datasets and files besides numbers: scales, attributes of any type, many of them;
// booleans for labels, integers for ids.
TEST_F(PythonShard, WhatElseH5pyPutsIntoAFileDoesNoHarm) {
  ASSERT_EQ(python(R"(
import h5py, numpy as np
images = np.arange(4 * 3 * 6 * 7).reshape(4, 3, 6, 7) % 256
def write(name, add, libver=None, masks=images[:, :1] > 100, **more):
    with h5py.File(name, "w", **({"libver": libver} if libver else {})) as f:
        f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
        for key, value in {"images": images.astype("u1"), "masks": masks, "labels": np.arange(4) % 2, **more}.items():
            f[key] = value
        add(f)
def scales(f):
    for i, name in enumerate(["sample", "channel", "row", "column"]):
        f["images"].dims[i].label = name
        f[name] = np.arange(images.shape[i])
        f[name].make_scale(name)
        f["images"].dims[i].attach_scale(f[name])
        if i == 0: f["labels"].dims[0].attach_scale(f[name])
def attributes(f):
    f.attrs["reference"], f.attrs["yes"] = f["images"].ref, True
    f.attrs["compound"] = np.zeros(2, dtype=[("a", "i4"), ("b", "f8", (3,)), ("c", [("d", "S5")])])
    f.attrs.create("lists", np.array([np.array([1, 2]), np.array([3])], dtype=object), dtype=h5py.vlen_dtype("i4"))
    for place in (f["images"], f["masks"]):
        place.attrs["reference"] = f["images"].ref
        place.attrs["region"] = f["images"].regionref[0:1]
        place.attrs["compound"] = np.zeros(2, dtype=[("a", "i4"), ("b", "f8", (3,)), ("c", [("d", "S5")])])
        place.attrs["names"] = ["a", "bä"]
        place.attrs["list"] = np.array([1, 2])
        place.attrs.create("lists", np.array([np.array([1, 2]), np.array([3])], dtype=object), dtype=h5py.vlen_dtype("i4"))
        place.attrs["half"], place.attrs["yes"], place.attrs["complex"] = np.float16(2), True, 1 + 2j
        place.attrs["none"], place.attrs["opaque"] = h5py.Empty("f4"), np.void(b"abc")
        place.attrs["enumeration"] = np.array(1, dtype=h5py.enum_dtype({"A": 0, "B": 1}, basetype="i2"))
def many(f):
    for i in range(30): f["images"].attrs[f"a{i}"] = i
for libver in (None, "v108", "v110"):
    write(f"scales-{libver}.h5", scales, libver, ids=np.arange(4) + 7)
    write(f"attributes-{libver}.h5", attributes, libver, ids=["7", "8", "9", "10"])
    write(f"many-{libver}.h5", many, libver, ids=np.array([b"7", b"8", b"9", b"10"]))
write("booleans.h5", lambda f: None, labels=np.arange(4) % 2 == 1, ids=np.array([7, 8, 9, 10], dtype=">i2"))
)"),
            "");
  std::vector<std::string> names{"booleans"};
  for (const char* what : {"scales-", "attributes-", "many-"})
    for (const char* libver : {"None", "v108", "v110"}) names.push_back(std::string(what) + libver);
  for (const auto& name : names) {
    SCOPED_TRACE(name);
    const auto split = DataSet(folder / (name + ".h5"), 2).split("all");
    EXPECT_EQ(layout_text(split->layout()), "images 3×6×7 uint8, masks 1×6×7 uint8, one class each");
    std::vector<double> image(3 * 42), mask(42);
    for (std::int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(split->label(i), i % 2);
      EXPECT_EQ(split->id(i), std::to_string(7 + i));
      split->read(i, image.data(), mask.data());
      for (std::int64_t p = 0; p < 126; ++p)
        ASSERT_EQ(image[static_cast<std::size_t>(p)], static_cast<double>((126 * i + p) % 256) / 255);
      for (std::int64_t p = 0; p < 42; ++p)
        ASSERT_EQ(mask[static_cast<std::size_t>(p)], (126 * i + p) % 256 > 100 ? 1 : 0);
    }
  }
}

TEST_F(PythonShard, HalvesAreReadToTheLastBit) {
  ASSERT_EQ(python(R"(
import h5py, numpy as np
bits = np.arange(1 << 16, dtype="u2")
finite = bits[np.isfinite(bits.view("f2"))]
for name, order, options in [("direct", "<", {}), ("library", ">", {}), ("chunk", "<", {"chunks": (1, 1, 64, 62), "compression": "gzip", "shuffle": True})]:
    with h5py.File(name + ".h5", "w") as f:
        f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
        f.create_dataset("images", data=finite[:63488].view("f2").astype(order + "f2").reshape(16, 1, 64, 62), **options)
with open("expected", "wb") as f: f.write(finite[:63488].view("f2").astype("<f8").tobytes())
with h5py.File("infinite.h5", "w") as f:
    f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
    f["images"] = np.array([0, np.inf, np.nan, 1], dtype="f2").reshape(4, 1, 1, 1)
)"),
            "");
  const std::string bytes = read_file(folder / "expected");
  std::vector<double> expected(63488);
  ASSERT_EQ(bytes.size(), expected.size() * 8);
  std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(expected.data()));
  for (const char* name : {"direct.h5", "library.h5", "chunk.h5"}) {
    const auto split = DataSet(folder / name, 1).split("all");
    std::vector<double> image(3 * 64 * 62);
    std::vector<float> single(image.size());
    for (std::int64_t i = 0; i < 16; ++i) {
      split->read(i, image.data(), static_cast<double*>(nullptr));
      split->read(i, single.data(), static_cast<float*>(nullptr));
      for (std::size_t p = 0; p < 64 * 62; ++p) {
        ASSERT_EQ(image[p], expected[static_cast<std::size_t>(i) * 64 * 62 + p])
            << name << " " << i << " " << p;
        ASSERT_EQ(single[p], static_cast<float>(image[p]));
      }
    }
  }
  const auto split = DataSet(folder / "infinite.h5", 1).split("all");
  double pixel[3];
  for (const std::int64_t i : {1, 2})
    EXPECT_THAT(data_refusal([&] { split->read(i, pixel, static_cast<double*>(nullptr)); }),
                ::testing::HasSubstr("not finite"));
}

// Enumerations and indices of chunks as HDF5 1.12 and 2.0 write them are read by HDF5 1.10 in its own words;
// of 1500 chunks an index has pages.
TEST_F(PythonShard, TheNewestFormatOfH5pyIsReadAsTheOldest) {
  ASSERT_EQ(python(R"(
import h5py, itertools, numpy as np
n, random = 1500, np.random.default_rng(1)
images = (random.random((n, 1, 8, 9)) * 256).astype("u1")
for libver, (name, options) in itertools.product(
        ["earliest", "latest"], {"sample": {"chunks": (1, 1, 8, 9)}, "whole": {"chunks": images.shape},
                                 "some": {"chunks": (7, 1, 3, 9), "shuffle": True}, "guessed": {"chunks": True}}.items()):
    with h5py.File(f"{name}-{libver}.h5", "w", libver=libver) as f:
        f.attrs["format"], f.attrs["version"], f.attrs["yes"] = "isnet-shard", 1, True
        f.create_dataset("images", data=images, compression="gzip", **options)
        f.create_dataset("masks", data=images > 99, compression="gzip", **options)
        f["labels"] = images[:, 0, 0, 0] > 99
)"),
            "");
  for (const char* name : {"sample", "whole", "some", "guessed"}) {
    SCOPED_TRACE(name);
    const auto oldest = DataSet(folder / (std::string(name) + "-earliest.h5"), 2).split("all");
    const auto newest = DataSet(folder / (std::string(name) + "-latest.h5"), 2).split("all");
    ASSERT_EQ(newest->size(), 1500);
    EXPECT_EQ(layout_text(newest->layout()), "images 1×8×9 uint8, masks 1×8×9 uint8, one class each");
    EXPECT_EQ(sums(*newest), sums(*oldest));
    for (const std::int64_t i : {0, 1, 1023, 1024, 1499}) EXPECT_EQ(newest->label(i), oldest->label(i));
  }
}

// Every byte of the descriptions counts: a change of one is refused, or changes nothing that is read.
TEST_F(PythonShard, DamageInTheNewestFormatIsRefused) {
  ASSERT_EQ(python(R"(
import h5py, numpy as np
images = np.arange(5 * 12).reshape(5, 1, 3, 4).astype("u1")
with h5py.File("good.h5", "w", libver="latest") as f:
    f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
    f.create_dataset("images", data=images, compression="gzip", chunks=(1, 1, 3, 4))
    f["masks"] = images > 30
)"),
            "");
  const std::string good = read_file(folder / "good.h5");
  const auto expected = sums(*DataSet(folder / "good.h5", 1).split("all"));
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += 7 + at % 6) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (at % 2 ? 0x01 : 0x84));
    std::ofstream(folder / "bad.h5", std::ios::binary) << bad;
    try {
      const auto split = DataSet(folder / "bad.h5", 1).split("all");
      if (split->size() == 5) sums(*split);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << at << ": " << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_EQ(sums(*DataSet(folder / "good.h5", 1).split("all")), expected);
}

TEST_F(PythonShard, WhatCannotBeReadIsNamedWithItsRemedy) {
  ASSERT_EQ(python(R"(
import h5py, numpy as np
images = np.zeros((4, 1, 32, 32), "u1")
def write(name, libver=None, images=images, masks=images, ids=None, **options):
    with h5py.File(name + ".h5", "w", **({"libver": libver} if libver else {})) as f:
        f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
        f.create_dataset("images", data=images, **options)
        f["masks"] = masks
        if ids is not None: f["ids"] = ids
write("lzf", compression="lzf")
write("scaleoffset", scaleoffset=4)
with h5py.File("blosc.h5", "w") as f:  # by its number; no chunk passes through the filter
    f.attrs["format"], f.attrs["version"] = "isnet-shard", 1
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, 1, 32, 32))
    creation.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 1, 1024))
    space = h5py.h5s.create_simple((4, 1, 32, 32))
    dataset = h5py.Dataset(h5py.h5d.create(f.id, b"images", h5py.h5t.STD_U8LE, space, creation))
    for i in range(4): dataset.id.write_direct_chunk((i, 0, 0, 0), bytes(1024), filter_mask=1)
write("half-ids", ids=np.arange(4).astype("f2"))
write("signed", masks=images.astype("i4"))
write("scalar", images=np.uint8(3))
if h5py.version.hdf5_version_tuple >= (2, 0, 0):
    write("growing", "latest", compression="gzip", maxshape=(None, 1, 32, 32))
)"),
            "");
  const std::string older = "libver=('earliest', 'v110')";
  for (const auto& [name, texts] : std::map<std::string, std::vector<std::string>>{
           {"lzf",
            {"/images: compressed by lzf, which this machine's HDF5 does not have", "compression='gzip'"}},
           {"blosc", {"/images: compressed by blosc,", "h5repack -f GZIP=4 IN OUT"}},
           {"scaleoffset", {"/images: compressed by scale-offset", "compression='gzip'"}},
           {"half-ids", {"/ids: stored as float16; expected text, or integers"}},
           {"signed", {"/masks: stored as int32; allowed: bool, uint8, float16, float32, float64"}},
           {"scalar", {"/images: of shape scalar; expected N×Ch×H×W"}},
           {"growing", {"/images: chunks of a dataset that can grow", "libver='latest'", older}}}) {
    if (!std::filesystem::exists(folder / (name + ".h5"))) continue;
    const std::string refusal = data_refusal([&] { DataSet(folder / (name + ".h5"), 1); });
    EXPECT_THAT(refusal, ::testing::HasSubstr(name + ".h5: "));
    for (const auto& text : texts) EXPECT_THAT(refusal, ::testing::HasSubstr(text));
  }
}

}  // namespace
}  // namespace isnet
