// SPDX-License-Identifier: Apache-2.0
//
// SimLog: the last lines of one program, shown when the simulation fails.
//
// Threads: whoever has the world's turn.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "core/base/log.h"
#include "test/sim/world.h"

namespace writ {

class SimLog final : public AdjustableLog {
 public:
  SimLog(SimWorld* world, std::string program) : world_(world), program_(std::move(program)) {}

  void Write(LogLevel level, std::string_view sentence, const Fields& fields) override;
  bool Enabled(LogLevel level) const override { return level >= level_; }
  void SetLevel(LogLevel level) override { level_ = level; }
  LogLevel Level() const override { return level_; }
  std::string Text() const;

 private:
  static constexpr size_t kLinesMax = 40;

  SimWorld* const world_;
  const std::string program_;
  LogLevel level_ = LogLevel::kInfo;
  std::deque<std::string> lines_;
};

}  // namespace writ
