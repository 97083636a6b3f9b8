// SPDX-License-Identifier: Apache-2.0
//
// ServerApi over gRPC: two connections, one with the agent's certificate and one without (for
// bootstrap and attestation).
#include <algorithm>
#include <utility>

#include "agent/client/convert.h"
#include "agent/client/entry_sync.h"
#include "agent/client/grpc_calls.h"
#include "agent/client/notices.h"
#include "agent/client/server_api.h"
#include "agent/client/server_faults.h"
#include "core/base/mutex.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {
namespace {

namespace agentv1 = spire::api::server::agent::v1;
namespace bundlev1 = spire::api::server::bundle::v1;
namespace entryv1 = spire::api::server::entry::v1;
namespace svidv1 = spire::api::server::svid::v1;

// A first sync of very many entries takes a while; it makes progress or its stream breaks.
constexpr Duration kEntrySyncTimeout = std::chrono::minutes(5);
constexpr Duration kAttestTimeout = std::chrono::minutes(1);
// Longer than the server lets a connection live.
constexpr Duration kFollowTimeout = std::chrono::hours(2);
constexpr size_t kAgentVersionBytesMax = 255;

std::unique_ptr<GrpcCalls> Connect(const ServerApiOptions& options, bool anonymous) {
  TlsClientOptions tls{.address = options.address, .verify = options.verify, .stop = options.stop};
  tls.identity = anonymous ? [] { return std::optional<TlsIdentity>(); } : options.identity;
  return std::make_unique<GrpcCalls>(TlsChannel::Make(std::move(tls), options.clock, options.log),
                                     options.clock, options.stop);
}

using AttestStream =
    grpc::ClientReaderWriterInterface<agentv1::AttestAgentRequest, agentv1::AttestAgentResponse>;

// A refusal of the prover's is FailedPrecondition, whatever it was: the node cannot prove itself.
Status ProverFailed(const Status& status) {
  return FailedPrecondition(status.message()).Annotate("prove this node");
}

Result<AttestedAgent> ReadResult(const agentv1::AttestAgentResponse::Result& result) {
  Result<CertificateChain> chain = ChainFromProto(result.svid());
  if (!chain.ok()) return Internal(chain.status().message()).Annotate("attestation's result");
  return AttestedAgent{std::move(chain).value(), result.reattestable()};
}

// The rounds after the first request has been sent. Unavailable: the stream broke.
Result<AttestedAgent> RunRounds(AttestStream& stream, NodeProver& prover) {
  for (int round = 0; round < kAttestationRoundsMax; ++round) {
    agentv1::AttestAgentResponse response;
    if (!stream.Read(&response)) return Unavailable("the stream ended before the result");
    if (response.has_result()) return ReadResult(response.result());
    if (response.challenge().size() > kAttestationPayloadBytesMax) {
      return Internal("the server's challenge is larger than " +
                      std::to_string(kAttestationPayloadBytesMax) + " bytes");
    }
    Result<std::string> answer = prover.Next(response.challenge());
    if (!answer.ok()) return ProverFailed(answer.status());
    agentv1::AttestAgentRequest request;
    request.set_challenge_response(std::move(answer).value());
    if (!stream.Write(request)) return Unavailable("the stream ended before the result");
  }
  return Internal("the server asked for more than " + std::to_string(kAttestationRoundsMax) +
                  " rounds of attestation");
}

Status ItemFailure(const spire::api::types::Status& status) {
  bool known = status.code() > 0 && status.code() <= static_cast<int>(Code::kUnauthenticated);
  return Status(known ? static_cast<Code>(status.code()) : Code::kUnknown, status.message());
}

// What a stream came to: its own failure unless that was only the loss of the stream, whose cause
// Finish() knows.
template <typename T, typename Stream>
Result<T> Conclude(Result<T> result, Stream& stream, grpc::ClientContext& context) {
  if (result.ok()) {
    stream.WritesDone();
  } else if (result.code() != Code::kUnavailable) {
    context.TryCancel();
  }
  grpc::Status status = stream.Finish();
  if (result.ok() || result.code() != Code::kUnavailable || status.ok()) return result;
  return FromServer(status);
}

class GrpcServerApi final : public ServerApi {
 public:
  explicit GrpcServerApi(ServerApiOptions options)
      : options_(std::move(options)),
        agent_(Connect(options_, false)),
        anonymous_(Connect(options_, true)),
        faults_(options_.clock, options_.log) {}

  Result<AttestedAgent> Attest(const std::string& type, NodeProver& prover,
                               const std::string& csr_der) override;
  Result<Bundle> FetchBundle(bool anonymous) override;
  Result<CertificateChain> Renew(const std::string& csr_der) override;
  Status PostStatus(const std::string& agent_version) override;
  Result<EntryChanges> SyncEntries(const HeldEntries& held) override;
  Result<std::vector<Result<CertificateChain>>> NewX509Svids(
      const std::vector<SvidRequest>& requests) override;
  Result<ReceivedJwt> NewJwtSvid(const Entry& entry, const std::vector<std::string>& audience,
                                 MonoTime deadline) override;
  Status Follow(uint64_t after, const std::function<void(Notice)>& on_notice,
                std::stop_token stop) override EXCLUDES(mu_);
  void Reconnect() override EXCLUDES(mu_);

 private:
  std::stop_token EndOfStreams() EXCLUDES(mu_);

  // Constant after construction, as are the connections.
  const ServerApiOptions options_;
  const std::unique_ptr<GrpcCalls> agent_;
  const std::unique_ptr<GrpcCalls> anonymous_;
  ServerFaults faults_;
  Mutex mu_;
  std::stop_source end_streams_ GUARDED_BY(mu_);  // of those that live
};

Result<AttestedAgent> GrpcServerApi::Attest(const std::string& type, NodeProver& prover,
                                            const std::string& csr_der) {
  Result<std::string> payload = prover.First();
  if (!payload.ok()) return ProverFailed(payload.status());
  agentv1::AttestAgentRequest request;
  request.mutable_params()->mutable_data()->set_type(type);
  request.mutable_params()->mutable_data()->set_payload(std::move(payload).value());
  request.mutable_params()->mutable_params()->set_csr(csr_der);

  AttestedAgent agent;
  auto call = [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    auto stream = agentv1::Agent::NewStub(channel)->AttestAgent(&context);
    stream->Write(request);  // a failure shows at the first Read
    Result<AttestedAgent> result = Conclude(RunRounds(*stream, prover), *stream, context);
    if (result.ok()) agent = std::move(result).value();
    return result.status();
  };
  // Once: a join token whose answer was lost is consumed.
  TRY(anonymous_->RunOnce(options_.clock->Monotonic() + kAttestTimeout, call));
  return agent;
}

Result<Bundle> GrpcServerApi::FetchBundle(bool anonymous) {
  spire::api::types::Bundle answer;
  TRY((anonymous ? anonymous_ : agent_)
          ->Run([&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
            return FromServer(bundlev1::Bundle::NewStub(channel)->GetBundle(
                &context, bundlev1::GetBundleRequest(), &answer));
          }),
      "fetch the bundle");
  std::vector<std::string> left_out;
  Result<Bundle> bundle = BundleFromProto(answer, options_.trust_domain, &left_out);
  if (!bundle.ok()) return Internal(bundle.status().message()).Annotate("the server's bundle");
  faults_.TellAuthorities(std::move(left_out));
  return bundle;
}

Result<CertificateChain> GrpcServerApi::Renew(const std::string& csr_der) {
  agentv1::RenewAgentRequest request;
  request.mutable_params()->set_csr(csr_der);
  agentv1::RenewAgentResponse answer;
  TRY(agent_->Run([&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    return FromServer(agentv1::Agent::NewStub(channel)->RenewAgent(&context, request, &answer));
  }),
      "renew the agent's SVID");
  Result<CertificateChain> chain = ChainFromProto(answer.svid());
  if (!chain.ok()) return Internal(chain.status().message()).Annotate("the agent's new SVID");
  return chain;
}

Status GrpcServerApi::PostStatus(const std::string& agent_version) {
  agentv1::PostStatusRequest request;
  request.set_agent_version(agent_version.substr(0, kAgentVersionBytesMax));
  return agent_
      ->Run([&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
        agentv1::PostStatusResponse answer;
        return FromServer(agentv1::Agent::NewStub(channel)->PostStatus(&context, request, &answer));
      })
      .Annotate("post the agent's status");
}

Result<EntryChanges> GrpcServerApi::SyncEntries(const HeldEntries& held) {
  EntryChanges changes;
  auto call = [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    auto stream = entryv1::Entry::NewStub(channel)->SyncAuthorizedEntries(&context);
    MalformedEntries malformed;
    Result<EntryChanges> synced =
        SyncEntryStream(*stream, held, options_.trust_domain, malformed);
    Result<EntryChanges> result = Conclude(std::move(synced), *stream, context);
    faults_.Tell(malformed);
    if (result.ok()) changes = std::move(result).value();
    return result.status();
  };
  TRY(agent_->Run(options_.clock->Monotonic() + kEntrySyncTimeout, call), "sync entries");
  return changes;
}

Result<std::vector<Result<CertificateChain>>> GrpcServerApi::NewX509Svids(
    const std::vector<SvidRequest>& requests) {
  CHECK(requests.size() <= kX509BatchMax);
  svidv1::BatchNewX509SVIDRequest batch;
  for (const SvidRequest& request : requests) {
    svidv1::NewX509SVIDParams* params = batch.add_params();
    params->set_entry_id(request.entry_id);
    params->set_csr(request.csr_der);
  }
  svidv1::BatchNewX509SVIDResponse answer;
  TRY(agent_->Run([&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    return FromServer(svidv1::SVID::NewStub(channel)->BatchNewX509SVID(&context, batch, &answer));
  }),
      "fetch X.509-SVIDs");
  if (static_cast<size_t>(answer.results_size()) != requests.size()) {
    return Internal("asked for " + std::to_string(requests.size()) + " X.509-SVIDs, got " +
                    std::to_string(answer.results_size()) + " results");
  }
  std::vector<Result<CertificateChain>> chains;
  chains.reserve(requests.size());
  for (const auto& result : answer.results()) {
    if (result.status().code() != 0) {
      chains.push_back(ItemFailure(result.status()));
    } else {
      chains.push_back(ChainFromProto(result.svid()));
    }
  }
  return chains;
}

Result<ReceivedJwt> GrpcServerApi::NewJwtSvid(const Entry& entry,
                                              const std::vector<std::string>& audience,
                                              MonoTime deadline) {
  svidv1::NewJWTSVIDRequest request;
  request.set_entry_id(entry.id);
  request.mutable_audience()->Assign(audience.begin(), audience.end());
  svidv1::NewJWTSVIDResponse answer;
  auto call = [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    return FromServer(svidv1::SVID::NewStub(channel)->NewJWTSVID(&context, request, &answer));
  };
  TRY(agent_->Run(std::min(deadline, options_.clock->Monotonic() + kCallTimeout), call),
      "fetch a JWT-SVID");
  Result<ReceivedJwt> jwt = JwtFromProto(answer.svid(), entry.spiffe_id, audience);
  if (!jwt.ok()) return Internal(jwt.status().message()).Annotate("the server's JWT-SVID");
  return jwt;
}

std::stop_token GrpcServerApi::EndOfStreams() {
  MutexLock lock(mu_);
  return end_streams_.get_token();
}

Status GrpcServerApi::Follow(uint64_t after, const std::function<void(Notice)>& on_notice,
                             std::stop_token stop) {
  const std::stop_token end = EndOfStreams();
  auto call = [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
    std::stop_callback on_stop(stop, [&context] { context.TryCancel(); });
    std::stop_callback on_end(end, [&context] { context.TryCancel(); });
    return FollowNotices(*writ::v1::Notices::NewStub(channel), context, after,
                         options_.trust_domain, faults_, on_notice);
  };
  return agent_->RunOnce(options_.clock->Monotonic() + kFollowTimeout, call)
      .Annotate("follow the server's notices");
}

void GrpcServerApi::Reconnect() {
  agent_->Drop();
  anonymous_->Drop();
  std::stop_source old;
  {
    MutexLock lock(mu_);
    std::swap(old, end_streams_);
  }
  old.request_stop();
}

}  // namespace

std::unique_ptr<ServerApi> MakeGrpcServerApi(ServerApiOptions options) {
  return std::make_unique<GrpcServerApi>(std::move(options));
}

}  // namespace writ
