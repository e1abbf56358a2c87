// A plug-in as a file: what has to be known of it before the system's loader may open it. The loader believes
// an ELF file, runs its constructors, and ends the process where the file is cut short.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isnet::cli {

/// The bytes of a file, or a part of one, as read() serves them.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  /// `count` bytes from `offset` on; both inside.
  virtual std::string read(std::uint64_t offset, std::uint64_t count) const = 0;
};

/// The stamps (base/plugin.h) in the notes of a shared library, most often one. Checks first that the library
/// is whole and for this machine: class, byte order, machine, and all headers and segments inside the file.
/// Errors: usage (`name`, what is wrong).
std::vector<std::string> plugin_stamps(const ByteSource& source, const std::string& name);

/// The same of a file, which has to be a regular one.
std::vector<std::string> plugin_stamps_of_file(const std::string& file);

}  // namespace isnet::cli
