// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/agent_calls.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/why_api.h"
#include "agent/api/workload_api.h"
#include "agent/cache/cache.h"
#include "attestors/unix/unix_attestor.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/net/grpc_channel.h"
#include "core/net/grpc_server.h"
#include "spiffe/workload/workload.pb.h"
#include "test/fuzz/messages.h"
#include "test/support/paths.h"
#include "writ/v1/why.pb.h"

namespace writ {
namespace {

constexpr Duration kCallMax = std::chrono::seconds(20);  // only a broken agent takes it

// Of the authority that signed the tokens of the corpus, for good; its private key is nowhere.
constexpr char kAuthorityKey[] =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEc+ZBJQ6Cn4Bltyw/nPvvNJJGh3/if/GJNwxWvOPUf4r1"
    "zlJ48QFXeFN0KK7wq99jaM26QcJCJSv3AAZ/CSp29g==";

// What a server would send.
class OneToken final : public JwtSource {
 public:
  std::optional<HeldJwt> Held(const Entry&, std::vector<std::string>) override {
    return std::nullopt;
  }
  Result<HeldJwt> Fetch(const Entry&, std::vector<std::string>, MonoTime) override {
    HeldJwt jwt;
    jwt.token = "header.payload.signature";
    return jwt;
  }
};

// A server that logs for as long as the fuzzer runs would take all memory.
class NoLog final : public Log {
 public:
  void Write(LogLevel, std::string_view, const Fields&) override {}
  bool Enabled(LogLevel) const override { return false; }
};

// An agent with one identity, which this process has.
class Agent {
 public:
  Agent() {
    GiveIdentity();
    workload_api_->ServeOn(workload_server_.get());
    workload_why_->ServeOn(workload_server_.get());
    admin_why_->ServeOn(admin_server_.get());
  }
  ~Agent() {
    workload_api_->EndStreams();
    workload_server_->Shutdown(clock_.Monotonic());
    admin_server_->Shutdown(clock_.Monotonic());
  }

  grpc::GenericStub& workload() { return workload_; }
  grpc::GenericStub& admin() { return admin_; }
  Time Deadline() const { return clock_.Now() + kCallMax; }

 private:
  void GiveIdentity() {
    auto held = std::make_shared<HeldX509>();
    held->chain_der = "chain";
    held->key_pkcs8 = Secret("key");
    held->not_after = clock_.Now() + std::chrono::hours(1000);
    const Entry entry{.id = "web",
                      .spiffe_id = *SpiffeId::FromPath(td_, "/web"),
                      .parent_id = *SpiffeId::FromPath(td_, "/spire/agent/join_token/node"),
                      .selectors = {{"unix", "uid:" + std::to_string(geteuid())}}};
    Bundle bundle{.trust_domain = td_};
    bundle.jwt.push_back(
        {.key_id = "k1", .key = PublicKey::FromSpki(Base64Decode(kAuthorityKey).value()).value()});
    cache_->Apply({.put = {entry},
                   .x509 = {{"web", held}},
                   .bundle = std::make_shared<const Bundle>(std::move(bundle))});
  }
  std::unique_ptr<WorkloadAttestation> MakeAttestation() {
    std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
    attestors.push_back(MakeUnixAttestor({}, &clock_));
    return std::make_unique<WorkloadAttestation>(std::move(attestors), &clock_, &log_);
  }
  std::unique_ptr<WhyApi> MakeWhy(WhyApiOptions::Scope scope) {
    return WhyApi::Make({.scope = scope,
                         .ready = [] { return OkStatus(); },
                         .own_certificate = [] { return std::nullopt; },
                         .cache = cache_.get(),
                         .attestation = attestation_.get(),
                         .refusals = &refusals_,
                         .clock = &clock_});
  }
  std::unique_ptr<GrpcServer> Serve(const char* name, std::vector<grpc::Service*> services) {
    return GrpcServer::Start({.name = name,
                              .services = std::move(services),
                              .unix_listeners = {{.path = dir_ / name, .mode = 0600}},
                              .clock = &clock_,
                              .log = &log_})
        .value();
  }

  const TrustDomain td_ = ExampleOrg();
  TempDir dir_;
  SystemClock clock_;
  SystemRandom random_;
  NoLog log_;
  OneToken jwt_;
  Refusals refusals_{&clock_, &random_};
  const std::shared_ptr<Cache> cache_ = Cache::Make(&clock_, {});
  const std::unique_ptr<WorkloadAttestation> attestation_ = MakeAttestation();
  const std::unique_ptr<WorkloadApi> workload_api_ =
      WorkloadApi::Make({.trust_domain = td_,
                         .cache = cache_.get(),
                         .jwt = &jwt_,
                         .attestation = attestation_.get(),
                         .refusals = &refusals_,
                         .clock = &clock_,
                         .random = &random_,
                         .log = &log_});
  const std::unique_ptr<WhyApi> workload_why_ = MakeWhy(WhyApiOptions::Scope::kCallerAlone);
  const std::unique_ptr<WhyApi> admin_why_ = MakeWhy(WhyApiOptions::Scope::kEveryProcess);
  const std::unique_ptr<GrpcServer> workload_server_ =
      Serve("workload", {workload_api_->service(), workload_why_->service()});
  const std::unique_ptr<GrpcServer> admin_server_ = Serve("admin", {admin_why_->service()});
  grpc::GenericStub workload_{UnixChannel(dir_ / "workload")};
  grpc::GenericStub admin_{UnixChannel(dir_ / "admin")};
};

// The first message of the answer, or how the call ended without one.
grpc::Status Call(grpc::GenericStub& stub, const std::string& method, std::string_view request,
                  Time deadline, std::string* answer) {
  grpc::ClientContext context;
  context.AddMetadata("workload.spiffe.io", "true");
  context.set_deadline(deadline);
  grpc::CompletionQueue queue;
  auto await = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue.Next(&tag, &ok));
    return ok;
  };
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call =
      stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  await();
  const grpc::Slice slice(request.data(), request.size());
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  await();
  grpc::ByteBuffer message;
  call->Read(&message, nullptr);
  const bool is_answered = await();
  if (is_answered) context.TryCancel();  // a stream goes on
  grpc::Status status;
  call->Finish(&status, nullptr);
  await();
  if (!is_answered) return status;
  grpc::Slice whole;
  CHECK(message.DumpToSingleSlice(&whole).ok());
  answer->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  return grpc::Status::OK;
}

// No request makes the agent fail by itself, or wait; what it answers can be read.
void CheckOutcome(const grpc::Status& status) {
  CHECK(status.error_code() != grpc::UNKNOWN && status.error_code() != grpc::INTERNAL &&
        status.error_code() != grpc::UNAVAILABLE && status.error_code() != grpc::DATA_LOSS);
  CHECK(status.ok() || !status.error_message().empty());
}

template <class Request, class Response>
void Ask(Agent& agent, grpc::GenericStub& stub, const char* method, std::string_view input) {
  Request request;
  const bool is_request = Parse(input, &request);
  std::string answer;
  const grpc::Status status = Call(stub, method, input, agent.Deadline(), &answer);
  CHECK(status.error_code() != grpc::DEADLINE_EXCEEDED);
  if (!is_request) return;  // gRPC refuses it
  CheckOutcome(status);
  Response response;
  CHECK(!status.ok() || Parse(answer, &response));
}

struct Method {
  void (*ask)(Agent& agent, grpc::GenericStub& stub, const char* method, std::string_view request);
  grpc::GenericStub& (Agent::*stub)();
  const char* name;
};

// The corpus names them by place: new ones come last.
constexpr Method kMethods[] = {
    {Ask<JWTSVIDRequest, JWTSVIDResponse>, &Agent::workload, "/SpiffeWorkloadAPI/FetchJWTSVID"},
    {Ask<ValidateJWTSVIDRequest, ValidateJWTSVIDResponse>, &Agent::workload,
     "/SpiffeWorkloadAPI/ValidateJWTSVID"},
    {Ask<v1::ExplainWorkloadRequest, v1::ExplainWorkloadResponse>, &Agent::workload,
     "/writ.v1.AgentWhy/ExplainWorkload"},
    {Ask<v1::ExplainWorkloadRequest, v1::ExplainWorkloadResponse>, &Agent::admin,
     "/writ.v1.AgentWhy/ExplainWorkload"},
    {Ask<X509SVIDRequest, X509SVIDResponse>, &Agent::workload, "/SpiffeWorkloadAPI/FetchX509SVID"},
    {Ask<X509BundlesRequest, X509BundlesResponse>, &Agent::workload,
     "/SpiffeWorkloadAPI/FetchX509Bundles"},
    {Ask<JWTBundlesRequest, JWTBundlesResponse>, &Agent::workload,
     "/SpiffeWorkloadAPI/FetchJWTBundles"},
    {Ask<WITSVIDRequest, WITSVIDResponse>, &Agent::workload, "/SpiffeWorkloadAPI/FetchWITSVID"},
};

}  // namespace

void FuzzAgentCall(std::string_view input) {
  static Agent agent;
  if (input.empty()) return;
  const auto place = static_cast<unsigned char>(input.front() - 'a');
  const Method& method = kMethods[place % std::size(kMethods)];
  method.ask(agent, (agent.*method.stub)(), method.name, input.substr(1));
}

}  // namespace writ
