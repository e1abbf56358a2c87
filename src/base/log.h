// Messages to people: to stderr and, once a run folder is known, to its log.txt. Thread-safe. Nobody waits
// for a reader of stderr (base/output_queue.h).
#pragma once

#include <filesystem>
#include <string>

namespace isnet::log {

/// How serious a message is, rising.
enum class Level { debug, info, warning, error };

/// How messages are shown. Set once, early, by main (and again by the trainer when the rank is known).
struct Settings {
  Level threshold = Level::info;  ///< what goes to stderr; the file gets everything
  std::string prefix;             ///< put before each message, e.g. "rank 2: "
};
/// Replaces the settings.
void configure(const Settings& settings);

/// From now on messages also go to this file (AppendedFile; line by line). Errors: runtime, data.
void to_file(const std::filesystem::path& path);
/// Closes that file: messages go to stderr alone.
void close_file();

/// Each writes one message of its level, printable (printable.h); debug and info may have several lines.
void debug(const std::string& message);
void info(const std::string& message);
void warning(const std::string& message);
/// Also waits for the reader of stderr, as flush() does: it may be the last message.
void error(const std::string& message);

/// Waits until stderr has all messages, or nobody has read for 2 s.
void flush();

}  // namespace isnet::log
