// SPDX-License-Identifier: Apache-2.0
//
// Operations of an agent, over TLS, through the agent's own client.
#include <stop_token>

#include "agent/attest/server_trust.h"
#include "agent/client/server_api.h"
#include "attestors/join_token/join_token.h"
#include "bench/load/stubs.h"
#include "core/base/file.h"
#include "core/crypto/csr.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

namespace agentv1 = spire::api::server::agent::v1;
namespace entryv1 = spire::api::server::entry::v1;

constexpr size_t kSvidsOfBatch = 50;
constexpr int kTokenSeconds = 600;

// One node: its key, its connections, and its certificate once it is attested.
class Node {
 public:
  static Result<std::unique_ptr<Node>> Make(const Deployment& at) {
    TrustDomain td = TRY(TrustDomain::Parse(at.trust_domain));
    std::string text = TRY(ReadFile(at.bundle_file));
    Bundle bundle = TRY(ParseBundleFile(td, text));
    return std::make_unique<Node>(at, td, std::move(bundle));
  }

  Node(const Deployment& at, const TrustDomain& td, Bundle bundle)
      : at_(at),
        td_(td),
        bundle_(std::move(bundle)),
        agents_(agentv1::Agent::NewStub(UnixChannel(at.server_socket))),
        log_(MakeStderrLog(LogLevel::kError, LogFormat::kText)),
        csr_(MakeCsr({}, *key_).value()) {
    api_ = MakeGrpcServerApi({
        .address = at.server_address,
        .trust_domain = td_,
        .identity = [this] { return identity_; },
        .verify =
            [this](const CertificateChain& chain) {
              return VerifyServer(chain, bundle_, clock_.Now());
            },
        .clock = &clock_,
        .log = log_.get(),
        .stop = {},
    });
  }

  // A token made and used; over the connection that is open, if one is.
  Result<AttestedAgent> AttestOnce(std::string* token_out = nullptr) {
    grpc::ClientContext context;
    agentv1::CreateJoinTokenRequest request;
    request.set_ttl(kTokenSeconds);
    spire::api::types::JoinToken token;
    Status status = FromCall(agents_->CreateJoinToken(&context, request, &token));
    if (!status.ok()) return status;
    if (token_out != nullptr) *token_out = token.value();
    auto factory = MakeJoinTokenProver(Secret(std::string(token.value())));
    std::unique_ptr<NodeProver> prover = TRY(factory->Begin());
    return api_->Attest(std::string(kJoinTokenType), *prover, csr_);
  }

  // Attests, and uses the identity from here on.
  Status Join() {
    std::string token;
    Result<AttestedAgent> agent = AttestOnce(&token);
    if (!agent.ok()) return agent.status();
    identity_ = TlsIdentity{agent->chain, key_};
    id_ = "spiffe://" + at_.trust_domain + "/spire/agent/join_token/" + token;
    return OkStatus();
  }

  ServerApi& api() { return *api_; }
  const std::string& id() const { return id_; }
  const std::string& csr() const { return csr_; }
  SystemClock& clock() { return clock_; }

 private:
  const Deployment& at_;
  const TrustDomain td_;
  const Bundle bundle_;
  const std::unique_ptr<agentv1::Agent::Stub> agents_;
  const std::shared_ptr<KeySigner> key_ = std::make_shared<KeySigner>(KeyType::kEcP256);
  SystemClock clock_;
  const std::unique_ptr<AdjustableLog> log_;
  const std::string csr_;
  std::optional<TlsIdentity> identity_;  // set by Join(), before its first use
  std::string id_;
  std::unique_ptr<ServerApi> api_;
};

// An attested node and entries of its own to ask SVIDs for.
// What a node holds that comes for the first time.
class NoEntries final : public HeldEntries {
 public:
  size_t size() const override { return 0; }
  const PackedEntry* Find(std::string_view) const override { return nullptr; }
  void ForEach(const std::function<void(const PackedEntry&)>&) const override {}
};

struct Scene {
  std::unique_ptr<Node> node;
  std::vector<Entry> entries;
};

Result<Scene> MakeScene(const Deployment& at) {
  Scene scene;
  scene.node = TRY(Node::Make(at));
  TRY(scene.node->Join());
  Deployment own = at;
  own.parent_id = scene.node->id();
  auto stub = entryv1::Entry::NewStub(UnixChannel(at.server_socket));
  entryv1::BatchCreateEntryRequest request;
  for (size_t n = 0; n < kSvidsOfBatch; ++n) {
    FillEntry(own, n, "load", "uid:" + std::to_string(n), request.add_entries());
  }
  grpc::ClientContext context;
  entryv1::BatchCreateEntryResponse response;
  TRY(FromCall(stub->BatchCreateEntry(&context, request, &response)));
  EntryChanges changes = TRY(scene.node->api().SyncEntries(NoEntries()));
  for (const PackedEntry& entry : changes.put) scene.entries.push_back(entry.Unpack());
  if (scene.entries.size() == kSvidsOfBatch) return scene;
  return Internal("the node has " + std::to_string(scene.entries.size()) + " entries");
}

Result<Json> AskForX509(const Deployment& at, size_t each_call) {
  Scene scene = TRY(MakeScene(at));
  std::vector<SvidRequest> requests;
  for (size_t n = 0; n < each_call; ++n) {
    requests.push_back({scene.entries[n].id, scene.node->csr()});
  }
  return Measure(at.load, [&](size_t) {
    Result<std::vector<Result<CertificateChain>>> svids = scene.node->api().NewX509Svids(requests);
    if (!svids.ok()) return svids.status();
    for (const Result<CertificateChain>& svid : *svids) {
      if (!svid.ok()) return svid.status();
    }
    return OkStatus();
  });
}

}  // namespace

Result<Json> AgentBatchX509(const Deployment& at) { return AskForX509(at, kSvidsOfBatch); }

Result<Json> AgentSingleX509(const Deployment& at) { return AskForX509(at, 1); }

Result<Json> AgentJwt(const Deployment& at) {
  Scene scene = TRY(MakeScene(at));
  return Measure(at.load, [&](size_t) {
    MonoTime deadline = scene.node->clock().Monotonic() + std::chrono::seconds(30);
    return scene.node->api().NewJwtSvid(scene.entries.front(), {"api"}, deadline).status();
  });
}

Result<Json> Attest(const Deployment& at) {
  std::unique_ptr<Node> node = TRY(Node::Make(at));
  TRY(node->AttestOnce());  // opens the connection
  return Measure(at.load, [&](size_t) { return node->AttestOnce().status(); });
}

Result<Json> Handshake(const Deployment& at) {
  std::unique_ptr<Node> node = TRY(Node::Make(at));
  TRY(node->Join());
  return Measure(at.load, [&](size_t) {
    node->api().Reconnect();
    return node->api().FetchBundle(false).status();
  });
}

}  // namespace writ
