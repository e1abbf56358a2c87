// A file that is read at any place, by any thread: through the seam of files.h, and only as long as it stays
// the file that was opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/owned_descriptor.h"

namespace isnet {

/// The identity of a file, which another one of the same name does not have.
struct FileIdentity {
  std::uint64_t inode = 0;
  std::int64_t size = 0;      ///< bytes
  std::int64_t modified = 0;  ///< nanoseconds since 1970
  bool operator==(const FileIdentity&) const = default;
};

/// A read that failed for a reason that may pass: the file vanished, shrank, was replaced, or the device or
/// network below said no. Kind: runtime where a system call failed; data where the file is another than it
/// was.
class FileFailure : public Error {
 public:
  FileFailure(const std::filesystem::path& path, const std::string& what, int code);
  int code() const { return code_; }  ///< errno of the call; 0: the file is another than it was

 private:
  int code_;
};

/// An open regular file. Reading does not move a position: any thread may read. Errors: FileFailure.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path, Links links = Links::follow);
  /// Opens a file that was open before, which has to be the same still.
  InputFile(const std::filesystem::path& path, const FileIdentity& expected);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// As it was opened.
  const FileIdentity& identity() const { return identity_; }
  /// `size` bytes from `offset` on, all of them.
  void read_at(std::int64_t offset, std::size_t size, void* out) const;
  /// Fails if the file has another size or time of modification than when it was opened.
  void check_unchanged() const;

 private:
  FileIdentity status() const;

  std::filesystem::path path_;
  OwnedDescriptor descriptor_;
  FileIdentity identity_;
};

}  // namespace isnet
