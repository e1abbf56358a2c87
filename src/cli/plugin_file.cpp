#include "cli/plugin_file.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/input_file.h"
#include "base/plugin.h"

namespace isnet::cli {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half this_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half this_machine = EM_AARCH64;
#elif defined(__powerpc64__)
constexpr Elf64_Half this_machine = EM_PPC64;
#elif defined(__riscv)
constexpr Elf64_Half this_machine = EM_RISCV;
#else
constexpr Elf64_Half this_machine = EM_NONE;  // not known here: the loader decides
#endif

constexpr std::uint64_t most_segments = 1000;
constexpr std::uint64_t largest_notes = 1 << 20;                  // bytes of a segment of notes
constexpr std::uint64_t largest_memory = std::uint64_t{1} << 36;  // of a library, once it is loaded

class FileBytes : public ByteSource {
 public:
  explicit FileBytes(const std::string& file) : file_(file) {}
  std::uint64_t size() const override { return static_cast<std::uint64_t>(file_.identity().size); }
  std::string read(std::uint64_t offset, std::uint64_t count) const override {
    std::string bytes(count, '\0');
    file_.read_at(static_cast<std::int64_t>(offset), count, bytes.data());
    return bytes;
  }

 private:
  InputFile file_;
};

class Library {
 public:
  Library(const ByteSource& source, const std::string& name) : source_(source), name_(name) {
    read_header();
    read_segments();
  }

  std::vector<std::string> stamps() const {
    std::vector<std::string> result;
    for (const auto& segment : segments_)
      if (segment.p_type == PT_NOTE) add_stamps(segment, result);
    return result;
  }

 private:
  template <typename... What>
  [[noreturn]] void refuse(const What&... what) const {
    fail(ErrorKind::usage, "--plugin: cannot load ", name_, ": it ", what...);
  }
  void require_inside(std::uint64_t offset, std::uint64_t count, const char* what) const {
    if (offset > source_.size() || count > source_.size() - offset)
      refuse("is cut short: its ", what, " lies at bytes ", offset, " to ", offset + count, " of ",
             source_.size(), "; copy it again");
  }
  template <typename Structure>
  Structure structure_at(std::uint64_t offset, const char* what) const {
    require_inside(offset, sizeof(Structure), what);
    Structure result;
    std::memcpy(&result, source_.read(offset, sizeof result).data(), sizeof result);
    return result;
  }

  void read_header() {
    if (source_.size() < sizeof header_ || source_.read(0, SELFMAG) != ELFMAG)
      refuse("is not a shared library (ELF)");
    header_ = structure_at<Elf64_Ehdr>(0, "header");
    constexpr int order = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != order ||
        (this_machine != EM_NONE && header_.e_machine != this_machine))
      refuse("is a library for another kind of machine");
    if (header_.e_type != ET_DYN || header_.e_ident[EI_VERSION] != EV_CURRENT)
      refuse("is not a shared library");
    if (header_.e_phentsize != sizeof(Elf64_Phdr) || header_.e_phnum == 0 || header_.e_phnum > most_segments)
      refuse("is not a valid shared library: it has ", header_.e_phnum, " program headers of ",
             header_.e_phentsize, " bytes");
    require_inside(header_.e_phoff, std::uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr), "table of segments");
    if (header_.e_shoff != 0)
      require_inside(header_.e_shoff, std::uint64_t{header_.e_shnum} * header_.e_shentsize,
                     "table of sections");
  }

  void read_segments() {
    std::uint64_t end = 0;  // of what is loaded so far
    bool dynamic = false;
    for (std::uint64_t i = 0; i < header_.e_phnum; ++i) {
      const auto segment =
          structure_at<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr), "table of segments");
      require_inside(segment.p_offset, segment.p_filesz, "contents");
      if (segment.p_type == PT_DYNAMIC) dynamic = segment.p_filesz >= sizeof(Elf64_Dyn);
      if (segment.p_type == PT_LOAD) end = end_of(segment, end);
      segments_.push_back(segment);
    }
    if (end == 0 || !dynamic) refuse("is not a valid shared library: nothing of it is loaded");
  }

  // Segments are loaded in the order of their addresses, pages of the file as they are.
  std::uint64_t end_of(const Elf64_Phdr& segment, std::uint64_t before) const {
    const std::uint64_t align = std::max<std::uint64_t>(segment.p_align, 1);
    const bool sound = segment.p_filesz <= segment.p_memsz && segment.p_memsz < largest_memory &&
                       segment.p_vaddr < largest_memory && segment.p_vaddr >= before &&
                       std::has_single_bit(align) && align < largest_memory &&
                       (segment.p_vaddr - segment.p_offset) % align == 0;
    if (!sound) refuse("is not a valid shared library: a segment of it cannot be loaded");
    return segment.p_vaddr + segment.p_memsz;
  }

  void add_stamps(const Elf64_Phdr& segment, std::vector<std::string>& stamps) const {
    if (segment.p_filesz > largest_notes) refuse("is not a valid shared library: its notes are too large");
    const std::string notes = source_.read(segment.p_offset, segment.p_filesz);
    const std::uint64_t align = segment.p_align == 8 ? 8 : 4;
    const auto padded = [&](std::uint64_t size) { return (size + align - 1) / align * align; };
    for (std::uint64_t at = 0; notes.size() - at >= sizeof(Elf64_Nhdr);) {
      Elf64_Nhdr note;
      std::memcpy(&note, notes.data() + at, sizeof note);
      at += sizeof note;
      const std::uint64_t name = at, text = at + padded(note.n_namesz), end = text + padded(note.n_descsz);
      if (end > notes.size() && text + note.n_descsz > notes.size()) return;  // not ours to judge
      if (note.n_type == ISNET_PLUGIN_NOTE_TYPE &&
          std::string_view(notes).substr(name, note.n_namesz) ==
              std::string_view(ISNET_PLUGIN_OWNER, sizeof ISNET_PLUGIN_OWNER))
        stamps.emplace_back(notes.substr(text, std::max<std::uint64_t>(note.n_descsz, 1) - 1));
      at = std::min<std::uint64_t>(end, notes.size());
    }
  }

  const ByteSource& source_;
  std::string name_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
};

}  // namespace

std::vector<std::string> plugin_stamps(const ByteSource& source, const std::string& name) {
  return Library(source, name).stamps();
}

std::vector<std::string> plugin_stamps_of_file(const std::string& file) {
  try {
    return plugin_stamps(FileBytes(file), file);
  } catch (const FileFailure& failure) {
    fail(ErrorKind::usage, "--plugin: cannot load ", failure.what());
  }
}

}  // namespace isnet::cli
