#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/output_queue.h"
#include "base/printable.h"
#include "base/terminal.h"

namespace isnet::log {
namespace {

// On a terminal a message is broken at blanks, not anywhere, and what went wrong stands out. Tables stay as they
// are.
std::string for_terminal(std::string text, spdlog::level::level_enum level) {
  const auto columns = columns_of_terminal(STDERR_FILENO);
  if (!columns) return text;
  constexpr std::size_t narrowest = 20, start = 7;  // of "isnet: "
  const bool one_line = text.find('\n') + 1 == text.size();
  if (one_line && display_width(text) > *columns && *columns > narrowest)
    text = text.substr(0, start) + wrapped(text.substr(start), *columns - 1, start) + "\n";
  const char* word = level == spdlog::level::err ? "error:" : level == spdlog::level::warn ? "warning:" : "";
  const auto at = *word ? text.find(word) : std::string::npos;
  if (at == std::string::npos || !shows_colours(STDERR_FILENO)) return text;
  const char* colour = level == spdlog::level::err ? "\033[31m" : "\033[33m";
  return text.insert(at + std::char_traits<char>::length(word), "\033[0m").insert(at, colour);
}

// To stderr, without waiting for who reads it.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    error_output().write(for_terminal({text.data(), text.size()}, message.level));
  }
  void flush_() override {}
};

// Appends to a file line by line, through our own file access: never to a link or a pipe.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(const std::filesystem::path& path) : file_(path) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.append({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  AppendedFile file_;
};

// One logger for the process; spdlog's sinks lock for themselves.
struct State {
  std::mutex mutex;
  std::shared_ptr<TerminalSink> terminal = std::make_shared<TerminalSink>();
  std::shared_ptr<FileSink> file;
  std::shared_ptr<spdlog::logger> logger;
  Settings settings;
  std::atomic<bool> said_that_lines_are_missing = false;

  State() { rebuild(); }

  void rebuild() {
    terminal->set_pattern(settings.prefix.empty() ? "isnet: %^%v%$" : "isnet: " + settings.prefix + "%v");
    terminal->set_level(spdlog_level(settings.threshold));
    spdlog::sinks_init_list with_file{terminal, file};
    spdlog::sinks_init_list without_file{terminal};
    logger = std::make_shared<spdlog::logger>("isnet", file ? with_file : without_file);
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
    logger->set_error_handler([this](const std::string& reason) { say_that_lines_are_missing(reason); });
  }

  // Once: a full disk would have it said with every line. The logger calls it where one of its sinks fails.
  void say_that_lines_are_missing(const std::string& reason) {
    if (said_that_lines_are_missing.exchange(true)) return;
    const std::string text =
        "warning: " + reason + "; the log file misses lines from here on (look at its disk)";
    terminal->log(spdlog::details::log_msg("isnet", spdlog::level::warn, text));
  }

  static spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
      case Level::debug:
        return spdlog::level::debug;
      case Level::info:
        return spdlog::level::info;
      case Level::warning:
        return spdlog::level::warn;
      case Level::error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
  }
};

State& state() {
  static State instance;
  return instance;
}

void write(Level level, const std::string& message) {
  std::shared_ptr<spdlog::logger> logger;
  {
    std::lock_guard lock(state().mutex);
    logger = state().logger;
  }
  // Messages name what files hold. Those of a failure have one line.
  const std::string text = level == Level::warning ? "warning: " + printable(message)
                           : level == Level::error ? "error: " + printable(message)
                                                   : printable_lines(message);
  logger->log(State::spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace

void configure(const Settings& settings) {
  std::lock_guard lock(state().mutex);
  state().settings = settings;
  state().rebuild();
}

void to_file(const std::filesystem::path& path) {
  std::lock_guard lock(state().mutex);
  state().file = std::make_shared<FileSink>(path);
  state().file->set_pattern("%Y-%m-%d %H:%M:%S.%e %v");
  state().rebuild();
}

void close_file() {
  std::lock_guard lock(state().mutex);
  state().file.reset();
  state().rebuild();
}

void debug(const std::string& message) {
  write(Level::debug, message);
}
void info(const std::string& message) {
  write(Level::info, message);
}
void warning(const std::string& message) {
  write(Level::warning, message);
}
void error(const std::string& message) {
  error_output().stop_showing();
  write(Level::error, message);
  flush();
}
void flush() {
  error_output().flush();
}

}  // namespace isnet::log
