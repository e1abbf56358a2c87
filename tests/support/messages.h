// Messages of this process, as they come to stderr.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/log.h"

namespace isnet::testing {

inline void capture_messages() {
  log::flush();
  ::testing::internal::CaptureStderr();
}

inline std::string captured_messages() {
  log::flush();
  return ::testing::internal::GetCapturedStderr();
}

}  // namespace isnet::testing
