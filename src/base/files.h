// The one seam through which our files are read and written, so that a test can make any single call fail.
//
// HDF5 reads through it too (src/data/hdf5_driver.h), but does its own writing: shards are written to a
// temporary name by it and put in place by commit_file().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/owned_descriptor.h"

namespace isnet {

/// The system calls: those of a durable write, in the order in which write_file_atomically makes them, then
/// those of reading (status: size and time of an open file), and removal.
enum class FileCall { open, write, flush, close, rename, flush_folder, read, status, remove };

/// Called before each system call with the path it is for, by the thread that makes the call; returns 0, or
/// the errno with which it shall fail (EINTR: interrupted, as by a signal). Of a write, −n: that n bytes of
/// it are taken.
using FileFault = std::function<int(FileCall, const std::filesystem::path&)>;

/// Installs a fault for the lifetime of this object, for all threads: one that is inside it at the end may
/// leave it later. For tests; one at a time.
class ScopedFileFault {
 public:
  explicit ScopedFileFault(FileFault fault);
  ~ScopedFileFault();
  ScopedFileFault(const ScopedFileFault&) = delete;
  ScopedFileFault& operator=(const ScopedFileFault&) = delete;
};

/// What the installed fault says of this call: an errno, or 0. For the seam's own system calls.
int injected_fault(FileCall call, const std::filesystem::path& path);

/// Whether the last part of a path may be a symbolic link. A path that a user names may; a file inside a
/// folder whose content may come from somebody else (a run, a data set) may not.
enum class Links { follow, refuse };

/// The whole file as bytes. It has to be a regular file: no pipe is waited for, no device read. Errors:
/// runtime (file and cause); data (not a regular file, or a link that is refused).
std::string read_file(const std::filesystem::path& path, Links links = Links::follow);

/// Fails unless the path is a regular file itself, no link to one, or is not there. Errors: data.
void require_own_file(const std::filesystem::path& path);
/// The same of a folder.
void require_own_folder(const std::filesystem::path& path);

/// Whether `file` lies in `folder`, or is that folder, once all links are followed; false where one of them
/// is not there.
bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& file);

/// A file that grows at its end, made where it is not there. It is a regular file, never reached through a
/// symbolic link; other hard links to it keep its old content. Errors: runtime (file and cause), data (no
/// regular file).
class AppendedFile {
 public:
  explicit AppendedFile(std::filesystem::path path);

  /// Appends all of it, unless a system call fails.
  void append(std::string_view bytes);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  OwnedDescriptor descriptor_;
};

/// Writes `parts` one after the other so that `path` holds either its old content or all of the new one,
/// whatever happens: temporary file beside it, fsync, rename, fsync of the folder. The temporary file is
/// removed on failure. Errors: runtime (file, step, cause): the old content is untouched then, but where only
/// the folder could not be flushed, which leaves all of the new one.
void write_file_atomically(const std::filesystem::path& path, const std::vector<std::string_view>& parts);
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Makes a finished temporary file durable and gives it its name (flush, rename, flush folder). Errors:
/// runtime.
void commit_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

/// Copies bytes to a new file, which is not durable yet (commit_file() makes it so). Errors: runtime;
/// FileFailure for what is read.
void copy_bytes(const std::filesystem::path& from, const std::filesystem::path& to);

/// A name beside `path` for its unfinished content, different for each process.
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// The file whose unfinished content has this name; nothing for names of any other kind.
std::optional<std::filesystem::path> finished_name(const std::filesystem::path& temporary);

/// Another name for a file, for good: rename, flush of the folder. Errors: runtime.
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Removes a file; one that is not there is no error. Errors: runtime.
void remove_file(const std::filesystem::path& path);

/// Creates the folder and its parents. Errors: runtime (folder, cause).
void create_folders(const std::filesystem::path& path);
/// Creates the folder `name` of `folder`, and that; `name` may not be a link. Errors: runtime, data.
void create_own_folder(const std::filesystem::path& folder, const std::string& name);

/// SHA-256 of bytes, as 64 hexadecimal digits (what sha256sum prints).
std::string sha256(std::string_view bytes);
std::string sha256(const std::vector<std::string_view>& parts);

/// SHA-256 of a file, read in pieces. Errors: runtime.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace isnet
