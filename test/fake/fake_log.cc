// SPDX-License-Identifier: Apache-2.0
#include "test/fake/fake_log.h"

#include <algorithm>
#include <array>

namespace writ {

void FakeLog::Write(LogLevel level, std::string_view sentence, const Fields& fields) {
  constexpr std::array kNames = {"DEBUG", "INFO", "WARN", "ERROR"};
  std::string line = std::string(kNames[static_cast<size_t>(level)]) + " " + std::string(sentence);
  for (const LogField& field : fields) line += " " + field.key + "=" + field.value;
  MutexLock lock(mu_);
  lines_.push_back(std::move(line));
}

std::vector<std::string> FakeLog::Lines() const {
  MutexLock lock(mu_);
  return lines_;
}

int FakeLog::Count(std::string_view words) const {
  MutexLock lock(mu_);
  return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
    return line.find(words) != line.npos;
  }));
}

}  // namespace writ
