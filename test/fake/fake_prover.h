// SPDX-License-Identifier: Apache-2.0
//
// TokenProver: proves a node by a token that a test may change; an empty one is a missing setting.
#pragma once

#include <memory>
#include <string>

#include "attestors/node/node_attestor.h"

namespace writ {

class TokenProver final : public NodeProverFactory {
 public:
  explicit TokenProver(std::string token) : token(std::move(token)) {}
  Result<std::unique_ptr<NodeProver>> Begin() override {
    if (token.empty()) return FailedPrecondition("no join token is set");
    return std::unique_ptr<NodeProver>(std::make_unique<Session>(token));
  }

  std::string token;

 private:
  class Session final : public NodeProver {
   public:
    explicit Session(std::string token) : token_(std::move(token)) {}
    Result<std::string> First() override { return token_; }
    Result<std::string> Next(std::string_view) override {
      return Internal("no challenge is known");
    }

   private:
    const std::string token_;
  };
};

}  // namespace writ
