#include "data/staging.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/input_file.h"
#include "base/log.h"

namespace isnet {
namespace {

struct Copy {
  std::filesystem::path from, to;
  std::int64_t bytes = 0;
};

bool is_there(const Copy& copy) {
  std::error_code code;
  const auto size = std::filesystem::file_size(copy.to, code);
  if (code || static_cast<std::int64_t>(size) != copy.bytes) return false;
  const auto theirs = std::filesystem::last_write_time(copy.from, code);
  const auto ours = std::filesystem::last_write_time(copy.to, code);
  // File systems keep times of their own resolution; a second is what all of them keep.
  return !code && std::chrono::abs(theirs - ours) < std::chrono::seconds(1);
}

void make(const Copy& copy) {
  create_folders(copy.to.parent_path());
  const auto temporary = temporary_name(copy.to);
  try {
    copy_bytes(copy.from, temporary);
    std::error_code code;
    std::filesystem::last_write_time(temporary, std::filesystem::last_write_time(copy.from), code);
    if (code) fail(ErrorKind::runtime, temporary.string(), ": cannot set its time: ", code.message());
    commit_file(temporary, copy.to);
  } catch (const std::exception&) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

// In a folder for all, such as /dev/shm, nobody else may read our copies, or put files in their place.
void claim(const std::filesystem::path& place) {
  create_folders(place);
  struct stat state{};
  if (::lstat(place.c_str(), &state) != 0)
    fail(ErrorKind::runtime, "--stage: ", place.string(), ": ", std::strerror(errno));
  if (!S_ISDIR(state.st_mode) || state.st_uid != ::geteuid())
    fail(ErrorKind::runtime, "--stage: ", place.string(),
         " is no folder of this user: remove it, or choose another folder");
  if ((state.st_mode & 0077) != 0 && ::chmod(place.c_str(), 0700) != 0)
    fail(ErrorKind::runtime, "--stage: ", place.string(), " cannot be made private: ", std::strerror(errno));
}

// Names of folders may repeat: the whole path tells them apart, and users have their own.
std::filesystem::path place_of(const std::filesystem::path& source, const std::filesystem::path& folder) {
  const auto whole = std::filesystem::weakly_canonical(source);
  return folder /
         cat(whole.filename().string(), "-", sha256(cat(whole.string(), "\n", ::geteuid())).substr(0, 12));
}

std::vector<Copy> copies_of(const DataSet& data, const std::vector<std::string>& splits,
                            const std::filesystem::path& place) {
  std::vector<Copy> copies;
  if (!data.is_single_shard()) copies.push_back({data.path() / "dataset.json", place / "dataset.json"});
  const auto base = data.is_single_shard() ? data.path().parent_path() : data.path();
  for (const auto& split : splits)
    for (const auto& file : data.shard_files(split))
      copies.push_back({file, place / file.lexically_relative(base)});
  for (auto& copy : copies) copy.bytes = InputFile(copy.from).identity().size;
  return copies;
}

}  // namespace

std::filesystem::path stage_data(const DataSet& data, const std::vector<std::string>& splits,
                                 const std::filesystem::path& folder, const StagingShare& share) {
  const auto place = place_of(data.path(), folder);
  claim(place);
  auto copies = copies_of(data, splits, place);
  const auto result = data.is_single_shard() ? copies.front().to : place;
  std::vector<Copy> own;
  for (std::size_t i = 0; i < copies.size(); ++i)
    if (static_cast<int>(i % static_cast<std::size_t>(share.count)) == share.index) own.push_back(copies[i]);
  const std::size_t all = own.size();
  std::erase_if(own, is_there);
  std::int64_t bytes = 0;
  for (const auto& copy : own) bytes += copy.bytes;
  std::error_code code;
  const auto room = std::filesystem::space(place, code).available;
  if (!code && !own.empty() && static_cast<std::uintmax_t>(bytes) > room)
    fail(ErrorKind::runtime, "--stage: ", folder.string(), " has room for ", room / 1'000'000, " MB, but ",
         bytes / 1'000'000, " MB are to be copied there: choose another folder, or train without --stage");
  log::info(cat("staging ", data.path().string(), " in ", place.string(), ": ", own.size(), " of ", all,
                " files to copy, ", bytes / 1'000'000, " MB"));
  for (const auto& copy : own) make(copy);
  return result;
}

}  // namespace isnet
