// SPDX-License-Identifier: Apache-2.0
//
// The client over a real TLS connection to a real gRPC server whose services say what a test wants.
#include <gtest/gtest.h>

#include <atomic>

#include "agent/client/server_api.h"
#include "core/base/thread.h"
#include "core/keys/key_manager.h"
#include "core/net/grpc_server.h"
#include "google/rpc/status.pb.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "spire/api/types/status.pb.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_held_entries.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_prover.h"

namespace writ {
namespace {

namespace agentv1 = spire::api::server::agent::v1;
namespace bundlev1 = spire::api::server::bundle::v1;
namespace entryv1 = spire::api::server::entry::v1;
namespace svidv1 = spire::api::server::svid::v1;
using grpc::ServerContext;

TlsIdentity MakeIdentity(const std::string& id) {
  SystemRandom random;
  SystemClock clock;
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(*PrivateKey::Generate(KeyType::kEcP256));
  CertificateTemplate certificate{.serial = Serial::Generate(random),
                                  .subject = {.organization = "Test"},
                                  .not_before = clock.Now() - std::chrono::seconds(10),
                                  .not_after = clock.Now() + std::chrono::hours(1),
                                  .uri_sans = {id}};
  return TlsIdentity{{*Certificate::FromDer(*SignSelfSigned(certificate, *signer))}, signer};
}

grpc::Status Denied(spire::api::types::PermissionDeniedDetails::Reason reason) {
  spire::api::types::PermissionDeniedDetails details;
  details.set_reason(reason);
  google::rpc::Status rich;
  rich.set_code(grpc::PERMISSION_DENIED);
  rich.add_details()->PackFrom(details);
  return grpc::Status(grpc::PERMISSION_DENIED, "denied", rich.SerializeAsString());
}

// Says what a test wants, and keeps who asked.
struct Services {
  struct AgentService final : agentv1::Agent::Service {
    explicit AgentService(Services* all) : all(all) {}
    using Stream =
        grpc::ServerReaderWriter<agentv1::AttestAgentResponse, agentv1::AttestAgentRequest>;
    grpc::Status AttestAgent(ServerContext* context, Stream* stream) override {
      all->Note(*context);
      agentv1::AttestAgentRequest request;
      if (!stream->Read(&request)) return {grpc::INVALID_ARGUMENT, "no request"};
      all->attested_with = request.params().data().type() + ":" + request.params().data().payload();
      if (request.params().data().payload() == "refused") {
        return {grpc::INVALID_ARGUMENT, "join token does not exist or has already been used"};
      }
      agentv1::AttestAgentResponse response;
      if (request.params().data().payload() == "challenge") {
        response.set_challenge("2+2");
        stream->Write(response);
        if (!stream->Read(&request)) return {grpc::INVALID_ARGUMENT, "no response"};
      }
      response.mutable_result()->set_reattestable(true);
      response.mutable_result()->mutable_svid()->add_cert_chain(all->leaf_der);
      stream->Write(response);
      return grpc::Status::OK;
    }
    grpc::Status RenewAgent(ServerContext* context, const agentv1::RenewAgentRequest*,
                            agentv1::RenewAgentResponse*) override {
      all->Note(*context);
      return Denied(spire::api::types::PermissionDeniedDetails::AGENT_MUST_REATTEST);
    }
    grpc::Status PostStatus(ServerContext* context, const agentv1::PostStatusRequest* request,
                            agentv1::PostStatusResponse*) override {
      all->Note(*context);
      all->version = request->agent_version();
      return grpc::Status::OK;
    }
    Services* const all;
  };
  struct BundleService final : bundlev1::Bundle::Service {
    explicit BundleService(Services* all) : all(all) {}
    grpc::Status GetBundle(ServerContext* context, const bundlev1::GetBundleRequest*,
                           spire::api::types::Bundle* answer) override {
      all->Note(*context);
      answer->set_trust_domain(all->bundle_td);
      answer->add_x509_authorities()->set_asn1(all->leaf_der);
      return grpc::Status::OK;
    }
    Services* const all;
  };
  struct EntryService final : entryv1::Entry::Service {
    using Stream = grpc::ServerReaderWriter<entryv1::SyncAuthorizedEntriesResponse,
                                            entryv1::SyncAuthorizedEntriesRequest>;
    grpc::Status SyncAuthorizedEntries(ServerContext*, Stream* stream) override {
      entryv1::SyncAuthorizedEntriesRequest request;
      if (!stream->Read(&request)) return {grpc::INVALID_ARGUMENT, "no request"};
      if (hang) {
        hanging = true;
        hanging.notify_all();
        stream->Read(&request);  // until the call is cancelled
        return grpc::Status::CANCELLED;
      }
      if (deny) return Denied(spire::api::types::PermissionDeniedDetails::AGENT_BANNED);
      stream->Write(entryv1::SyncAuthorizedEntriesResponse());
      return grpc::Status::OK;
    }
    std::atomic<bool> hang = false, hanging = false, deny = false;
  };
  struct SvidService final : svidv1::SVID::Service {
    explicit SvidService(Services* all) : all(all) {}
    grpc::Status BatchNewX509SVID(ServerContext*, const svidv1::BatchNewX509SVIDRequest* request,
                                  svidv1::BatchNewX509SVIDResponse* answer) override {
      for (const auto& params : request->params()) {
        if (params.entry_id() == "short") continue;
        auto* result = answer->add_results();
        if (params.entry_id() == "unknown") {
          result->mutable_status()->set_code(grpc::NOT_FOUND);
          result->mutable_status()->set_message("no such entry");
        } else {
          result->mutable_svid()->add_cert_chain(all->leaf_der);
        }
      }
      return grpc::Status::OK;
    }
    Services* const all;
  };

  void Note(const ServerContext& context) {
    std::shared_ptr<const Peer> peer = server->PeerOf(context);
    caller = peer && !peer->chain.empty() ? peer->chain[0].uri_sans().at(0) : "";
  }

  AgentService agent{this};
  BundleService bundle{this};
  EntryService entry;
  SvidService svid{this};
  GrpcServer* server = nullptr;
  std::string leaf_der, bundle_td = "example.org", caller, attested_with, version;
};

class GrpcServerApiTest : public testing::Test {
 protected:
  GrpcServerApiTest() {
    services_.leaf_der = server_identity_.chain[0].der();
    auto any = [](const std::vector<Certificate>&) { return OkStatus(); };
    Result<std::shared_ptr<TlsServerConfig>> tls = TlsServerConfig::Make(server_identity_, any);
    EXPECT_TRUE(tls.ok());
    Result<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(
        {.name = "tcp",
         .services = {&services_.agent, &services_.bundle, &services_.entry, &services_.svid},
         .tcp_listeners = {{"127.0.0.1:0", *tls}},
         .clock = &clock_,
         .log = &log_});
    EXPECT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(server).value();
    services_.server = server_.get();
    api_ = MakeGrpcServerApi({.address = "127.0.0.1:" + std::to_string(server_->TcpPort(0)),
                              .trust_domain = *TrustDomain::Parse("example.org"),
                              .identity = [this] { return identity_; },
                              .verify = [this](const auto&) { return verdict_; },
                              .clock = &clock_,
                              .log = &log_,
                              .stop = stop_.get_token()});
  }
  ~GrpcServerApiTest() override {
    api_.reset();
    server_->Shutdown(clock_.Monotonic());
  }

  SystemClock clock_;
  FakeLog log_;
  Services services_;
  const TlsIdentity server_identity_ = MakeIdentity("spiffe://example.org/spire/server");
  std::optional<TlsIdentity> identity_ = MakeIdentity("spiffe://example.org/spire/agent/x/y");
  Status verdict_;
  std::stop_source stop_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<ServerApi> api_;
};

class Echo final : public NodeProver {
 public:
  explicit Echo(std::string first) : first_(std::move(first)) {}
  Result<std::string> First() override { return first_; }
  Result<std::string> Next(std::string_view challenge) override { return std::string(challenge); }

 private:
  const std::string first_;
};

TEST_F(GrpcServerApiTest, AttestsWithoutAClientCertificate) {
  for (const char* payload : {"token", "challenge"}) {
    Echo prover(payload);
    Result<AttestedAgent> agent = api_->Attest("join_token", prover, "csr");
    ASSERT_TRUE(agent.ok()) << agent.status().ToString();
    EXPECT_TRUE(agent->reattestable);
    EXPECT_EQ(agent->chain, server_identity_.chain);
    EXPECT_EQ(services_.attested_with, std::string("join_token:") + payload);
    EXPECT_EQ(services_.caller, "");
  }
}

TEST_F(GrpcServerApiTest, ARefusedAttestationKeepsTheServersCode) {
  Echo prover("refused");
  Status status = api_->Attest("join_token", prover, "csr").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("already been used"), std::string::npos);
}

TEST_F(GrpcServerApiTest, CallsAsTheAgentWithItsCertificate) {
  ASSERT_TRUE(api_->FetchBundle(false).ok());
  EXPECT_EQ(services_.caller, "spiffe://example.org/spire/agent/x/y");
  ASSERT_TRUE(api_->FetchBundle(true).ok());
  EXPECT_EQ(services_.caller, "");
  ASSERT_TRUE(api_->PostStatus("1.2.3" + std::string(300, 'x')).ok());
  EXPECT_EQ(services_.version.size(), 255u);

  identity_ = MakeIdentity("spiffe://example.org/spire/agent/x/renewed");
  api_->Reconnect();
  ASSERT_TRUE(api_->FetchBundle(false).ok());
  EXPECT_EQ(services_.caller, "spiffe://example.org/spire/agent/x/renewed");
}

TEST_F(GrpcServerApiTest, DenialsCarryTheirReason) {
  EXPECT_EQ(DenialOf(api_->Renew("csr").status()), Denial::kMustReattest);
  services_.entry.deny = true;
  EXPECT_EQ(DenialOf(api_->SyncEntries(FakeHeldEntries()).status()), Denial::kBanned);
}

TEST_F(GrpcServerApiTest, SyncsOverTheStream) {
  Result<EntryChanges> changes = api_->SyncEntries(FakeHeldEntries{{"gone"}});
  ASSERT_TRUE(changes.ok()) << changes.status().ToString();
  EXPECT_EQ(changes->removed, std::vector<std::string>{"gone"});
}

TEST_F(GrpcServerApiTest, ABatchHasAResultForEachRequest) {
  auto results = api_->NewX509Svids({{"known", "csr"}, {"unknown", "csr"}});
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE((*results)[0].ok());
  EXPECT_EQ((*results)[1].code(), Code::kNotFound);
  EXPECT_EQ(api_->NewX509Svids({{"known", "csr"}, {"short", "csr"}}).code(), Code::kInternal);
}

TEST_F(GrpcServerApiTest, AnotherTrustDomainsBundleIsRefused) {
  services_.bundle_td = "other.org";
  EXPECT_EQ(api_->FetchBundle(false).code(), Code::kInternal);
}

TEST_F(GrpcServerApiTest, AServerThatDoesNotVerifyIsNotSpokenTo) {
  verdict_ = Unauthenticated("not the server");
  Status status = api_->FetchBundle(false).status();
  EXPECT_EQ(status.code(), Code::kUnauthenticated) << status.ToString();
  EXPECT_NE(status.message().find("not the server"), std::string::npos);
}

TEST_F(GrpcServerApiTest, AStopRequestEndsARunningCall) {
  services_.entry.hang = true;
  Thread stopper("stopper", [this](std::stop_token) {
    services_.entry.hanging.wait(false);
    stop_.request_stop();
  });
  EXPECT_EQ(api_->SyncEntries(FakeHeldEntries()).code(), Code::kCancelled);
}

}  // namespace
}  // namespace writ
