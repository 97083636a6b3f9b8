// SPDX-License-Identifier: Apache-2.0
#include "attestors/join_token/join_token.h"

#include <utility>

namespace writ {
namespace {

class Prover final : public NodeProver {
 public:
  explicit Prover(Secret token) : token_(std::move(token)) {}

  Result<std::string> First() override { return std::string(token_.Reveal()); }

  Result<std::string> Next(std::string_view) override {
    return FailedPrecondition("the server sent a challenge, but a join token answers none");
  }

 private:
  const Secret token_;
};

class ProverFactory final : public NodeProverFactory {
 public:
  explicit ProverFactory(Secret token) : token_(std::move(token)) {}

  Result<std::unique_ptr<NodeProver>> Begin() override {
    if (token_.empty()) {
      return FailedPrecondition(
          "no join token is configured: make one with `writ token create` on the server");
    }
    return std::unique_ptr<NodeProver>(std::make_unique<Prover>(token_.Clone()));
  }

 private:
  const Secret token_;
};

class Verifier final : public NodeVerifier {
 public:
  Verifier(FindJoinToken find, Clock* clock) : find_(std::move(find)), clock_(clock) {}

  Result<NodeStep> Next(std::string_view payload) override {
    if (std::exchange(asked_, true)) {
      return InvalidArgument("a join token conversation has one message, a second one came");
    }
    TRY(ValidateJoinToken(payload), "failed to attest");
    Result<JoinTokenInfo> info = find_(payload);
    if (info.code() == Code::kNotFound) {
      return InvalidArgument(
          "failed to attest: join token does not exist or has already been used");
    }
    if (!info.ok()) return info.status().Annotate("find join token");
    if (info->expires_at < clock_->Now()) return InvalidArgument("join token expired");

    NodeStep step;
    step.verdict = std::make_unique<NodeVerdict>();
    step.verdict->agent_path = std::string(kJoinTokenType) + "/" + std::string(payload);
    step.verdict->join_token = std::string(payload);
    return step;
  }

 private:
  const FindJoinToken find_;
  Clock* const clock_;
  bool asked_ = false;
};

class VerifierFactory final : public NodeVerifierFactory {
 public:
  VerifierFactory(FindJoinToken find, Clock* clock) : find_(std::move(find)), clock_(clock) {}

  std::unique_ptr<NodeVerifier> Begin(const std::string&) override {
    return std::make_unique<Verifier>(find_, clock_);
  }

 private:
  const FindJoinToken find_;
  Clock* const clock_;
};

}  // namespace

Status ValidateJoinToken(std::string_view token) {
  if (token.empty()) return InvalidArgument("the join token is empty");
  if (token.size() > kJoinTokenBytesMax) {
    return InvalidArgument("the join token has " + std::to_string(token.size()) +
                           " bytes, expected at most " + std::to_string(kJoinTokenBytesMax));
  }
  bool one_segment = token.find('/') == std::string_view::npos;
  if (!one_segment || !ValidatePath("/" + std::string(token)).ok()) {
    // The value itself stays out of the message: it is a secret.
    return InvalidArgument(
        "the join token becomes a segment of the agent's SPIFFE ID, so it may hold letters, "
        "digits, '-', '_' and '.' only, and be neither \".\" nor \"..\"");
  }
  return OkStatus();
}

std::unique_ptr<NodeProverFactory> MakeJoinTokenProver(Secret token) {
  return std::make_unique<ProverFactory>(std::move(token));
}

std::unique_ptr<NodeVerifierFactory> MakeJoinTokenVerifier(FindJoinToken find, Clock* clock) {
  return std::make_unique<VerifierFactory>(std::move(find), clock);
}

}  // namespace writ
