// Internals of hdf5.cpp: handles, checked calls and the error stack. Includes HDF5's own header.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>

#include "base/error.h"
#include "data/hdf5.h"
#include "data/hdf5_driver.h"

namespace isnet::hdf5::detail {

static_assert(std::is_same_v<hid_t, Id>, "hid_t is a 64-bit integer since HDF5 1.10");

/// One hid_t and the call that closes it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { release(); }
  Handle(Handle&& other) noexcept : id_(other.id_), close_(other.close_) { other.id_ = -1; }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  hid_t id() const { return id_; }
  /// Closes now; returns what the closing call returned.
  herr_t release();

 private:
  hid_t id_;
  Close close_;
};

struct OpenFile {
  std::filesystem::path path;
  ErrorKind kind;  ///< data when reading, runtime when writing
  std::shared_ptr<Handle> handle;
  std::shared_ptr<const InputFile> input;  ///< what it is read from; null when writing
};

/// HDF5 prints its errors by itself, for each thread, until told not to.
void silence_this_thread();

/// This thread's error stack, outermost first, each text once: "unable to open file; truncated file: …".
std::string error_stack();

/// Makes a call and fails with "WHERE: cannot WHAT: STACK" if its result is negative; with the file's
/// FileFailure, if that was the reason.
template <typename Call>
auto checked(ErrorKind kind, const std::string& where, const char* what, Call&& call) {
  silence_this_thread();
  take_failure();
  const auto result = call();
  if (result >= 0) return result;
  if (const auto failure = take_failure()) throw *failure;
  fail(kind, where, ": cannot ", what, ": ", error_stack());
}

/// The type in memory that holds a T.
template <typename T>
hid_t native_type();

/// A dataspace of this shape; scalar for the empty shape.
Handle new_space(const Shape& shape);
/// UTF-8 text of variable length.
Handle text_type();
/// UTF-8 text of `length` bytes, shorter ones filled up with zeros.
Handle fixed_text_type(size_t length);

ElementType element_type_of(hid_t type);

}  // namespace isnet::hdf5::detail
