#include "data/hdf5_handles.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace isnet::hdf5::detail {

herr_t Handle::release() {
  if (id_ < 0) return 0;
  silence_this_thread();
  const herr_t result = close_(id_);
  id_ = -1;
  return result;
}

namespace {

// The library's driver writes "file write failed: time = …, errno = 28, error message = 'No space left on
// device', buf = …": people want what failed and why.
std::string without_details(const std::string& text) {
  const std::string begin = "error message = '";
  const auto details = text.find(": time = ");
  const auto reason = text.find(begin);
  if (details == std::string::npos || reason == std::string::npos) return text;
  const auto first = reason + begin.size();
  const bool full =
      text.find("errno = 28,") != std::string::npos || text.find("errno = 122,") != std::string::npos;
  return cat(text.substr(0, details), ": ", text.substr(first, text.find('\'', first) - first),
             full ? " (free some space and start again)" : "");
}

// At exit the library closes what is still open, and crashes on a file whose closing had failed because the
// disk was full. Every handle of ours is closed by its owner; nothing is left to do at exit.
const bool no_cleanup_at_exit = H5dont_atexit() >= 0;

}  // namespace

void silence_this_thread() {
  thread_local const bool silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(silenced);
  static_cast<void>(no_cleanup_at_exit);
}

std::string error_stack() {
  std::vector<std::string> texts;
  const auto add = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(out);
    const std::string text = without_details(error->desc ? error->desc : "");
    if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, add, &texts);
  if (texts.empty()) return "HDF5 gives no reason";
  if (texts.size() > 4) texts = {texts[0], texts[1], "…", texts[texts.size() - 2], texts.back()};
  std::string joined;
  for (const auto& text : texts) joined += cat(joined.empty() ? "" : "; ", text);
  std::replace(joined.begin(), joined.end(), '\n', ' ');  // one line for each error
  return joined;
}

template <>
hid_t native_type<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
hid_t native_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t native_type<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
hid_t native_type<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
hid_t native_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
hid_t native_type<std::uint16_t>() {
  return H5T_NATIVE_UINT16;
}

Handle new_space(const Shape& shape) {
  silence_this_thread();
  if (shape.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
}

Handle text_type() {
  silence_this_thread();
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Handle fixed_text_type(size_t length) {
  silence_this_thread();
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), length);
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

namespace {

// As h5py stores numpy's bool.
bool is_boolean(hid_t type) {
  if (H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return false;
  for (const char* name : {"FALSE", "TRUE"}) {
    std::uint8_t value = 0;
    if (H5Tenum_valueof(type, name, &value) < 0 || value != (std::string_view(name) == "TRUE" ? 1 : 0))
      return false;
  }
  return true;
}

ElementType float_type(size_t size) {
  if (size == 2) return ElementType::float16;
  return size == 4 ? ElementType::float32 : size == 8 ? ElementType::float64 : ElementType::other;
}

}  // namespace

ElementType element_type_of(hid_t type) {
  silence_this_thread();
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_STRING) return ElementType::string;
  if (kind == H5T_ENUM) {
    if (is_boolean(type)) return ElementType::boolean;
    const Handle base(H5Tget_super(type), H5Tclose);
    return element_type_of(base.id());
  }
  const size_t size = H5Tget_size(type);
  if (kind == H5T_FLOAT) return float_type(size);
  if (kind != H5T_INTEGER) return ElementType::other;
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  switch (size) {
    case 1:
      return is_signed ? ElementType::int8 : ElementType::uint8;
    case 2:
      return is_signed ? ElementType::int16 : ElementType::uint16;
    case 4:
      return is_signed ? ElementType::int32 : ElementType::uint32;
    case 8:
      return is_signed ? ElementType::int64 : ElementType::uint64;
    default:
      return ElementType::other;
  }
}

}  // namespace isnet::hdf5::detail
