#include "distributed/facts.h"

#include <dlfcn.h>
#include <link.h>
#include <mpi.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/plugin.h"

namespace isnet {
namespace {

// "momentum = 0.9 there, momentum = 0.8 on rank 0": the first line that differs.
std::string first_difference(const std::string& other, const std::string& reference) {
  std::istringstream others(other), references(reference);
  for (;;) {
    std::string left, right;
    const bool more_left = static_cast<bool>(std::getline(others, left));
    const bool more_right = static_cast<bool>(std::getline(references, right));
    if (!more_left && !more_right) return "they differ in line ends";
    if (left == right && more_left == more_right) continue;
    const auto shown = [](bool more, const std::string& line) { return more ? "'" + line + "'" : "nothing"; };
    return cat(shown(more_left, left), " there, ", shown(more_right, right), " on rank 0");
  }
}

bool starts_with_one_of(const std::string& name, std::initializer_list<const char*> starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](const char* start) { return name.rfind(start, 0) == 0; });
}

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

// The linker's build id, from the notes of a loaded file; "" where it has none.
std::string build_id(const dl_phdr_info& file) {
  for (int i = 0; i < file.dlpi_phnum; ++i) {
    const auto& segment = file.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    // Also where the segment has an alignment of 8, by a first note whose size is a multiple of that.
    const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
    const auto* note = reinterpret_cast<const unsigned char*>(file.dlpi_addr + segment.p_vaddr);
    for (std::size_t left = segment.p_memsz; left >= sizeof(ElfW(Nhdr));) {
      ElfW(Nhdr) header;
      std::memcpy(&header, note, sizeof header);
      const std::size_t content = sizeof header + padded(header.n_namesz),
                        size = content + padded(header.n_descsz);
      if (size > left) break;
      if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
          std::memcmp(note + sizeof header, "GNU", 4) == 0)
        return hexadecimal(note + content, header.n_descsz);
      note += size;
      left -= size;
    }
  }
  return "";
}

bool is_plugin(const char* path) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (!library) return false;
  const bool stamped = ::dlsym(library, "isnet_plugin_abi") != nullptr;
  ::dlclose(library);
  return stamped;
}

std::string identity(const dl_phdr_info& file, const std::filesystem::path& path) {
  if (const std::string id = build_id(file); !id.empty()) return "build " + id;
  return "sha256 " + sha256_of_file(path);
}

int describe(dl_phdr_info* file, std::size_t, void* lines) {
  auto& into = *static_cast<std::vector<std::string>*>(lines);
  const bool program = !file->dlpi_name || !*file->dlpi_name;
  if (program && !into.empty()) return 0;  // the kernel's own
  const std::filesystem::path path = program ? "/proc/self/exe" : file->dlpi_name;
  const std::string name = path.filename().string();
  if (program)
    into.push_back("program, " + identity(*file, path));
  else if (starts_with_one_of(name, {"libisnet_", "libtorch", "libc10", "libnccl", "libcudart", "libcudnn"}))
    into.push_back(name + ", " + identity(*file, path));
  else if (starts_with_one_of(name, {"libhdf5", "libmpi.", "libgomp"}))
    into.push_back(std::filesystem::canonical(path).filename().string());
  else if (is_plugin(file->dlpi_name))
    into.push_back("plug-in " + name + ", " + identity(*file, path));
  return 0;
}

std::string files_of_code() {
  std::vector<std::string> lines;
  ::dl_iterate_phdr(describe, &lines);
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::vector<Fact> program_facts() {
  return {{"versions", ISNET_PLUGIN_ABI}, {"MPI", mpi_version()}, {"code", files_of_code()}};
}

// With their lengths in front, so that they can be told apart again.
std::string joined(const std::vector<Fact>& facts) {
  std::string all;
  for (const auto& [name, text] : facts) all += cat(name.size(), " ", name, text.size(), " ", text);
  return all;
}

std::vector<Fact> separated(const std::string& all) {
  std::vector<Fact> facts;
  std::istringstream in(all);
  const auto next = [&](std::string& text) {
    std::size_t size = 0;
    if (!(in >> size) || size > all.size()) return false;
    in.get();
    text.resize(size);
    in.read(text.data(), static_cast<std::streamsize>(size));
    return true;
  };
  for (Fact fact; next(fact.first) && next(fact.second);) facts.push_back(fact);
  return facts;
}

void refuse_difference(const std::vector<std::size_t>& ranks, const std::vector<Fact>& there,
                       const std::vector<Fact>& on_rank_0) {
  std::string names, difference;
  for (const auto rank : ranks) names += cat(names.empty() ? "" : ", ", rank);
  for (std::size_t i = 0; i < std::max(there.size(), on_rank_0.size()) && difference.empty(); ++i) {
    const Fact none{"nothing", ""};
    const auto& left = i < there.size() ? there[i] : none;
    const auto& right = i < on_rank_0.size() ? on_rank_0[i] : none;
    if (left.first != right.first)
      difference = cat("facts: ", left.first, " there, ", right.first, " on rank 0");
    else if (left.second != right.second)
      difference = cat(left.first, ": ", first_difference(left.second, right.second));
  }
  fail(ErrorKind::usage, "rank ", names, " differ", ranks.size() == 1 ? "s" : "", " from rank 0 in ",
       difference, " (start all ranks with the same program, options and data)");
}

}  // namespace isnet
