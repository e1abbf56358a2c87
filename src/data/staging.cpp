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
#include "base/progress.h"

namespace isnet {
namespace {

struct Copy {
  std::filesystem::path from, to;
  std::filesystem::path record;  // where checksums of the copy are kept
  std::string listed;            // SHA-256 of dataset.json, or ""
  std::int64_t bytes = 0;
};

// How copies are verified: by which sample, if at all.
struct Verification {
  VerifyData mode;
  SampleOfFile sample;
};

// What is kept of a copy: the sample, its checksum, and that of the whole file.
std::string record_text(const Copy& copy, const SampleOfFile& sample, const std::string& whole) {
  return cat("isnet-staged 1\n", sample.whole_up_to, " ", sample.blocks, "\n",
             sampled_checksum(copy.to, sample), "\n", whole, "\n");
}

bool has_size_and_time(const Copy& copy) {
  std::error_code code;
  const auto size = std::filesystem::file_size(copy.to, code);
  if (code || static_cast<std::int64_t>(size) != copy.bytes) return false;
  const auto theirs = std::filesystem::last_write_time(copy.from, code);
  const auto ours = std::filesystem::last_write_time(copy.to, code);
  // File systems keep times of their own resolution; a second is what all of them keep.
  return !code && std::chrono::abs(theirs - ours) < std::chrono::seconds(1);
}

bool has_its_bytes(const Copy& copy, const Verification& verification) {
  if (verification.mode == VerifyData::nothing) return true;
  std::error_code code;
  if (!std::filesystem::is_regular_file(copy.record, code)) return false;
  const std::string kept = read_file(copy.record);
  const auto whole_at = kept.rfind('\n', kept.size() < 2 ? 0 : kept.size() - 2);
  if (whole_at == std::string::npos) return false;
  std::string whole = kept.substr(whole_at + 1, 64);
  if (verification.mode == VerifyData::full && sha256_of_file(copy.to) != whole) return false;
  return kept == record_text(copy, verification.sample, whole);
}

bool is_there(const Copy& copy, const Verification& verification) {
  if (!has_size_and_time(copy)) return false;
  if (has_its_bytes(copy, verification)) return true;
  log::warning(cat(copy.to.string(), ": not known to be the file that was staged: it is copied again"));
  return false;
}

void make(const Copy& copy, const Verification& verification) {
  create_folders(copy.to.parent_path());
  create_folders(copy.record.parent_path());
  const auto temporary = temporary_name(copy.to);
  std::string whole;
  try {
    copy_bytes(copy.from, temporary);
    whole = sha256_of_file(temporary);
    if (verification.mode != VerifyData::nothing && !copy.listed.empty() && whole != copy.listed)
      fail(ErrorKind::data, copy.from.string(), ": checksum ", whole, " instead of ", copy.listed,
           ": the file was changed or damaged; copy the data set again, or pack it again");
    std::error_code code;
    std::filesystem::last_write_time(temporary, std::filesystem::last_write_time(copy.from), code);
    if (code) fail(ErrorKind::runtime, temporary.string(), ": cannot set its time: ", code.message());
    commit_file(temporary, copy.to);
  } catch (const std::exception&) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
  write_file_atomically(copy.record, record_text(copy, verification.sample, whole));
}

// In a folder for all, such as /dev/shm, nobody else may read our copies, or put files in their place.
void claim(const std::filesystem::path& place) {
  create_folders(place);
  struct stat state{};
  if (::lstat(place.c_str(), &state) != 0)
    fail(ErrorKind::runtime, "--stage: ", place.string(), ": ", std::strerror(errno));
  if (!S_ISDIR(state.st_mode) || state.st_uid != ::geteuid())
    fail(ErrorKind::runtime, "--stage: ", place.string(),
         " is not a folder of this user: remove it, or choose another folder");
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
                            const std::filesystem::path& place, const std::filesystem::path& records) {
  std::vector<Copy> copies;
  const auto base = data.is_single_shard() ? data.path().parent_path() : data.path();
  const auto add = [&](const std::filesystem::path& file, const std::string& listed) {
    const auto name = file.lexically_relative(base);
    copies.push_back({file, place / name, records / name, listed, InputFile(file).identity().size});
  };
  if (!data.is_single_shard()) add(data.path() / "dataset.json", "");
  for (const auto& split : splits) {
    const auto files = data.shard_files(split);
    const auto& entries = data.shard_entries(split);
    for (std::size_t i = 0; i < files.size(); ++i) add(files[i], entries[i].sha256);
  }
  return copies;
}

std::vector<Copy> part_of(const std::vector<Copy>& copies, const StagingShare& share) {
  std::vector<Copy> own;
  for (std::size_t i = 0; i < copies.size(); ++i)
    if (static_cast<int>(i % static_cast<std::size_t>(share.count)) == share.index) own.push_back(copies[i]);
  return own;
}

}  // namespace

std::filesystem::path stage_data(const DataSet& data, const std::vector<std::string>& splits,
                                 const std::filesystem::path& folder, const StagingShare& share,
                                 VerifyData verify) {
  const auto place = place_of(data.path(), folder);
  const std::filesystem::path records = place.string() + ".checksums";
  claim(place);
  claim(records);
  const auto copies = copies_of(data, splits, place, records);
  const Verification verification{verify, sample_for(copies.size())};
  const auto result = data.is_single_shard() ? copies.front().to : place;
  std::vector<Copy> own = part_of(copies, share);
  const std::size_t all = own.size();
  std::erase_if(own, [&](const Copy& copy) { return is_there(copy, verification); });
  std::int64_t bytes = 0;
  for (const auto& copy : own) bytes += copy.bytes;
  std::error_code code;
  const auto room = std::filesystem::space(place, code).available;
  if (!code && !own.empty() && static_cast<std::uintmax_t>(bytes) > room)
    fail(ErrorKind::runtime, "--stage: ", folder.string(), " has room for ", room / 1'000'000, " MB, but ",
         bytes / 1'000'000, " MB are to be copied there: choose another folder, or train without --stage");
  log::info(cat("staging ", data.path().string(), " in ", place.string(), ": ", own.size(), " of ", all,
                " files to copy, ", bytes / 1'000'000, " MB"));
  Progress progress("copying to " + place.string(), std::ssize(own), "files", share.index == 0);
  for (const auto& copy : own) {
    make(copy, verification);
    progress.advance();
  }
  return result;
}

}  // namespace isnet
