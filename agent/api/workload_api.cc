// SPDX-License-Identifier: Apache-2.0
#include "agent/api/workload_api.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "agent/api/answers.h"
#include "agent/api/attesters.h"
#include "agent/api/delivery.h"
#include "agent/api/update_stream.h"
#include "agent/api/unary_call.h"
#include "agent/api/workload_calls.h"
#include "core/base/bytes.h"
#include "spiffe/workload/workload.grpc.pb.h"

namespace writ {
namespace {

class SpiffeWorkloadApi final : public WorkloadApi, private SpiffeWorkloadAPI::CallbackService {
 public:
  explicit SpiffeWorkloadApi(const WorkloadApiOptions& options)
      : jwts_({.source = options.jwt, .clock = options.clock, .random = options.random}),
        limit_(options.calls_per_second, options.clock),
        bundles_for_all_(options.bundles_for_all),
        calls_{.options = options,
               .attesters = &attesters_,
               .jwts = &jwts_,
               .limit = &limit_},
        streams_{.cache = options.cache,
                 .attesters = &attesters_,
                 .delivery = &delivery_,
                 .streams = &open_streams_,
                 .limit = &limit_,
                 .refusals = options.refusals,
                 .log = options.log,
                 .swap_grace = options.swap_grace},
        attesters_(options.attestation) {}

  grpc::Service* service() override { return this; }
  void ServeOn(const GrpcServer* server) override { server_ = server; }
  size_t OpenStreamCount() const override { return open_streams_.size(); }
  void EndStreams() override {
    const Status stopping = Unavailable("the agent is stopping; call again");
    open_streams_.EndAll(stopping);
    attesters_.Stop(stopping);
    jwts_.Stop(stopping);
  }

 private:
  using Context = grpc::CallbackServerContext;

  // Who is calling; an error refuses the call.
  Result<std::shared_ptr<const Caller>> Admit(const Context& context) const {
    TRY(CheckSecurityHeader(context));
    const GrpcServer* server = server_;
    if (server == nullptr) return Unavailable("the agent is starting; call again");
    const std::shared_ptr<const Peer> peer = server->PeerOf(context);
    if (peer == nullptr || peer->caller == nullptr) return Unavailable("the caller has left");
    return peer->caller;
  }

  template <typename Response>
  grpc::ServerWriteReactor<Response>* StartStream(
      const Context& context, const StreamMethod<Response>& method) {
    Result<std::shared_ptr<const Caller>> caller = Admit(context);
    if (!caller.ok()) return RefusedStream<Response>::Start(caller.status());
    return UpdateStream<Response>::Start(streams_, std::move(caller).value(), method);
  }

  // The optional WIT-SVID profile; the header is checked first, as for every call.
  template <typename Response>
  grpc::ServerWriteReactor<Response>* RefuseWit(const Context& context) {
    const Status status = CheckSecurityHeader(context);
    if (!status.ok()) return RefusedStream<Response>::Start(status);
    return RefusedStream<Response>::Start(
        Unimplemented("this agent does not serve the WIT-SVID profile"));
  }

  grpc::ServerWriteReactor<X509SVIDResponse>* FetchX509SVID(Context* context,
                                                            const X509SVIDRequest*) override {
    return StartStream<X509SVIDResponse>(*context,
                                         {"FetchX509SVID", Interest::kX509, MakeX509Svids});
  }
  grpc::ServerWriteReactor<X509BundlesResponse>* FetchX509Bundles(
      Context* context, const X509BundlesRequest*) override {
    return StartStream<X509BundlesResponse>(
        *context, {"FetchX509Bundles", Interest::kBundle, MakeX509Bundles, bundles_for_all_});
  }
  grpc::ServerWriteReactor<JWTBundlesResponse>* FetchJWTBundles(Context* context,
                                                                const JWTBundlesRequest*) override {
    return StartStream<JWTBundlesResponse>(
        *context, {"FetchJWTBundles", Interest::kBundle, MakeJwtBundles, bundles_for_all_});
  }
  grpc::ServerWriteReactor<WITSVIDResponse>* FetchWITSVID(Context* context,
                                                          const WITSVIDRequest*) override {
    return RefuseWit<WITSVIDResponse>(*context);
  }
  grpc::ServerWriteReactor<WITBundlesResponse>* FetchWITBundles(Context* context,
                                                                const WITBundlesRequest*) override {
    return RefuseWit<WITBundlesResponse>(*context);
  }
  grpc::ServerUnaryReactor* FetchJWTSVID(Context* context, const JWTSVIDRequest* request,
                                         JWTSVIDResponse* response) override {
    Result<std::shared_ptr<const Caller>> caller = Admit(*context);
    if (!caller.ok()) return RefuseCall(caller.status());
    return StartFetchJwtSvid(calls_, *context, std::move(caller).value(), request, response);
  }
  grpc::ServerUnaryReactor* ValidateJWTSVID(Context* context, const ValidateJWTSVIDRequest* request,
                                            ValidateJWTSVIDResponse* response) override {
    Result<std::shared_ptr<const Caller>> caller = Admit(*context);
    if (!caller.ok()) return RefuseCall(caller.status());
    return StartValidateJwtSvid(calls_, std::move(caller).value(), request, response);
  }

  std::atomic<const GrpcServer*> server_ = nullptr;
  OpenStreams open_streams_;  // its own lock
  Delivery delivery_;         // its own lock
  JwtFetcher jwts_;           // its own lock
  CallerLimit limit_;         // its own lock
  const bool bundles_for_all_;
  const CallSetting calls_;
  const StreamSetting streams_;
  Attesters attesters_;  // its own lock; the last member: its work uses the others
};

}  // namespace

Status NotSyncedYet() {
  return Unavailable("the agent has not finished its first synchronization with the server; call "
                     "again");
}

Status NoIdentityIssued(const RefusalNotice& notice, Refusals& refusals, Log& log) {
  const Caller& caller = *notice.caller;
  const std::string process = "process " + std::to_string(caller.pid());
  const std::string id =
      refusals.Add(notice.method, caller, *notice.selectors, *notice.failures);
  std::string why = "no registration entry matches " + process;
  if (!notice.asked_for.empty()) {
    why = process + " does not hold " + Printable(notice.asked_for) +
          "; ask without spiffe_id to see what it holds";
  }
  if (std::optional<size_t> left_out = refusals.LogTurn()) {
    Log::Fields fields = {{"pid", caller.pid()},
                          {"uid", caller.uid()},
                          {"gid", caller.gid()},
                          {"why", "writ why --id " + id}};
    if (!notice.asked_for.empty()) fields.emplace_back("asked_for", Printable(notice.asked_for));
    if (*left_out > 0) fields.emplace_back("refusals_not_logged", *left_out);
    log.Warn(notice.asked_for.empty()
                 ? "no identity issued: no registration entry matches the caller"
                 : "no identity issued: the caller does not hold the ID that it asks for",
             fields);
  }
  return PermissionDenied("no identity issued: " + why + "; `writ why --id " + id +
                          "` on this node says what it lacks");
}

Status NotIdentified(const Status& failed, const char* method, const Caller& caller,
                     const std::vector<AttestorFailure>& failures, Refusals& refusals) {
  if (failures.empty()) return failed;
  const std::string id = refusals.AddUnidentified(method, caller, failures);
  return Unavailable(failed.message() + "; `writ why --id " + id + "` on this node says why");
}

Status CallerGone(const Caller& caller) {
  return Unavailable("process " + std::to_string(caller.pid()) + ", which connected, is gone");
}

std::unique_ptr<WorkloadApi> WorkloadApi::Make(WorkloadApiOptions options) {
  return std::make_unique<SpiffeWorkloadApi>(options);
}

}  // namespace writ
