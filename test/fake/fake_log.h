// SPDX-License-Identifier: Apache-2.0
//
// FakeLog: keeps what was logged, every level whatever is set, as "LEVEL sentence key=value ...".
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/mutex.h"

namespace writ {

class FakeLog final : public AdjustableLog {
 public:
  void Write(LogLevel level, std::string_view sentence, const Fields& fields) override;
  bool Enabled(LogLevel) const override { return true; }
  void SetLevel(LogLevel level) override { level_ = level; }
  LogLevel Level() const override { return level_; }

  std::vector<std::string> Lines() const;
  // How many lines hold `words`.
  int Count(std::string_view words) const;

 private:
  std::atomic<LogLevel> level_ = LogLevel::kInfo;
  mutable Mutex mu_;
  std::vector<std::string> lines_ GUARDED_BY(mu_);
};

}  // namespace writ
