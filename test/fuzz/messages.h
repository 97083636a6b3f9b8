// SPDX-License-Identifier: Apache-2.0
//
// How the targets of the edges read their input: as one message, as several of a stream, or as the
// settings of a daemon.
#pragma once

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/spiffe/id.h"

namespace writ {

inline const TrustDomain& ExampleOrg() {
  static const TrustDomain td = *TrustDomain::Parse("example.org");
  return td;
}

template <class Message>
bool Parse(std::string_view input, Message* message) {
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);  // of what it refuses
  (void)quiet;
  return message->ParseFromArray(input.data(), static_cast<int>(input.size()));
}

// Each behind its length, in two bytes; what is cut counts as it is.
inline std::vector<std::string_view> SplitMessages(std::string_view input) {
  std::vector<std::string_view> messages;
  while (input.size() >= 2) {
    const size_t bytes = static_cast<unsigned char>(input[0]) << 8 |
                         static_cast<unsigned char>(input[1]);
    messages.push_back(input.substr(2, bytes));
    input.remove_prefix(std::min(input.size(), 2 + bytes));
  }
  return messages;
}

// One setting on a line, as flags: what they say goes through the same checks as a file's.
inline std::vector<std::string> SettingFlags(std::string_view input) {
  std::vector<std::string> flags;
  while (!input.empty()) {
    const size_t end = input.find('\n');
    const std::string line(input.substr(0, end));
    // A fuzzer must not read whatever file it names.
    if (!line.starts_with("--config")) flags.push_back(line);
    input.remove_prefix(end == input.npos ? input.size() : end + 1);
  }
  return flags;
}

}  // namespace writ
