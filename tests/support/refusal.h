// What an error says, as text to match.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace isnet::testing {

/// The message of the error that `action` throws, which must be of this kind; "accepted" if it throws none.
template <typename Action>
std::string refusal(ErrorKind kind, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "accepted";
}

template <typename Action>
std::string data_refusal(Action&& action) {
  return refusal(ErrorKind::data, std::forward<Action>(action));
}

}  // namespace isnet::testing
