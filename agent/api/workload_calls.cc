// SPDX-License-Identifier: Apache-2.0
#include "agent/api/workload_calls.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/answers.h"
#include "agent/api/unary_call.h"
#include "agent/api/update_stream.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

// Of a caller's time: what an answer may need to reach it.
constexpr Duration kAnswerMayTake = std::chrono::milliseconds(500);

// The caller's deadline by our clock that never jumps, or a little before: a caller that gives up
// first would never hear why.
MonoTime DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock) {
  const Duration left = TimeLeft(context.raw_deadline(), clock.Now(), kJwtFetchMax);
  return clock.Monotonic() + left - std::min(left / 10, kAnswerMayTake);
}

Result<std::vector<std::string>> AudienceOf(const JWTSVIDRequest& request) {
  std::vector<std::string> audience;
  size_t bytes = 0;
  for (const std::string& value : request.audience()) {
    bytes += value.size();
    if (!value.empty()) audience.push_back(value);
  }
  if (audience.empty()) {
    return InvalidArgument("audience must be specified: a JWT-SVID is for one audience or more");
  }
  if (audience.size() > kAudiencesMax || bytes > kAudienceBytesMax) {
    return InvalidArgument("too many audiences: expected at most " + std::to_string(kAudiencesMax) +
                           " of " + std::to_string(kAudienceBytesMax) + " bytes together, got " +
                           std::to_string(audience.size()) + " of " + std::to_string(bytes));
  }
  return audience;
}

class FetchJwtSvidCall final : public UnaryCall {
 public:
  FetchJwtSvidCall(const CallSetting& setting, std::shared_ptr<const Caller> caller,
                   MonoTime deadline, std::vector<std::string> audience,
                   const std::string& spiffe_id, JWTSVIDResponse* response)
      : setting_(setting),
        caller_(std::move(caller)),
        deadline_(deadline),
        audience_(std::move(audience)),
        spiffe_id_(spiffe_id),
        response_(response) {}

  static grpc::ServerUnaryReactor* Start(const CallSetting& setting,
                                         const grpc::CallbackServerContext& context,
                                         std::shared_ptr<const Caller> caller,
                                         const JWTSVIDRequest& request,
                                         JWTSVIDResponse* response) {
    Result<std::vector<std::string>> audience = AudienceOf(request);
    if (!audience.ok()) return RefusedCall::Start(audience.status());
    if (!request.spiffe_id().empty()) {
      const Result<SpiffeId> id = SpiffeId::Parse(request.spiffe_id());
      if (!id.ok()) return RefusedCall::Start(id.status().Annotate("invalid requested SPIFFE ID"));
    }
    const auto call = Make<FetchJwtSvidCall>(
        setting, std::move(caller), DeadlineOf(context, *setting.options.clock),
        std::move(audience).value(), request.spiffe_id(), response);
    setting.attesters->Attest(call->caller_, call->left(), Attesters::Where::kAnywhere,
                              [call](const auto& selectors, const auto& failures) {
                                call->Go(selectors, failures);
                              });
    return call.get();
  }

 private:
  static constexpr char kMethod[] = "FetchJWTSVID";

  void Go(const Result<Selectors>& selectors, const std::vector<AttestorFailure>& failures) {
    if (!selectors.ok()) {
      return End(NotIdentified(selectors.status(), kMethod, *caller_, failures,
                               *setting_.options.refusals));
    }
    const Status selected = Select(*selectors, failures);
    if (!selected.ok()) return End(selected);
    FetchRest();
  }

  // Which identities are meant.
  Status Select(const Selectors& selectors, const std::vector<AttestorFailure>& failures) {
    const WorkloadApiOptions& options = setting_.options;
    TRY(setting_.limit->Admit(kMethod, *caller_, selectors));
    const std::shared_ptr<const WorkloadUpdate> update = options.cache->Lookup(selectors);
    if (update->state == WorkloadUpdate::State::kNotSynced) return NotSyncedYet();
    for (const Identity& identity : update->identities) {
      if (spiffe_id_.empty() || identity.entry->spiffe_id.text() == spiffe_id_) {
        identities_.push_back(identity);
      }
    }
    if (!identities_.empty()) return OkStatus();
    return NoIdentityIssued(
        {caller_.get(), kMethod, &selectors, &failures,
         update->identities.empty() ? std::string_view() : std::string_view(spiffe_id_)},
        *options.refusals, *options.log);
  }

  // Goes through the identities; where one's token is to come, its answer goes on.
  void FetchRest() {
    while (fetched_count_ < identities_.size()) {
      auto self = std::static_pointer_cast<FetchJwtSvidCall>(shared_from_this());
      const std::optional<Result<HeldJwt>> jwt = setting_.jwts->Fetch(
          identities_[fetched_count_].entry, audience_,
          JwtCaller{caller_->uid(), caller_->pid(), deadline_, left()},
          [self](const Result<HeldJwt>& later) {
            if (self->Take(later)) self->FetchRest();
          });
      if (!jwt) return;  // another thread may be at work on this call already
      if (!Take(*jwt)) return;
    }
    End(Last());
  }

  // False when that was the end of the call.
  bool Take(const Result<HeldJwt>& jwt) {
    const Identity& identity = identities_[fetched_count_];
    if (jwt.ok()) {
      Add(identity, *jwt);
      ++fetched_count_;
      return true;
    }
    response_->Clear();
    End(Unavailable("could not fetch JWT-SVID: " + jwt.status().message() + " (for " +
                    identity.entry->spiffe_id.text() + ")"));
    return false;
  }

  void Add(const Identity& identity, const HeldJwt& jwt) {
    JWTSVID& svid = *response_->add_svids();
    svid.set_spiffe_id(identity.entry->spiffe_id.text());
    svid.set_svid(jwt.token);
    svid.set_hint(identity.entry->hint);
  }

  // Whether the answer may leave.
  Status Last() {
    if (caller_->Alive()) return OkStatus();
    response_->Clear();
    return CallerGone(*caller_);
  }

  const CallSetting& setting_;
  const std::shared_ptr<const Caller> caller_;
  const MonoTime deadline_;
  const std::vector<std::string> audience_;
  const std::string spiffe_id_;  // empty: all
  JWTSVIDResponse* const response_;
  std::vector<Identity> identities_;  // set by Select
  size_t fetched_count_ = 0;          // of whoever works on the call
};

class ValidateJwtSvidCall final : public UnaryCall {
 public:
  ValidateJwtSvidCall(const CallSetting& setting, std::shared_ptr<const Caller> caller,
                      const ValidateJWTSVIDRequest& request, ValidateJWTSVIDResponse* response)
      : setting_(setting), caller_(std::move(caller)), request_(request), response_(response) {}

  static grpc::ServerUnaryReactor* Start(const CallSetting& setting,
                                         std::shared_ptr<const Caller> caller,
                                         const ValidateJWTSVIDRequest& request,
                                         ValidateJWTSVIDResponse* response) {
    if (request.audience().empty()) {
      return RefusedCall::Start(InvalidArgument("audience must be specified: the one that the "
                                                "token has to be for"));
    }
    if (request.svid().empty()) {
      return RefusedCall::Start(InvalidArgument("svid must be specified: the token to validate"));
    }
    const auto call = Make<ValidateJwtSvidCall>(setting, std::move(caller), request, response);
    setting.attesters->Attest(call->caller_, call->left(), Attesters::Where::kOnAttesters,
                              [call](const auto& selectors, const auto& failures) {
                                call->End(call->Validate(selectors, failures));
                              });
    return call.get();
  }

 private:
  static constexpr char kMethod[] = "ValidateJWTSVID";

  // Needs no identity, but a caller that can be identified.
  Status Validate(const Result<Selectors>& selectors,
                  const std::vector<AttestorFailure>& failures) {
    const WorkloadApiOptions& options = setting_.options;
    if (!selectors.ok()) {
      return NotIdentified(selectors.status(), kMethod, *caller_, failures, *options.refusals);
    }
    TRY(setting_.limit->Admit(kMethod, *caller_, *selectors));
    const std::shared_ptr<const Bundle> own = options.cache->CurrentBundle();
    if (own == nullptr) return NotSyncedYet();
    const Result<JwtSvid> svid = ValidateJwtSvid(request_.svid(), request_.audience(),
                                                 std::span(own.get(), 1), options.clock->Now());
    if (!svid.ok()) return InvalidArgument(svid.status().message());
    response_->set_spiffe_id(svid->id.text());
    *response_->mutable_claims() = MakeClaims(*svid, options.trust_domain);
    return OkStatus();
  }

  const CallSetting& setting_;
  const std::shared_ptr<const Caller> caller_;
  const ValidateJWTSVIDRequest& request_;
  ValidateJWTSVIDResponse* const response_;
};

}  // namespace

grpc::ServerUnaryReactor* RefuseCall(const Status& status) { return RefusedCall::Start(status); }

grpc::ServerUnaryReactor* StartFetchJwtSvid(const CallSetting& setting,
                                            const grpc::CallbackServerContext& context,
                                            std::shared_ptr<const Caller> caller,
                                            const JWTSVIDRequest* request,
                                            JWTSVIDResponse* response) {
  return FetchJwtSvidCall::Start(setting, context, std::move(caller), *request, response);
}

grpc::ServerUnaryReactor* StartValidateJwtSvid(const CallSetting& setting,
                                               std::shared_ptr<const Caller> caller,
                                               const ValidateJWTSVIDRequest* request,
                                               ValidateJWTSVIDResponse* response) {
  return ValidateJwtSvidCall::Start(setting, std::move(caller), *request, response);
}

}  // namespace writ
