// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "agent/agent_metrics.h"
#include "agent/api/why_api.h"
#include "agent/api/workload_api.h"
#include "agent/cache/cache.h"
#include "agent/state/agent_state.h"
#include "agent/sync/agent_loop.h"
#include "agent/workload/workload_attestation.h"
#include "attestors/node/provers.h"
#include "attestors/workload/attestors.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/base/version.h"
#include "core/keys/key_manager.h"
#include "core/net/grpc_server.h"
#include "core/net/health.h"
#include "core/net/http_server.h"
#include "core/net/listener.h"

namespace writ {
namespace {

// Any local user may send requests, and those that open a stream are held as long as it is.
constexpr size_t kRequestBytesMax = 64 << 10;
constexpr mode_t kDataDirectoryMode = 0700;
constexpr mode_t kWorkloadSocketMode = 0666;
constexpr mode_t kWorkloadDirectoryMode = 0755;
constexpr mode_t kAdminSocketMode = 0660;
constexpr mode_t kAdminDirectoryMode = 0750;
// Of the two seconds that a stop may take; the rest is for what the loop is doing.
constexpr std::chrono::milliseconds kServiceManagerMayTake{500};
constexpr Duration kCallsMayTake = std::chrono::milliseconds(500);
// Between an operator's two commands.
constexpr Duration kSwapGraceMax = std::chrono::seconds(1);

Result<std::unique_ptr<KeyManager>> OpenKeys(const AgentConfig& config) {
  if (config.key_manager == KeyManagerKind::kMemory) return MakeMemoryKeys();
  return OpenDiskKeys(config.data_dir + "/keys");
}

BootstrapOptions BootstrapOf(const AgentConfig& config) {
  return BootstrapOptions{.bundle_file = config.server.bundle_file,
                          .bundle_url = config.server.bundle_url,
                          .insecure = config.server.insecure_bootstrap,
                          .ca_file = config.server.ca_file,
                          .bundle_sha256 = config.server.bundle_sha256};
}

// What an agent without a kept bundle reads before it asks the server anything.
Status CheckBootstrapFiles(const AgentConfig& config) {
  if (!config.server.bundle_file.empty()) {
    TRY(ReadBootstrapBundle(BootstrapOf(config), *config.trust_domain, HttpFetch()));
  }
  if (!config.server.ca_file.empty()) TRY(ReadFile(config.server.ca_file), "server.ca_file");
  return OkStatus();
}

class WiredAgent final : public Agent {
 public:
  WiredAgent(AgentConfig config, StopSignal* stop, Log* log)
      : config_(std::move(config)), stop_(stop), log_(log) {}
  ~WiredAgent() override { StopServing(); }

  Status Open();
  Status Run() override;

 private:
  Status OpenData();
  Status MakeParts();
  std::unique_ptr<WhyApi> MakeWhy(WhyApiOptions::Scope scope);
  Status Listen();
  Status ListenHttp();
  Result<std::unique_ptr<GrpcServer>> StartServer(std::string name,
                                                  std::vector<grpc::Service*> services,
                                                  UnixListenerOptions listener);
  std::string Exposition();
  void Tell(std::string_view state);
  void StopServing();

  const AgentConfig config_;
  StopSignal* const stop_;  // borrowed
  Log* const log_;          // borrowed
  SystemClock clock_;
  SystemRandom random_;
  Refusals refusals_{&clock_, &random_};

  // Constant after Open(), in the order in which one needs the other.
  std::optional<FileLock> lock_;
  std::unique_ptr<KeyManager> keys_;
  std::unique_ptr<NodeProverFactory> prover_;
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<AgentLoop> loop_;
  std::unique_ptr<WorkloadAttestation> attestation_;
  std::unique_ptr<WorkloadApi> workload_api_;
  std::unique_ptr<WhyApi> why_;
  std::unique_ptr<WhyApi> admin_why_;
  std::unique_ptr<HealthService> health_;
  AgentMetrics metrics_;  // its own lock
  std::unique_ptr<GrpcServer> workload_server_;
  std::unique_ptr<GrpcServer> admin_server_;
  std::unique_ptr<HttpServer> http_;  // null: turned off
};

Status WiredAgent::Open() {
  TRY(OpenData());
  TRY(MakeParts());
  TRY(Listen());
  return ListenHttp();
}

Status WiredAgent::OpenData() {
  TRY(MakeDirectories(config_.data_dir, kDataDirectoryMode));
  lock_ = TRY(FileLock::Take(config_.data_dir + "/lock"), "another agent runs on this data_dir");
  keys_ = TRY(OpenKeys(config_), "open the agent's keys");
  return OkStatus();
}

Status WiredAgent::MakeParts() {
  prover_ = TRY(MakeNodeProver(config_.node_attestor, config_.node_attestor_options, &random_),
                "node_attestor");
  cache_ = Cache::Make(&clock_, config_.cache);
  loop_ = AgentLoop::Make({.trust_domain = *config_.trust_domain,
                           .server_address = config_.server.address,
                           .bootstrap = BootstrapOf(config_),
                           .rebootstrap = config_.server.rebootstrap,
                           .data_dir = config_.data_dir,
                           .agent_version = std::string(Version()),
                           .sync_interval = config_.sync_interval,
                           .svid_key_type = config_.svid_key_type,
                           .attestor_type = config_.node_attestor,
                           .prover = prover_.get(),
                           .keys = keys_.get(),
                           .cache = cache_.get(),
                           .clock = &clock_,
                           .random = &random_,
                           .log = log_});
  attestation_ = std::make_unique<WorkloadAttestation>(
      MakeWorkloadAttestors({.unix_options = config_.unix_attestor}, &clock_), &clock_, log_);
  workload_api_ = WorkloadApi::Make({.trust_domain = *config_.trust_domain,
                                     .calls_per_second = config_.rate_limit,
                                     .bundles_for_all = config_.allow_unauthenticated_verifiers,
                                     .swap_grace = std::min(config_.sync_interval, kSwapGraceMax),
                                     .cache = cache_.get(),
                                     .jwt = &loop_->jwts(),
                                     .attestation = attestation_.get(),
                                     .refusals = &refusals_,
                                     .clock = &clock_,
                                     .random = &random_,
                                     .log = log_});
  why_ = MakeWhy(WhyApiOptions::Scope::kCallerAlone);
  admin_why_ = MakeWhy(WhyApiOptions::Scope::kEveryProcess);
  health_ = HealthService::Make({.ready = [this] { return loop_->Ready(); },
                                 .services = {"SpiffeWorkloadAPI"},
                                 .clock = &clock_});
  return OkStatus();
}

std::unique_ptr<WhyApi> WiredAgent::MakeWhy(WhyApiOptions::Scope scope) {
  return WhyApi::Make({.scope = scope,
                       .calls_per_second = config_.rate_limit,
                       .ready = [this] { return loop_->Ready(); },
                       .own_certificate = [this] { return loop_->OwnCertificate(); },
                       .cache = cache_.get(),
                       .attestation = attestation_.get(),
                       .refusals = &refusals_,
                       .clock = &clock_});
}

Status WiredAgent::Listen() {
  workload_server_ =
      TRY(StartServer("workload", {workload_api_->service(), why_->service(), health_->service()},
                      {.path = config_.workload_socket,
                       .mode = kWorkloadSocketMode,
                       .directory_mode = kWorkloadDirectoryMode}));
  workload_api_->ServeOn(workload_server_.get());
  why_->ServeOn(workload_server_.get());
  admin_server_ = TRY(StartServer("admin", {admin_why_->service(), health_->service()},
                                  {.path = config_.admin_socket,
                                   .mode = kAdminSocketMode,
                                   .group = config_.admin_socket_group,
                                   .directory_mode = kAdminDirectoryMode}));
  admin_why_->ServeOn(admin_server_.get());
  log_->Info("listening", {{"workload_socket", config_.workload_socket},
                           {"admin_socket", config_.admin_socket}});
  return OkStatus();
}

Result<std::unique_ptr<GrpcServer>> WiredAgent::StartServer(std::string name,
                                                            std::vector<grpc::Service*> services,
                                                            UnixListenerOptions listener) {
  return GrpcServer::Start({.name = std::move(name),
                            .services = std::move(services),
                            .reflection = true,
                            .unix_listeners = {std::move(listener)},
                            .message_bytes_max = kRequestBytesMax,
                            .clock = &clock_,
                            .log = log_});
}

Status WiredAgent::ListenHttp() {
  if (config_.http.empty()) return OkStatus();
  http_ = TRY(HttpServer::Start({.address = config_.http,
                                 .live = [] { return OkStatus(); },
                                 .ready = [this] { return loop_->Ready(); },
                                 .metrics = [this] { return Exposition(); },
                                 .clock = &clock_,
                                 .log = log_}),
              "listen for HTTP");
  return OkStatus();
}

std::string WiredAgent::Exposition() {
  return metrics_.Exposition({.synced = loop_->Ready().ok(),
                              .following = loop_->Follows(),
                              .streams = workload_api_->OpenStreamCount(),
                              .connections = workload_server_->ConnectionCount(),
                              .refusals = refusals_.count(),
                              .cache = cache_->Counts(),
                              .loop = loop_->Counts(),
                              .attestations = attestation_->counts()});
}

void WiredAgent::Tell(std::string_view state) {
  const Status told = NotifyServiceManager(state, kServiceManagerMayTake);
  if (!told.ok()) log_->Warn("the service manager does not hear", {{"error", told}});
}

Status WiredAgent::Run() {
  Status verdict;
  Thread loop("agent-loop", [&](std::stop_token stop) {
    verdict = loop_->Run(std::move(stop));
    stop_->Stop();
  });
  // The sockets answer; a server that is away is not a failed start.
  Tell("READY=1");
  stop_->Wait();
  Tell("STOPPING=1");
  log_->Info("stopping");
  loop.RequestStop();  // ends its calls to the server, so that no caller waits for them
  StopServing();
  loop.Join();
  return verdict;
}

void WiredAgent::StopServing() {
  http_.reset();
  if (attestation_ != nullptr) attestation_->Stop();
  if (workload_api_ != nullptr) workload_api_->EndStreams();
  if (health_ != nullptr) health_->EndWatches();
  const MonoTime deadline = clock_.Monotonic() + kCallsMayTake;
  if (workload_server_ != nullptr) workload_server_->Shutdown(deadline);
  if (admin_server_ != nullptr) admin_server_->Shutdown(deadline);
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::Start(AgentConfig config, StopSignal* stop, Log* log) {
  auto agent = std::make_unique<WiredAgent>(std::move(config), stop, log);
  TRY(agent->Open());
  return std::unique_ptr<Agent>(std::move(agent));
}

Result<std::vector<std::string>> ValidateAgent(const AgentConfig& config) {
  SystemRandom random;
  TRY(MakeNodeProver(config.node_attestor, config.node_attestor_options, &random),
      "node_attestor");
  TRY(CheckUsableDirectory(config.data_dir), "data_dir");
  TRY(CheckUsableSocket(config.workload_socket), "workload_socket");
  TRY(CheckUsableSocket(config.admin_socket), "admin_socket");
  TRY(CheckSocketGroup(config.admin_socket_group), "admin_socket_group");
  std::vector<std::string> warnings = Warnings(config);
  Status source = CheckBootstrapFiles(config);
  if (source.ok()) return warnings;
  const std::unique_ptr<AdjustableLog> log = MakeStderrLog(config.log.level, config.log.format);
  const std::unique_ptr<AgentState> kept =
      MakeFileAgentState(config.data_dir, *config.trust_domain, log.get());
  if (!kept->LoadBundle()) return source;
  warnings.push_back(source.message());
  return warnings;
}

}  // namespace writ
