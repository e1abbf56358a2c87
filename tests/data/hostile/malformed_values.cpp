// Values that no shard may hold; chunks that are missing, or hold something else.
#include <zlib.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "hostile/malformed.h"

namespace isnet::testing {

void add_values(ShardMaker& maker) {
  const Parts good;
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (const float value : {std::nanf(""), -std::nanf(""), inf, -inf}) {
    const auto name = std::to_string(value) + (std::signbit(value) ? " (sign)" : "");
    for (const std::size_t at : {0, 17, 63}) {
      std::vector<float> values(samples * side * side, 0.5f);
      values[at] = value;
      for (const char* column : {"images", "masks"})
        maker.refused(
            std::string(column) + " with " + name + " at " + std::to_string(at), {column},
            [&](ShardFile& file) {
              file.dataset(column, {{samples, 1, side, side}, H5T_NATIVE_FLOAT}, values.data());
            },
            std::string("/") + column + ": sample " + std::to_string(at / 16));
    }
    std::vector<double> weights = good.weights;
    weights[2] = value;
    maker.refused(
        "weights with " + name, {"weights"},
        [&](ShardFile& file) { file.dataset("weights", {{samples}, H5T_NATIVE_DOUBLE}, weights.data()); },
        "/weights: sample 2");
  }
  for (const double value : {1.0001, -0.0001, 255.0, 1e300, -1e300}) {
    std::vector<double> values(samples * side * side, 0.5);
    values[33] = value;
    maker.refused(
        "masks with " + cat(value), {"masks"},
        [&](ShardFile& file) {
          file.dataset("masks", {{samples, 1, side, side}, H5T_NATIVE_DOUBLE}, values.data());
        },
        "/masks: sample 2");
  }
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{-256}, -most - 1, std::int64_t{1} << 31,
                                   std::int64_t{1} << 32, most - 1, most}) {
    auto labels = good.labels;
    labels[1] = value;
    maker.refused(
        "label " + std::to_string(value), {"labels"},
        [&](ShardFile& file) { file.dataset("labels", {{samples}, H5T_NATIVE_INT64}, labels.data()); },
        "/labels: sample 1");
  }
  const std::uint64_t beyond[samples] = {0, 1, std::uint64_t{1} << 63, 2};
  maker.refused(
      "label 2^63", {"labels"},
      [&](ShardFile& file) { file.dataset("labels", {{samples}, H5T_NATIVE_UINT64}, beyond); },
      "/labels: sample 2");
  for (const int value : {-1, 2, 127}) {
    std::vector<std::int8_t> labels(samples * classes, 0);
    labels[7] = static_cast<std::int8_t>(value);
    maker.refused(
        "multi-label " + std::to_string(value), {"labels"},
        [&](ShardFile& file) {
          file.dataset("labels", {{samples, classes}, H5T_NATIVE_INT8}, labels.data());
        },
        "/labels: sample 2, class 1");
  }
  std::vector<std::uint8_t> zero_one = good.masks;
  for (auto& value : zero_one) value = value ? 1 : 0;
  maker.refused(
      "masks coded 0 and 1", {"masks"},
      [&](ShardFile& file) {
        file.dataset("masks", {{samples, 1, side, side}, H5T_NATIVE_UINT8}, zero_one.data());
      },
      "multiply the masks by 255");
}

namespace {

std::size_t xor_filter(unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*, void**) {
  return bytes;
}

}  // namespace

void add_chunks(ShardMaker& maker) {
  const Parts good;
  const Shape pixels = {samples, 1, side, side}, one = {1, 1, side, side};
  const auto chunked = [&](const char* column, const Shape& chunk,
                           const std::function<void(hid_t)>& settings) {
    return [=, &good](ShardFile& file) {
      const auto& values = std::string(column) == "images" ? good.images : good.masks;
      file.dataset(column, {pixels, H5T_NATIVE_UINT8, -1, chunk, settings}, values.data());
    };
  };
  const auto deflate = [](hid_t creation) { H5Pset_deflate(creation, 6); };
  const auto shuffled = [](hid_t creation) {
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 6);
    H5Pset_fletcher32(creation);
  };
  for (const char* column : {"images", "masks"}) {
    const std::string name = column;
    maker.equal(name + " in chunks", {column}, chunked(column, one, {}));
    maker.equal(name + " in chunks of 3", {column}, chunked(column, {3, 1, side, 3}, {}));
    maker.equal(name + " deflated", {column}, chunked(column, one, deflate));
    maker.equal(name + " shuffled deflated and summed", {column}, chunked(column, {3, 1, side, 2}, shuffled));
    const H5Z_class2_t filter{H5Z_CLASS_T_VERS, 300, 1, 1, "ours alone", nullptr, nullptr, xor_filter};
    H5Zregister(&filter);
    maker.refused(name + " with a filter that nobody else has", {column},
                  chunked(column, one, [](hid_t creation) { H5Pset_filter(creation, 300, 0, 0, nullptr); }),
                  "/" + name);
    H5Zunregister(300);
    for (const int kind : {0, 1}) {
      maker.refused(name + (kind ? " packed by nbit" : " packed by scale-offset"), {column},
                    chunked(column, one,
                            [kind](hid_t creation) {
                              if (kind)
                                H5Pset_nbit(creation);
                              else
                                H5Pset_scaleoffset(creation, H5Z_SO_INT, H5Z_SO_INT_MINBITS_DEFAULT);
                            }),
                    "use gzip");
    }
    for (const hsize_t left_out : {hsize_t{0}, hsize_t{2}, samples - 1})
      maker.refused(
          name + " without chunk " + std::to_string(left_out), {column},
          [&](ShardFile& file) {
            file.dataset(column, {pixels, H5T_NATIVE_UINT8, -1, one, {}}, nullptr);
            const hid_t id = H5Dopen2(file.id(), column, H5P_DEFAULT);
            for (hsize_t i = 0; i < samples; ++i) {
              const hsize_t offset[] = {i, 0, 0, 0};
              if (i != left_out) H5Dwrite_chunk(id, H5P_DEFAULT, 0, offset, side * side, good.images.data());
            }
            H5Dclose(id);
          },
          "1 of its 4 chunks were never written");
    // Compressed data that are none, too short, too long, and that grow to 64 MiB.
    const auto deflated = [](std::size_t size) {
      std::vector<unsigned char> plain(size, 7), packed(compressBound(size));
      uLongf length = packed.size();
      compress2(packed.data(), &length, plain.data(), plain.size(), 9);
      packed.resize(length);
      return packed;
    };
    const std::vector<std::pair<std::string, std::vector<unsigned char>>> contents = {
        {"garbage", std::vector<unsigned char>(40, 0xAB)},
        {"too little", deflated(side * side - 1)},
        {"too much", deflated(side * side + 1)},
        {"a bomb", deflated(64 << 20)},
        {"half", [&] {
           auto half = deflated(side * side);
           half.resize(half.size() / 2);
           return half;
         }()}};
    for (const auto& [what, content] : contents)
      maker.refused(
          name + " with a chunk of " + what, {column},
          [&, bytes = content](ShardFile& file) {
            chunked(column, one, deflate)(file);
            const hid_t id = H5Dopen2(file.id(), column, H5P_DEFAULT);
            const hsize_t offset[] = {2, 0, 0, 0};
            H5Dwrite_chunk(id, H5P_DEFAULT, 0, offset, bytes.size(), bytes.data());
            H5Dclose(id);
          },
          "/" + name);
  }
}

}  // namespace isnet::testing
