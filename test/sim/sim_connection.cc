// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <utility>

#include "agent/client/convert.h"
#include "agent/client/entry_sync.h"
#include "core/spiffe/svid.h"
#include "test/sim/sim_server.h"
#include "test/support/await_reply.h"

namespace writ {
namespace {

using std::chrono::seconds;

constexpr Duration kSlowCallMax = seconds(8);

Status Lost(std::string_view what) { return Unavailable("the " + std::string(what) + " was lost"); }

// A conversation's two ends without a wire between.
template <class Request, class Response>
class InProcessStream final : public grpc::ClientReaderWriterInterface<Request, Response> {
 public:
  using Logic = Conversation<Request, Response>;
  InProcessStream(Logic* logic, Call* call) : logic_(logic), call_(call) {}

  bool Write(const Request& request, grpc::WriteOptions) override {
    if (status.ok()) status = logic_->OnRequest(*call_, request);
    return status.ok();
  }
  using grpc::ClientReaderWriterInterface<Request, Response>::Write;
  bool Read(Response* response) override {
    if (!status.ok()) return false;
    Result<typename Logic::Next> next = logic_->Answer(*call_, response);
    if (!next.ok()) status = next.status();
    return next.ok() && *next == Logic::Next::kSend;
  }
  bool WritesDone() override { return true; }
  grpc::Status Finish() override { return grpc::Status(); }
  void WaitForInitialMetadata() override {}
  bool NextMessageSize(uint32_t* size) override {
    *size = 0;
    return false;
  }

  Status status;

 private:
  Logic* const logic_;
  Call* const call_;
};

class SimConnection final : public ServerApi {
 public:
  SimConnection(SimServer* server, SimWorld* world, Contact* contact, ServerApiOptions options)
      : server_(server), world_(world), contact_(contact), options_(std::move(options)) {}

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
  // Agents poll here: a stream would need a thread that takes its turns as agents do.
  Status Follow(uint64_t, const std::function<void(Notice)>&, std::stop_token) override {
    return Unimplemented("the simulated server has no notices");
  }
  void Reconnect() override {
    agent_ = Line();
    anonymous_ = Line();
  }

 private:
  // One connection: to which run of the server, and with which certificate.
  struct Line {
    int server_run = 0;  // 0: not connected
    std::optional<Certificate> leaf;
    CertificateChain chain;
    std::shared_ptr<const Bundle> verified_by;
  };
  using Work = std::function<Status(RunningServer&, Call&)>;

  Status Connect(Line& line, bool anonymous);
  Status Once(const char* method, bool anonymous, const Work& work, bool* done = nullptr);
  Status Twice(const char* method, bool anonymous, const Work& work);

  SimServer* const server_;
  SimWorld* const world_;
  Contact* const contact_;
  const ServerApiOptions options_;
  Line agent_;
  Line anonymous_;
};

// What the two TLS stacks would say to each other.
Status SimConnection::Connect(Line& line, bool anonymous) {
  RunningServer* running = server_->running();
  const std::shared_ptr<const Bundle> bundle = running->state->bundle->Current();
  if (line.server_run == server_->starts && line.verified_by == bundle) return OkStatus();
  const bool same = line.server_run == server_->starts;
  const CertificateChain chain = std::exchange(line, Line()).chain;
  line.chain = chain;
  if (!same) {
    TRY(options_.verify(running->own_chain), "handshake");
    line.chain.clear();
    std::optional<TlsIdentity> identity = anonymous ? std::nullopt : options_.identity();
    if (identity) line.chain = identity->chain;
  }
  if (!line.chain.empty()) {
    Result<VerifiedX509Svid> verified =
        VerifyX509Svid(line.chain, std::span(bundle.get(), 1), server_->clock.Now());
    if (!verified.ok()) return Unavailable("handshake: the server refused our certificate");
    line.leaf = line.chain.front();
  }
  line.server_run = server_->starts;
  line.verified_by = bundle;
  return OkStatus();
}

Status SimConnection::Once(const char* method, bool anonymous, const Work& work, bool* done) {
  contact_->in_call = true;
  if (world_->Monotonic() < server_->slow_until) {
    world_->Sleep(world_->Monotonic() + world_->UpTo(kSlowCallMax));
  }
  auto call_it = [&]() -> Status {
    if (!server_->running() || world_->Monotonic() < server_->away_until) {
      return Unavailable("nobody answers");
    }
    if (server_->lose_requests > 0 && server_->lose_requests-- > 0) return Lost("request");
    Line& line = anonymous ? anonymous_ : agent_;
    Status connected = Connect(line, anonymous);
    if (!connected.ok()) {
      line = Line();
      return connected.code() == Code::kUnavailable ? connected : Unavailable(connected.message());
    }
    Call call{.row = FindMethod(method), .caller = {.leaf = line.leaf, .actor = "anonymous"}};
    CHECK(call.row != nullptr);
    if (line.leaf) {
      call.caller.id = TRY(SpiffeIdOf(*line.leaf));
      call.caller.actor = call.caller.id->text();
    }
    RunningServer& running = *server_->running();
    TRY(running.authorization->Check(*call.row, call.caller));
    TRY(work(running, call));
    if (done) *done = true;
    if (!call.events.empty()) TRY(running.state->audit->Append(call.events));
    if (server_->lose_replies > 0 && server_->lose_replies-- > 0) return Lost("reply");
    return OkStatus();
  };
  Status status = call_it();
  contact_->in_call = false;
  contact_->called = true;
  contact_->call_failed |= !status.ok();
  return status;
}

Status SimConnection::Twice(const char* method, bool anonymous, const Work& work) {
  Status first = Once(method, anonymous, work);
  return first.code() == Code::kUnavailable ? Once(method, anonymous, work) : first;
}

Result<AttestedAgent> SimConnection::Attest(const std::string& type, NodeProver& prover,
                                            const std::string& csr_der) {
  agent_pb::AttestAgentRequest request;
  request.mutable_params()->mutable_data()->set_type(type);
  request.mutable_params()->mutable_data()->set_payload(TRY(prover.First()));
  request.mutable_params()->mutable_params()->set_csr(csr_der);
  agent_pb::AttestAgentResponse response;
  bool done = false;
  Status status = Once(
      "/spire.api.server.agent.v1.Agent/AttestAgent", true,
      [&](RunningServer& running, Call& call) -> Status {
        const std::unique_ptr<AgentApi::Attest> attest = running.agents->AttestAgent();
        TRY(attest->OnRequest(call, request));
        TRY(attest->Answer(call, &response));
        return OkStatus();
      },
      &done);
  contact_->attest_reply_lost |= done && !status.ok();
  TRY(std::move(status));
  AttestedAgent agent;
  agent.chain = TRY(ChainFromProto(response.result().svid()));
  agent.reattestable = response.result().reattestable();
  server_->NoteIssued(agent.chain.front());
  contact_->own_id = agent.chain.front().uri_sans().front();
  contact_->own_not_after = agent.chain.front().not_after();
  return agent;
}

Result<Bundle> SimConnection::FetchBundle(bool anonymous) {
  spire::api::types::Bundle answer;
  const MonoTime began = world_->Monotonic();
  TRY(Twice("/spire.api.server.bundle.v1.Bundle/GetBundle", anonymous,
            [&](RunningServer& running, Call& call) -> Status {
              answer = TRY(running.bundles->GetBundle(call, {}));
              return OkStatus();
            }));
  contact_->bundle_fetched = began;
  std::string bytes = answer.SerializeAsString();
  if (!server_->bundle_answered || server_->bundle_answer != bytes) {
    server_->bundle_answered = TRY(BundleFromProto(answer, options_.trust_domain));
    server_->bundle_answer = std::move(bytes);
  }
  return *server_->bundle_answered;
}

Result<CertificateChain> SimConnection::Renew(const std::string& csr_der) {
  agent_pb::RenewAgentRequest request;
  request.mutable_params()->set_csr(csr_der);
  agent_pb::RenewAgentResponse answer;
  TRY(Twice("/spire.api.server.agent.v1.Agent/RenewAgent", false,
            [&](RunningServer& running, Call& call) -> Status {
              answer = TRY(running.agents->RenewAgent(call, request));
              return OkStatus();
            }));
  CertificateChain chain = TRY(ChainFromProto(answer.svid()));
  server_->NoteIssued(chain.front());
  contact_->own_not_after = chain.front().not_after();
  return chain;
}

Status SimConnection::PostStatus(const std::string& agent_version) {
  agent_pb::PostStatusRequest request;
  request.set_agent_version(agent_version);
  return Twice("/spire.api.server.agent.v1.Agent/PostStatus", false,
               [&](RunningServer& running, Call& call) -> Status {
                 return running.agents->PostStatus(call, request).status();
               });
}

Result<EntryChanges> SimConnection::SyncEntries(const HeldEntries& held) {
  EntryChanges changes;
  MonoTime began;
  TRY(Twice("/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries", false,
            [&](RunningServer& running, Call& call) -> Status {
              const std::unique_ptr<EntryApi::Sync> logic =
                  running.entries->SyncAuthorizedEntries();
              InProcessStream<entry_pb::SyncAuthorizedEntriesRequest,
                              entry_pb::SyncAuthorizedEntriesResponse>
                  stream(logic.get(), &call);
              began = world_->Monotonic();
              MalformedEntries malformed;
              Result<EntryChanges> synced =
                  SyncEntryStream(stream, held, options_.trust_domain, malformed);
              CHECK(malformed.count() == 0);  // our own server's
              TRY(std::move(stream.status));
              changes = TRY(std::move(synced));
              return OkStatus();
            }));
  contact_->sync_began = began;
  return changes;
}

Result<std::vector<Result<CertificateChain>>> SimConnection::NewX509Svids(
    const std::vector<SvidRequest>& requests) {
  svid_pb::BatchNewX509SVIDRequest batch;
  for (const SvidRequest& request : requests) {
    svid_pb::NewX509SVIDParams* params = batch.add_params();
    params->set_entry_id(request.entry_id);
    params->set_csr(request.csr_der);
  }
  svid_pb::BatchNewX509SVIDResponse answer;
  TRY(Twice("/spire.api.server.svid.v1.SVID/BatchNewX509SVID", false,
            [&](RunningServer& running, Call& call) -> Status {
              answer = TRY(AwaitReply(*running.svids, &SvidApi::BatchNewX509Svid, call, batch));
              return OkStatus();
            }));
  std::vector<Result<CertificateChain>> chains;
  for (const auto& result : answer.results()) {
    if (result.status().code() != 0) {
      chains.push_back(
          Status(static_cast<Code>(result.status().code()), result.status().message()));
      contact_->call_failed = true;
      continue;
    }
    chains.push_back(ChainFromProto(result.svid()));
    if (chains.back().ok()) server_->NoteIssued(chains.back()->front());
  }
  return chains;
}

Result<ReceivedJwt> SimConnection::NewJwtSvid(const Entry& entry,
                                              const std::vector<std::string>& audience, MonoTime) {
  svid_pb::NewJWTSVIDRequest request;
  request.set_entry_id(entry.id);
  request.mutable_audience()->Assign(audience.begin(), audience.end());
  svid_pb::NewJWTSVIDResponse answer;
  TRY(Twice("/spire.api.server.svid.v1.SVID/NewJWTSVID", false,
            [&](RunningServer& running, Call& call) -> Status {
              answer = TRY(AwaitReply(*running.svids, &SvidApi::NewJwtSvid, call, request));
              return OkStatus();
            }));
  return JwtFromProto(answer.svid(), entry.spiffe_id, audience);
}

}  // namespace

std::unique_ptr<ServerApi> ConnectTo(SimServer* server, SimWorld* world, Contact* contact,
                                     ServerApiOptions options) {
  return std::make_unique<SimConnection>(server, world, contact, std::move(options));
}

}  // namespace writ
