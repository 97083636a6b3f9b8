// SPDX-License-Identifier: Apache-2.0
//
// The whole server in one process, as its callers meet it: over TLS and over the admin socket.
#include "server/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"
#include "core/net/grpc_channel.h"
#include "core/spiffe/svid.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/api/authorization.h"
#include "server/api/entry_api.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/debug/v1/debug.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {
namespace {

namespace agent_pb = spire::api::server::agent::v1;
namespace bundle_pb = spire::api::server::bundle::v1;
namespace entry_pb = spire::api::server::entry::v1;
namespace svid_pb = spire::api::server::svid::v1;
namespace types = spire::api::types;

constexpr char kAgentPath[] = "/spire/agent/join_token/node";

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.trust_domain = *TrustDomain::Parse("example.org");
    config_.data_dir = dir_ / "data";
    config_.sqlite_path = config_.data_dir + "/writ.db";
    config_.audit_path = config_.data_dir + "/audit.log";
    config_.svid.agent_ttl = std::chrono::hours(1);
    config_.listen.address = "127.0.0.1:0";
    config_.listen.admin_socket = dir_ / "run/admin.sock";
    config_.listen.http.clear();
    config_.rate_limit.attestation = 0;
  }

  void Start() {
    auto server = Server::Start(config_, kit_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
  }
  void Stop() {
    server_->Stop();
    server_.reset();
  }

  std::shared_ptr<grpc::Channel> Admin() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("unix:" + config_.listen.admin_socket,
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  std::unique_ptr<TlsChannel> Tls(std::optional<TlsIdentity> identity = {}) {
    return TlsChannel::Make(
        {.address = "127.0.0.1:" + std::to_string(server_->TcpPort()),
         .identity = [identity] { return identity; },
         .verify = [this](const std::vector<Certificate>& chain) { return VerifyServer(chain); }},
        &clock_, &log_);
  }
  Status VerifyServer(const std::vector<Certificate>& chain) {
    SpiffeId id = TRY(CheckX509Leaf(chain.front()));
    return id.IsServer() ? OkStatus() : Unauthenticated(id.text() + " is not the server");
  }

  static void SetId(types::SPIFFEID* id, const std::string& path) {
    id->set_trust_domain("example.org");
    id->set_path(path);
  }
  std::string CsrOf(const PrivateKey& key, const std::string& uri = "") {
    CsrTemplate request;
    if (!uri.empty()) request.uri_sans = {uri};
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(key);
    return *MakeCsr(request, *signer);
  }
  static TlsIdentity IdentityOf(const types::X509SVID& svid, const PrivateKey& key) {
    TlsIdentity identity;
    for (const std::string& der : svid.cert_chain()) {
      identity.chain.push_back(*Certificate::FromDer(der));
    }
    identity.signer = MakeSoftwareSigner(key);
    return identity;
  }

  void CreateToken(const std::string& value) {
    agent_pb::CreateJoinTokenRequest request;
    request.set_ttl(600);
    request.set_token(value);
    types::JoinToken token;
    grpc::ClientContext context;
    grpc::Status status =
        agent_pb::Agent::NewStub(Admin())->CreateJoinToken(&context, request, &token);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // The SVID of an agent that attests with the token.
  types::X509SVID Attest(const std::string& token, const PrivateKey& key) {
    std::unique_ptr<TlsChannel> tls = Tls();
    auto channel = tls->Get();
    EXPECT_TRUE(channel.ok()) << channel.status().ToString();
    grpc::ClientContext context;
    auto stream = agent_pb::Agent::NewStub(*channel)->AttestAgent(&context);
    agent_pb::AttestAgentRequest request;
    request.mutable_params()->mutable_data()->set_type("join_token");
    request.mutable_params()->mutable_data()->set_payload(token);
    request.mutable_params()->mutable_params()->set_csr(CsrOf(key));
    EXPECT_TRUE(stream->Write(request));
    agent_pb::AttestAgentResponse response;
    EXPECT_TRUE(stream->Read(&response));
    grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.result().svid();
  }
  types::Bundle GetBundle(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    types::Bundle bundle;
    grpc::Status status = bundle_pb::Bundle::NewStub(channel)->GetBundle(&context, {}, &bundle);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return bundle;
  }
  std::string CreateEntry(const std::string& path, bool admin = false) {
    entry_pb::BatchCreateEntryRequest request;
    types::Entry* entry = request.add_entries();
    SetId(entry->mutable_spiffe_id(), path);
    SetId(entry->mutable_parent_id(), kAgentPath);
    entry->add_selectors()->set_type("unix");
    entry->mutable_selectors(0)->set_value("uid:0");
    entry->set_admin(admin);
    entry_pb::BatchCreateEntryResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(
        entry_pb::Entry::NewStub(Admin())->BatchCreateEntry(&context, request, &response).ok());
    return response.results(0).entry().id();
  }
  TlsIdentity Mint(const std::string& path) {
    PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
    svid_pb::MintX509SVIDRequest request;
    request.set_csr(CsrOf(key, "spiffe://example.org" + path));
    svid_pb::MintX509SVIDResponse response;
    grpc::ClientContext context;
    grpc::Status status =
        svid_pb::SVID::NewStub(Admin())->MintX509SVID(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return IdentityOf(response.svid(), key);
  }
  static grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel,
                                const std::string& method) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    grpc::Slice empty;
    grpc::ByteBuffer request(&empty, 1);
    grpc::ByteBuffer response;
    grpc::CompletionQueue queue;
    auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    grpc::Status status;
    call->StartCall();
    call->Finish(&response, &status, &call);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return status;
  }
  // For each method whether the caller passes authorization, as the table says for `kinds`.
  void ExpectTable(const std::shared_ptr<grpc::Channel>& channel, unsigned kinds) {
    for (const MethodRow& row : AllMethods()) {
      // A stream without an end has a test of its own.
      if (row.service() == "writ.v1.Notices") continue;
      grpc::Status status = CallEmpty(channel, row.full_name);
      if (row.admin_socket_only) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << row.full_name;
        continue;
      }
      EXPECT_EQ(status.error_code() == grpc::StatusCode::PERMISSION_DENIED,
                (row.allowed & (kinds | kAny)) == 0)
          << row.full_name << ": " << status.error_message();
    }
  }

  TempDir dir_;
  ServerConfig config_;
  SystemClock clock_;
  SystemRandom random_;
  FakeLog log_;
  const ServerKit kit_{.clock = &clock_, .random = &random_, .log = &log_};
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AgentLivesItsWholeLife) {
  Start();
  CreateToken("node");
  std::string entry_id = CreateEntry("/web");
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  types::X509SVID svid = Attest("node", key);
  EXPECT_EQ(svid.id().path(), kAgentPath);

  std::unique_ptr<TlsChannel> tls = Tls(IdentityOf(svid, key));
  auto channel = tls->Get();
  ASSERT_TRUE(channel.ok()) << channel.status().ToString();
  auto entries = entry_pb::Entry::NewStub(*channel);
  for (size_t i = 0; i < 3 * kSyncsPerAgentMax; ++i) {  // nothing is left of one that has ended
    grpc::ClientContext sync_context;
    auto sync = entries->SyncAuthorizedEntries(&sync_context);
    ASSERT_TRUE(sync->Write({}));
    entry_pb::SyncAuthorizedEntriesResponse page;
    ASSERT_TRUE(sync->Read(&page));
    ASSERT_EQ(page.entries_size(), 1);
    EXPECT_EQ(page.entries(0).id(), entry_id);
    EXPECT_TRUE(sync->Finish().ok());
  }

  svid_pb::BatchNewX509SVIDRequest batch;
  batch.add_params()->set_entry_id(entry_id);
  batch.mutable_params(0)->set_csr(CsrOf(key));
  svid_pb::BatchNewX509SVIDResponse issued;
  grpc::ClientContext batch_context;
  ASSERT_TRUE(
      svid_pb::SVID::NewStub(*channel)->BatchNewX509SVID(&batch_context, batch, &issued).ok());
  EXPECT_EQ(issued.results(0).status().code(), 0) << issued.results(0).status().message();

  auto agents = agent_pb::Agent::NewStub(*channel);
  agent_pb::RenewAgentRequest renew;
  PrivateKey next_key = *PrivateKey::Generate(KeyType::kEcP256);
  renew.mutable_params()->set_csr(CsrOf(next_key));
  agent_pb::RenewAgentResponse renewed;
  grpc::ClientContext renew_context;
  ASSERT_TRUE(agents->RenewAgent(&renew_context, renew, &renewed).ok());

  // The first use of the new SVID retires the old one.
  std::unique_ptr<TlsChannel> next = Tls(IdentityOf(renewed.svid(), next_key));
  EXPECT_TRUE(CallEmpty(*next->Get(), "/spire.api.server.agent.v1.Agent/PostStatus").ok());
  grpc::Status retired = CallEmpty(*channel, "/spire.api.server.agent.v1.Agent/PostStatus");
  EXPECT_EQ(retired.error_code(), grpc::StatusCode::PERMISSION_DENIED);

  agent_pb::BanAgentRequest ban;
  SetId(ban.mutable_id(), kAgentPath);
  google::protobuf::Empty nothing;
  grpc::ClientContext ban_context;
  ASSERT_TRUE(agent_pb::Agent::NewStub(Admin())->BanAgent(&ban_context, ban, &nothing).ok());
  grpc::Status banned = CallEmpty(*next->Get(), "/spire.api.server.agent.v1.Agent/PostStatus");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(banned.error_details()));
  types::PermissionDeniedDetails why;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&why));
  EXPECT_EQ(why.reason(), types::PermissionDeniedDetails::AGENT_BANNED);
}

TEST_F(ServerTest, AgentIsToldOfChangesFromItsNumberOnUntilItIsBanned) {
  Start();
  CreateToken("node");
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  const TlsIdentity agent = IdentityOf(Attest("node", key), key);
  std::unique_ptr<TlsChannel> tls = Tls(agent);
  writ::v1::FollowRequest request;
  writ::v1::Notice notice;
  {
    grpc::ClientContext context;
    auto stream = writ::v1::Notices::NewStub(*tls->Get())->Follow(&context, request);
    ASSERT_TRUE(stream->Read(&notice));
    EXPECT_TRUE(notice.resync());
    const std::string id = CreateEntry("/web");
    ASSERT_TRUE(stream->Read(&notice));
    ASSERT_EQ(notice.entries_size(), 1);
    EXPECT_EQ(notice.entries(0).id(), id);
    EXPECT_EQ(notice.entries(0).spiffe_id().path(), "/web");
    context.TryCancel();
    (void)stream->Finish();
  }
  request.set_after(notice.sequence());
  const std::string id = CreateEntry("/later");
  Stop();
  Start();
  tls = Tls(agent);
  grpc::ClientContext context;
  auto stream = writ::v1::Notices::NewStub(*tls->Get())->Follow(&context, request);
  ASSERT_TRUE(stream->Read(&notice));
  EXPECT_FALSE(notice.resync());
  ASSERT_EQ(notice.entries_size(), 1);
  EXPECT_EQ(notice.entries(0).id(), id);

  agent_pb::BanAgentRequest ban;
  SetId(ban.mutable_id(), kAgentPath);
  google::protobuf::Empty nothing;
  grpc::ClientContext ban_context;
  ASSERT_TRUE(agent_pb::Agent::NewStub(Admin())->BanAgent(&ban_context, ban, &nothing).ok());
  while (stream->Read(&notice)) EXPECT_EQ(notice.entries_size(), 0);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ServerTest, NobodyButAgentsFollows) {
  Start();
  constexpr char kFollow[] = "/writ.v1.Notices/Follow";
  std::unique_ptr<TlsChannel> nobody = Tls();
  std::unique_ptr<TlsChannel> workload = Tls(Mint("/web"));
  for (const auto& channel : {*nobody->Get(), *workload->Get(), Admin()}) {
    EXPECT_EQ(CallEmpty(channel, kFollow).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
}

TEST_F(ServerTest, TableHoldsOverTlsForEachKindOfCaller) {
  Start();
  CreateToken("node");
  CreateEntry("/admin", /*admin=*/true);
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  types::X509SVID svid = Attest("node", key);
  ExpectTable(*Tls()->Get(), 0);
  ExpectTable(*Tls(Mint("/web"))->Get(), 0);
  ExpectTable(*Tls(Mint("/admin"))->Get(), kAdmin);
  ExpectTable(*Tls(IdentityOf(svid, key))->Get(), kAgent);
}

TEST_F(ServerTest, ForeignCertificateIsRefusedAtTheHandshake) {
  Start();
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(key);
  CertificateTemplate own{.serial = Serial::Generate(random_),
                          .subject = {.common_name = "self"},
                          .not_before = clock_.Now() - std::chrono::hours(1),
                          .not_after = clock_.Now() + std::chrono::hours(1),
                          .uri_sans = {"spiffe://example.org/web"}};
  TlsIdentity identity{.chain = {*Certificate::FromDer(*SignSelfSigned(own, *signer))},
                       .signer = signer};
  std::unique_ptr<TlsChannel> tls = Tls(identity);
  auto channel = tls->Get();
  // TLS 1.3 tells the client of a refusal only after its own half of the handshake.
  if (channel.ok()) {
    EXPECT_EQ(CallEmpty(*channel, "/spire.api.server.bundle.v1.Bundle/GetBundle").error_code(),
              grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(ServerTest, RestartKeepsAuthoritiesEntriesAndAgents) {
  Start();
  CreateToken("node");
  CreateEntry("/web");
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  types::X509SVID svid = Attest("node", key);
  std::string before = GetBundle(Admin()).SerializeAsString();
  Stop();
  Start();
  EXPECT_EQ(GetBundle(Admin()).SerializeAsString(), before);
  std::unique_ptr<TlsChannel> tls = Tls(IdentityOf(svid, key));
  auto channel = tls->Get();
  ASSERT_TRUE(channel.ok()) << channel.status().ToString();
  entry_pb::GetAuthorizedEntriesResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(
      entry_pb::Entry::NewStub(*channel)->GetAuthorizedEntries(&context, {}, &response).ok());
  EXPECT_EQ(response.entries_size(), 1);
}

TEST_F(ServerTest, SecondServerOnTheSameDataIsRefused) {
  Start();
  ServerConfig second = config_;
  second.listen.admin_socket = dir_ / "run2/admin.sock";
  Status status = Server::Start(second, kit_).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status.ToString();
}

TEST_F(ServerTest, ConfiguredAdministratorsNeedNoEntry) {
  config_.admin_ids = {*SpiffeId::Parse("spiffe://example.org/ops")};
  Start();
  std::unique_ptr<TlsChannel> ops = Tls(Mint("/ops"));
  std::unique_ptr<TlsChannel> other = Tls(Mint("/other"));
  for (const char* method : {"/spire.api.server.entry.v1.Entry/ListEntries",
                             "/spire.api.server.agent.v1.Agent/CountAgents"}) {
    EXPECT_TRUE(CallEmpty(*ops->Get(), method).ok()) << method;
    EXPECT_EQ(CallEmpty(*other->Get(), method).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
  EXPECT_EQ(CallEmpty(*ops->Get(), "/spire.api.server.debug.v1.Debug/GetInfo").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerTest, CallsAboveTheRateWaitUntilTheirDeadlineAndTheAdminSocketIsFree) {
  config_.rate_limit = {.attestation = 1, .signing = 2};
  Start();
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  CreateToken("node");
  std::unique_ptr<TlsChannel> tls = Tls(IdentityOf(Attest("node", key), key));
  auto attest_again = [&] {
    grpc::ClientContext context;
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(200, GPR_TIMESPAN)));
    return agent_pb::Agent::NewStub(*tls->Get())->AttestAgent(&context)->Finish();
  };
  grpc::Status late = attest_again();  // the second within a second
  EXPECT_EQ(late.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << late.error_message();
  auto stub = svid_pb::SVID::NewStub(*tls->Get());
  svid_pb::BatchNewX509SVIDRequest batch;
  for (int i = 0; i < 3; ++i) batch.add_params()->set_entry_id("x");
  svid_pb::BatchNewX509SVIDResponse response;
  grpc::ClientContext too_many;
  EXPECT_EQ(stub->BatchNewX509SVID(&too_many, batch, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  batch.mutable_params()->RemoveLast();
  for (int i = 0; i < 2; ++i) {  // the second waits for its turn
    grpc::ClientContext context;
    EXPECT_TRUE(stub->BatchNewX509SVID(&context, batch, &response).ok());
  }
  for (int i = 0; i < 5; ++i) {
    grpc::ClientContext context;
    auto stream = agent_pb::Agent::NewStub(Admin())->AttestAgent(&context);
    stream->WritesDone();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(ServerTest, DebugShowsWhatTheServerPresentsAndHealthKnowsItsServices) {
  Start();
  grpc::ClientContext context;
  spire::api::server::debug::v1::GetInfoResponse info;
  ASSERT_TRUE(spire::api::server::debug::v1::Debug::NewStub(Admin())
                  ->GetInfo(&context, {}, &info)
                  .ok());
  ASSERT_EQ(info.svid_chain_size(), 2);
  EXPECT_EQ(info.svid_chain(0).id().path(), "/spire/server");
  grpc::health::v1::HealthCheckRequest health;
  for (const char* service : {"", "spire.api.server.entry.v1.Entry"}) {
    health.set_service(service);
    grpc::health::v1::HealthCheckResponse state;
    grpc::ClientContext asking;
    ASSERT_TRUE(grpc::health::v1::Health::NewStub(Admin())->Check(&asking, health, &state).ok());
    EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::SERVING) << service;
  }
}

TEST_F(ServerTest, AdminSocketHasItsModesAndAnswersHealth) {
  Start();
  struct stat socket {};
  struct stat directory {};
  ASSERT_EQ(stat(config_.listen.admin_socket.c_str(), &socket), 0);
  ASSERT_EQ(stat((dir_ / "run").c_str(), &directory), 0);
  EXPECT_EQ(socket.st_mode & 0777, 0660u);
  EXPECT_EQ(directory.st_mode & 0777, 0750u);
  auto stub = grpc::health::v1::Health::NewStub(Admin());
  grpc::health::v1::HealthCheckResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->Check(&context, {}, &response).ok());
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
}

TEST_F(ServerTest, AuditLogGoesOnInANewFileAfterAReload) {
  Start();
  CreateEntry("/before");
  std::string moved = config_.audit_path + ".1";
  ASSERT_EQ(rename(config_.audit_path.c_str(), moved.c_str()), 0);
  server_->Reload();
  CreateEntry("/after");
  EXPECT_NE(ReadFile(moved)->find("/before"), std::string::npos);
  EXPECT_NE(ReadFile(config_.audit_path)->find("/after"), std::string::npos);
  EXPECT_EQ(ReadFile(config_.audit_path)->find("/before"), std::string::npos);
}

TEST_F(ServerTest, ValidateChangesNothingAndFindsABrokenStore) {
  EXPECT_TRUE(ValidateData(config_, /*deep=*/true).ok());
  EXPECT_NE(access(config_.data_dir.c_str(), F_OK), 0);
  Start();
  CreateEntry("/web");
  Stop();
  EXPECT_TRUE(ValidateData(config_, /*deep=*/true).ok());
  ServerConfig other = config_;
  other.listen.socket_group = "there-is-no-such-group";
  EXPECT_EQ(ValidateData(other, /*deep=*/false).code(), Code::kNotFound);
  other = config_;
  other.data_dir = config_.sqlite_path + "/below/a/file";
  EXPECT_FALSE(ValidateData(other, /*deep=*/false).ok());
  ASSERT_TRUE(WriteFileAtomic(config_.sqlite_path, std::string(10'000, 'x'), 0600).ok());
  EXPECT_FALSE(ValidateData(config_, /*deep=*/true).ok());
  EXPECT_FALSE(Server::Start(config_, kit_).ok());
}

}  // namespace
}  // namespace writ
