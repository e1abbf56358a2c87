// Names cut to the room that a caption has, so that their differences stay.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace isnet {

/// Whether a text fits into the room that there is.
using FitsRoom = std::function<bool(const std::string&)>;

/// Shortens names of one collection, such as the ids of a data set: "photos/cats/IMG_0001.jpg".
class NameShortener {
 public:
  /// Finds what all names begin and end with. One name alone has nothing in common with others.
  explicit NameShortener(std::span<const std::string> names);
  NameShortener() = default;

  /// The name itself where it fits. Otherwise ".." replaces, one after the other and only as far as needed:
  /// the common beginning, the common end, then characters of the middle. Never cuts a UTF-8 character in
  /// two. Thread safe.
  std::string shortened(const std::string& name, const FitsRoom& fits) const;

 private:
  std::size_t prefix_ = 0, suffix_ = 0;  // bytes that all names share
};

}  // namespace isnet
