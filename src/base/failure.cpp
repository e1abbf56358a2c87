#include "base/failure.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/threads.h"

namespace isnet {
namespace {

// How libraries say that they got no memory: torch's allocators, oneDNN, OpenCV, HDF5, the C++ library, the
// system.
constexpr std::array<std::string_view, 10> memory_texts{
    "can't allocate memory", "out of memory",         "could not create a memory", "Failed to allocate",
    "Insufficient memory",   "std::bad_alloc",        "memory allocation failed",  "cannot allocate memory",
    "not enough memory",     "Cannot allocate memory"};

// oneDNN's words for it where a layer is prepared or run; its other causes are errors of the caller's.
constexpr std::array<std::string_view, 2> whole_memory_texts{"could not create a primitive",
                                                             "could not execute a primitive"};

// Torch's words for a tensor of more bytes than it can count.
constexpr char beyond_any_memory[] = "Storage size calculation overflowed";

// The number of bytes in torch's "you tried to allocate 4096 bytes", with a blank before; or "".
std::string bytes_asked_for(const std::string& text) {
  static constexpr std::string_view before = "tried to allocate ";
  const auto at = text.find(before);
  if (at == std::string::npos) return "";
  const std::string rest = text.substr(at + before.size());
  const std::string digits = rest.substr(0, rest.find_first_not_of("0123456789"));
  return digits.empty() ? "" : cat(" (", digits, " bytes were asked for at once)");
}

std::string message_of(const std::exception& error) {
  const std::string text = error.what();
  if (is_out_of_memory(error) || text.find(beyond_any_memory) != std::string::npos)
    return cat("out of memory", bytes_asked_for(text),
               ": try a smaller --batch-size, fewer workers, a smaller --prefetch-mb, or "
               "--checkpoint-activations 1, or raise the limit (ulimit -v, the container's or the job's)");
  if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
    return cat(file->path1().string(), ": ", file->code().message());
  if (const auto* system = dynamic_cast<const std::system_error*>(&error);
      system && system->code() == std::errc::resource_unavailable_try_again)
    return too_few_threads_text();
  return first_line(text);
}

}  // namespace

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const Error*>(&error)) return false;
  if (dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const std::length_error*>(&error))
    return true;
  if (const auto* system = dynamic_cast<const std::system_error*>(&error);
      system && system->code() == std::errc::not_enough_memory)
    return true;
  const std::string_view text = error.what();
  return std::find(whole_memory_texts.begin(), whole_memory_texts.end(), first_line(error.what())) !=
             whole_memory_texts.end() ||
         std::any_of(memory_texts.begin(), memory_texts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

Failure failure_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error))
    return {error, error.what(), exit_status(ours->kind())};
  return {error, message_of(error), exit_status(ErrorKind::runtime)};
}

}  // namespace isnet
