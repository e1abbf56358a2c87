// Shards that HDF5 writes and reads, and that are none: what leads elsewhere, and attributes.
#include <cmath>

#include "hostile/malformed.h"

namespace isnet::testing {
namespace {

void add_places(ShardMaker& maker) {
  const auto other = maker.file_of("good").string();
  for (const auto& column : columns) {
    maker.refused(
        column + " as an external link", {column},
        [&](ShardFile& file) {
          H5Lcreate_external(other.c_str(), ("/" + column).c_str(), file.id(), column.c_str(), H5P_DEFAULT,
                             H5P_DEFAULT);
        },
        "/" + column);
    maker.refused(
        column + " as a soft link", {column},
        [&](ShardFile& file) {
          H5Lcreate_soft("/elsewhere", file.id(), column.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        },
        "/" + column);
    maker.refused(
        column + " as a soft link to a dataset", {column},
        [&](ShardFile& file) {
          file.dataset("elsewhere", {shape_of(column), H5T_NATIVE_UINT8}, nullptr);
          H5Lcreate_soft("/elsewhere", file.id(), column.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        },
        "/" + column);
    maker.refused(
        column + " as a circle of links", {column},
        [&](ShardFile& file) {
          H5Lcreate_soft(("/" + column).c_str(), file.id(), column.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        },
        "/" + column);
    for (const char* place : {"/etc/passwd", "../../../../etc/passwd"})
      maker.refused(
          column + " in " + (place[0] == '/' ? "/etc" : "../etc"), {column},
          [&](ShardFile& file) {
            const hid_t type = column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8;
            file.dataset(column.c_str(),
                         {shape_of(column),
                          type,
                          -1,
                          {},
                          [&](hid_t creation) { H5Pset_external(creation, place, 0, H5F_UNLIMITED); }},
                         nullptr);
          },
          "/" + column);
    maker.refused(
        column + " as a virtual dataset", {column},
        [&](ShardFile& file) {
          const auto shape = shape_of(column);
          const hid_t type = column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8;
          file.dataset(column.c_str(),
                       {shape,
                        type,
                        -1,
                        {},
                        [&](hid_t creation) {
                          const hid_t space =
                              H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
                          H5Pset_virtual(creation, space, other.c_str(), ("/" + column).c_str(), space);
                          H5Sclose(space);
                        }},
                       nullptr);
        },
        "/" + column);
    maker.refused(
        column + " as a group", {column},
        [&](ShardFile& file) {
          H5Gclose(H5Gcreate2(file.id(), column.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        },
        "/" + column);
    maker.refused(
        column + " as a named type", {column},
        [&](ShardFile& file) {
          H5Tcommit2(file.id(), column.c_str(), H5Tcopy(H5T_NATIVE_INT8), H5P_DEFAULT, H5P_DEFAULT,
                     H5P_DEFAULT);
        },
        "/" + column);
    maker.refused(
        column + " of a named type", {column},
        [&](ShardFile& file) {
          const hid_t type = H5Tcopy(column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8);
          H5Tcommit2(file.id(), "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
          file.dataset(column.c_str(), {shape_of(column), type}, std::vector<char>(256).data());
        },
        "/" + column);
    maker.refused(
        column + " never written", {column},
        [&](ShardFile& file) {
          const hid_t type = column == "ids" ? fixed_text(4) : H5T_NATIVE_UINT8;
          file.dataset(column.c_str(), {shape_of(column), type}, nullptr);
        },
        "/" + column + ": declared, but never written");
  }
  maker.refused("masks are the images", {"masks"}, [&](ShardFile& file) {
    H5Lcreate_hard(file.id(), "images", file.id(), "masks", H5P_DEFAULT, H5P_DEFAULT);
  });
}

void add_attributes(ShardMaker& maker) {
  const auto header = [&](const std::string& name, const std::function<void(ShardFile&)>& add,
                          const std::string& says) { maker.refused(name, {}, add, says, false); };
  header("no attributes", {}, "attribute 'format' is missing");
  header(
      "no version", [](ShardFile& file) { file.text_attribute("format", "isnet-shard"); },
      "attribute 'version' is missing");
  for (const std::int64_t version : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{2},
                                     std::int64_t{1} << 32, (std::int64_t{1} << 32) + 1})
    header(
        "version " + std::to_string(version), [=](ShardFile& file) { file.header(version); },
        "this program reads version 1");
  for (const char* format :
       {"", "isnet", "isnet-shard ", "ISNET-SHARD", "isnet-dataset", "\xff\xfe", "isnet-shard\nx"})
    header(
        "format " + std::to_string(std::hash<std::string>()(format)),
        [=](ShardFile& file) { file.header(1, format); }, "attribute 'format' is");
  header(
      "format is a number",
      [](ShardFile& file) {
        const int one = 1;
        file.attribute("format", H5T_NATIVE_INT, &one);
        file.attribute("version", H5T_NATIVE_INT, &one);
      },
      "'format' is not text");
  header(
      "version is text",
      [](ShardFile& file) {
        file.text_attribute("format", "isnet-shard");
        file.text_attribute("version", "1");
      },
      "'version' is text");
  for (const double value : {1.5, 0.999, std::nan("")})
    header(
        "version " + std::to_string(value),
        [=](ShardFile& file) {
          file.text_attribute("format", "isnet-shard");
          file.attribute("version", H5T_NATIVE_DOUBLE, &value);
        },
        "version");
  header(
      "two versions",
      [](ShardFile& file) {
        file.text_attribute("format", "isnet-shard");
        const std::int64_t both[] = {1, 1};
        file.attribute("version", H5T_NATIVE_INT64, both, {2});
      },
      "has 2 values");
  header(
      "version of no value",
      [](ShardFile& file) {
        file.text_attribute("format", "isnet-shard");
        const hid_t space = H5Screate(H5S_NULL);
        H5Aclose(H5Acreate2(file.id(), "version", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
      },
      "attribute 'version'");
  header(
      "version is a compound",
      [](ShardFile& file) {
        file.text_attribute("format", "isnet-shard");
        const hid_t type = H5Tcreate(H5T_COMPOUND, 8);
        H5Tinsert(type, "a", 0, H5T_NATIVE_INT64);
        const std::int64_t one = 1;
        file.attribute("version", type, &one);
      },
      "version");
}

}  // namespace

std::vector<Mutant> malformed_shards(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  ShardMaker maker(folder);
  add_forms(maker);
  add_places(maker);
  add_values(maker);
  add_chunks(maker);
  add_attributes(maker);
  return std::move(maker.mutants());
}

}  // namespace isnet::testing
