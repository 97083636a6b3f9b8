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

class SimLog final : public Log {
 public:
  SimLog(SimWorld* world, std::string program) : world_(world), program_(std::move(program)) {}

  void Write(LogLevel level, std::string_view sentence, const Fields& fields) override;
  bool Enabled(LogLevel level) const override { return level >= LogLevel::kInfo; }
  std::string Text() const;

 private:
  static constexpr size_t kLinesMax = 40;

  SimWorld* const world_;
  const std::string program_;
  std::deque<std::string> lines_;
};

}  // namespace writ
