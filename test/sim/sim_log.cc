// SPDX-License-Identifier: Apache-2.0
#include "test/sim/sim_log.h"

namespace writ {

void SimLog::Write(LogLevel, std::string_view sentence, const Fields& fields) {
  std::string line = FormatTime(world_->Now()) + " " + program_ + ": " + std::string(sentence);
  for (const LogField& field : fields) line += " " + field.key + "=" + field.value;
  lines_.push_back(std::move(line));
  if (lines_.size() > kLinesMax) lines_.pop_front();
}

std::string SimLog::Text() const {
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  return text;
}

}  // namespace writ
