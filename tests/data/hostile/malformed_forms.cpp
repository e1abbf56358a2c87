// Datasets of all types, byte orders, ranks and extents.
#include "hostile/malformed.h"

namespace isnet::testing {
namespace {

struct NamedType {
  std::string name;
  hid_t id;
  std::set<std::string> allowed;  // columns that take it
};

std::vector<NamedType> types() {
  const std::set<std::string> integers = {"labels", "groups", "weights", "ids"};
  auto integers_and_images = integers, pixels = integers;
  integers_and_images.insert("images");
  pixels.insert({"images", "masks"});
  auto booleans = integers;
  booleans.insert("masks");
  const std::set<std::string> numbers = {"weights", "images", "masks"};
  const hid_t variable = H5Tcopy(H5T_C_S1);
  H5Tset_size(variable, H5T_VARIABLE);
  const hid_t compound = H5Tcreate(H5T_COMPOUND, 8);
  H5Tinsert(compound, "a", 0, H5T_NATIVE_INT32);
  H5Tinsert(compound, "b", 4, H5T_NATIVE_INT32);
  const hsize_t two = 2;
  const hid_t array = H5Tarray_create2(H5T_NATIVE_INT32, 1, &two);
  const hid_t enumeration = H5Tenum_create(H5T_NATIVE_INT8);
  std::int8_t value = 0;
  H5Tenum_insert(enumeration, "FALSE", &value);
  value = 1;
  H5Tenum_insert(enumeration, "TRUE", &value);
  const hid_t opaque = H5Tcreate(H5T_OPAQUE, 4);
  H5Tset_tag(opaque, "tag");
  const hid_t twelve = H5Tcopy(H5T_NATIVE_UINT16);
  H5Tset_precision(twelve, 12);
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  const hid_t list = H5Tvlen_create(H5T_NATIVE_INT32);
  return {{"int8", H5T_STD_I8LE, integers},
          {"uint8", H5T_STD_U8LE, pixels},
          {"int16", H5T_STD_I16LE, integers},
          {"uint16", H5T_STD_U16LE, integers_and_images},
          {"int32", H5T_STD_I32LE, integers},
          {"uint32", H5T_STD_U32LE, integers},
          {"int64", H5T_STD_I64LE, integers},
          {"uint64", H5T_STD_U64LE, integers},
          {"int16 big-endian", H5T_STD_I16BE, integers},
          {"uint16 big-endian", H5T_STD_U16BE, integers_and_images},
          {"int64 big-endian", H5T_STD_I64BE, integers},
          {"float32", H5T_IEEE_F32LE, numbers},
          {"float64", H5T_IEEE_F64LE, numbers},
          {"float32 big-endian", H5T_IEEE_F32BE, numbers},
          {"float64 big-endian", H5T_IEEE_F64BE, numbers},
          {"float16", half, numbers},
          {"12 bits of 16", twelve, {}},
          {"VAX float", H5T_VAX_F32, {}},
          {"bit field", H5T_STD_B8LE, {}},
          {"fixed text", fixed_text(3), {"ids"}},
          {"variable text", variable, {"ids"}},
          {"compound", compound, {}},
          {"array", array, {}},
          {"enumeration", enumeration, booleans},
          {"opaque", opaque, {}},
          {"reference", H5T_STD_REF_OBJ, {}},
          {"region reference", H5T_STD_REF_DSETREG, {}},
          {"list", list, {}},
          {"time", H5T_UNIX_D32LE, {}}};
}

std::set<std::string> parts_of(const std::string& column) {
  if (column == "labels") return {"all.labels", "classes"};
  if (column != "images" && column != "masks") return {"all." + column};
  std::set<std::string> parts;
  for (hsize_t i = 0; i < samples; ++i)
    parts.insert("all." + column.substr(0, column.size() - 1) + std::to_string(i));
  return parts;
}

// Zeros of every type: a value that all can hold.
void add_types(ShardMaker& maker) {
  for (const auto& type : types()) {
    for (const auto& column : columns) {
      const auto shape = shape_of(column);
      const std::vector<char> zeros(samples * side * side * 32, '\0');
      Mutant mutant;
      if (type.allowed.contains(column)) {
        mutant.expected = Expected::either;
        mutant.touched = parts_of(column);
      } else {
        mutant.says = "/" + column;
      }
      maker.write(
          column + " of " + type.name, {column},
          [&](ShardFile& file) { file.dataset(column.c_str(), {shape, type.id}, zeros.data()); }, mutant);
    }
  }
}

void add_byte_orders(ShardMaker& maker) {
  const Parts parts;
  maker.equal("labels of another width and order", {"labels"}, [&](ShardFile& file) {
    file.dataset("labels", {{samples}, H5T_NATIVE_INT64, H5T_STD_U16BE}, parts.labels.data());
  });
  maker.equal("groups big-endian", {"groups"}, [&](ShardFile& file) {
    file.dataset("groups", {{samples}, H5T_NATIVE_INT64, H5T_STD_I32BE}, parts.groups.data());
  });
  maker.equal("weights big-endian", {"weights"}, [&](ShardFile& file) {
    file.dataset("weights", {{samples}, H5T_NATIVE_DOUBLE, H5T_IEEE_F32BE}, parts.weights.data());
  });
  for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F32BE}) {
    std::vector<float> values;
    for (const auto value : parts.images) values.push_back(static_cast<float>(value) / 255);
    maker.equal(type == H5T_IEEE_F32LE ? "float images" : "float images big-endian", {"images"},
                [&](ShardFile& file) {
                  file.dataset("images", {{samples, 1, side, side}, H5T_NATIVE_FLOAT, type}, values.data());
                });
  }
  std::vector<std::uint16_t> deep;
  for (const auto value : parts.images) deep.push_back(static_cast<std::uint16_t>(value * 257));
  maker.equal("uint16 images big-endian", {"images"}, [&](ShardFile& file) {
    file.dataset("images", {{samples, 1, side, side}, H5T_NATIVE_UINT16, H5T_STD_U16BE}, deep.data());
  });
}

void add_shapes(ShardMaker& maker) {
  const std::vector<char> zeros(1 << 16, '\0');
  const std::vector<Shape> wrong = {{},
                                    {0},
                                    {1},
                                    {samples - 1},
                                    {samples + 1},
                                    {samples, 0},
                                    {samples, side, side},
                                    {samples, 2, side, side},
                                    {samples, 4, side, side},
                                    {samples, side, side, 1},
                                    {samples, 1, side, side + 1},
                                    {samples - 1, 1, side, side},
                                    {samples + 1, 1, side, side},
                                    {samples, 0, side, side},
                                    {samples, 1, 0, side},
                                    {0, 1, side, side},
                                    {samples, 2, 2, side, side},
                                    {samples, 1, 1, 1, 1, 1},
                                    Shape(32, 1)};
  for (const auto& column : columns) {
    if (column == "labels") continue;  // of two dimensions they are multi-label
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      const hid_t type = column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8;
      maker.refused(column + " of wrong shape " + std::to_string(i), {column},
                    [&](ShardFile& file) { file.dataset(column.c_str(), {wrong[i], type}, zeros.data()); });
    }
  }
  for (const Shape& shape : {Shape{}, Shape{samples - 1}, Shape{samples, 0}, Shape{samples, 2, 2}})
    maker.refused(
        "labels of wrong shape " + std::to_string(shape.size()) +
            (shape.empty() ? "" : std::to_string(shape.back())),
        {"labels"}, [&](ShardFile& file) { file.dataset("labels", {shape, H5T_NATIVE_UINT8}, zeros.data()); },
        "/labels");
}

void add_extents(ShardMaker& maker) {
  for (const auto& column : columns) {
    const hid_t type = column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8;
    for (const int bits : {31, 32, 33, 40, 60}) {
      const hsize_t huge = hsize_t{1} << bits;
      for (std::size_t d = 0; d < shape_of(column).size(); ++d) {
        auto shape = shape_of(column);
        shape[d] = huge;
        const auto name = column + " with 2^" + std::to_string(bits) + " in dimension " + std::to_string(d);
        maker.refused(name + " in chunks", {column}, [&](ShardFile& file) {
          file.dataset(column.c_str(), {shape, type, -1, Shape(shape.size(), 1)}, nullptr);
        });
        maker.refused(name + " contiguous", {column},
                      [&](ShardFile& file) { file.dataset(column.c_str(), {shape, type}, nullptr); });
      }
    }
  }
  // One chunk of 3 GiB, of which a few bytes are in the file.
  maker.refused("a huge chunk that shrank to nothing", {"images"}, [&](ShardFile& file) {
    const hsize_t huge = 3u << 20;
    file.dataset("images",
                 {{samples, 1, huge, side},
                  H5T_NATIVE_UINT8,
                  -1,
                  {1, 1, huge, 1024},
                  [](hid_t creation) { H5Pset_deflate(creation, 9); }},
                 nullptr);
  });
}

}  // namespace

void add_forms(ShardMaker& maker) {
  add_types(maker);
  add_byte_orders(maker);
  add_shapes(maker);
  add_extents(maker);
}

}  // namespace isnet::testing
