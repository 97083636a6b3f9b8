// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/proc_status.h"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

namespace writ {
namespace {

// Where the effective ID stands among real, effective, saved and file system ID.
constexpr size_t kEffectiveAt = 1;
constexpr size_t kIdsPerLine = 4;

// The rest of the line that begins with `key`.
std::optional<std::string_view> FindLine(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(key)) return line.substr(key.size());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

Result<std::vector<uint32_t>> ParseNumbers(std::string_view line, std::string_view key) {
  std::vector<uint32_t> numbers;
  while (true) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return numbers;
    line.remove_prefix(begin);
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc()) {
      return Internal("the line \"" + std::string(key) + "\" of a process's status has no number " +
                      "where one is expected");
    }
    numbers.push_back(number);
    line.remove_prefix(end - line.data());
  }
}

Result<std::vector<uint32_t>> NumbersOf(std::string_view text, std::string_view key) {
  const std::optional<std::string_view> line = FindLine(text, key);
  if (!line) return Internal("a process's status has no line \"" + std::string(key) + "\"");
  return ParseNumbers(*line, key);
}

Result<uint32_t> EffectiveId(std::string_view text, std::string_view key) {
  const std::vector<uint32_t> ids = TRY(NumbersOf(text, key));
  if (ids.size() != kIdsPerLine) {
    return Internal("the line \"" + std::string(key) + "\" of a process's status has " +
                    std::to_string(ids.size()) + " numbers, expected 4");
  }
  return ids[kEffectiveAt];
}

}  // namespace

Result<ProcessIds> ParseProcStatus(std::string_view text) {
  ProcessIds ids;
  ids.uid = TRY(EffectiveId(text, "Uid:"));
  ids.gid = TRY(EffectiveId(text, "Gid:"));
  ids.groups = TRY(NumbersOf(text, "Groups:"));
  if (ids.groups.size() > kSupplementaryGroupsMax) {
    return ResourceExhausted("the process is in " + std::to_string(ids.groups.size()) +
                             " supplementary groups, at most " +
                             std::to_string(kSupplementaryGroupsMax) + " are looked up");
  }
  return ids;
}

}  // namespace writ
