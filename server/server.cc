// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <systemd/sd-daemon.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/process.h"
#include "core/base/thread.h"
#include "core/net/grpc_server.h"
#include "core/net/health.h"
#include "core/net/http_server.h"
#include "core/net/metrics.h"
#include "server/api/authorization.h"
#include "server/api/front.h"
#include "server/api/notices_api.h"
#include "server/api/rate_limits.h"
#include "server/api/rpc_metrics.h"
#include "server/api/services.h"
#include "server/loop.h"
#include "server/own_identity.h"
#include "server/prune.h"

namespace writ {
namespace {

constexpr mode_t kAdminSocketMode = 0660;
constexpr mode_t kAdminDirectoryMode = 0750;
// Workers wait for the disk more than they compute; those that wait together share one fsync.
constexpr size_t kWorkers = 32;
constexpr size_t kWaitingCallsMax = 10'000;
constexpr Duration kLookAtHealthEvery = std::chrono::seconds(1);
// It reads the whole store, which must not hold up those who waited for the start.
constexpr Duration kIntegrityAfter = std::chrono::seconds(1);
constexpr Time kNever = Time::max();
// Of the two seconds that a stop may take.
constexpr Duration kCallsMayTake = std::chrono::seconds(1);

// The services of one listener, with the front that knows its callers.
struct Endpoint {
  Endpoint(const FrontOptions& options, const ServerApis& apis, bool admin_socket)
      : front(options), services(apis, &front, admin_socket) {}

  Front front;
  ServerServices services;
  std::unique_ptr<GrpcServer> server;
};

class WiredServer final : public Server {
 public:
  WiredServer(const ServerConfig& config, const ServerKit& kit) : config_(config), kit_(kit) {}
  ~WiredServer() override { Stop(); }

  Status Open();
  int TcpPort() const override { return tcp_->server->TcpPort(0); }
  void Reload() override;
  void Stop() override;

 private:
  void MakeApis();
  Status Listen();
  Status ListenHttp();
  void StartLoops();
  Time StepHealth();
  Time StepIntegrity();
  Time CloseStaleConnections();
  Status Ready() const;
  std::string Exposition();

  const ServerConfig config_;
  const ServerKit kit_;

  // Constant after Open(), in the order in which one needs the other.
  std::unique_ptr<ServerState> state_;
  std::unique_ptr<OwnIdentity> identity_;
  std::optional<Pruning> pruning_;
  std::unique_ptr<Metrics> metrics_;
  std::optional<RpcMetrics> rpc_metrics_;
  std::optional<Authorization> authorization_;
  std::optional<RateLimits> limits_;
  std::optional<AgentApi> agent_api_;
  std::optional<BundleApi> bundle_api_;
  std::optional<EntryApi> entry_api_;
  std::optional<SvidApi> svid_api_;
  std::unique_ptr<NoticesApi> notices_api_;
  std::optional<WhyApi> why_api_;
  std::optional<DebugApi> debug_api_;
  std::optional<LoggerApi> logger_api_;
  std::unique_ptr<HealthService> health_;
  std::optional<WorkerPool> workers_;
  std::optional<Endpoint> tcp_;
  std::optional<Endpoint> admin_;
  std::unique_ptr<HttpServer> http_;  // null: turned off
  std::vector<std::unique_ptr<Loop>> loops_;

  mutable Mutex mu_;
  Status ready_ GUARDED_BY(mu_) = Unavailable("the server is starting");
  bool stopped_ = false;  // of the main thread
};

Status WiredServer::Open() {
  state_ = TRY(ServerState::Open(config_, kit_));
  identity_ = TRY(OwnIdentity::Make({.trust_domain = *config_.trust_domain,
                                     .issuer = state_->issuer.get(),
                                     .authorities = state_->authorities.get(),
                                     .bundle = state_->bundle.get(),
                                     .clock = kit_.clock,
                                     .log = kit_.log}));
  pruning_.emplace(Pruning::Needs{.agents = &state_->store->agents(),
                                  .entries = &state_->store->entries(),
                                  .audit = state_->audit.get(),
                                  .clock = kit_.clock,
                                  .log = kit_.log,
                                  .agents_expired_for = config_.prune.agents_expired_for,
                                  .non_reattestable = config_.prune.non_reattestable});
  MakeApis();
  TRY(Listen());
  TRY(ListenHttp());
  StepHealth();
  StartLoops();
  return OkStatus();
}

void WiredServer::MakeApis() {
  const TrustDomain& td = *config_.trust_domain;
  ServerState& s = *state_;
  metrics_ = Metrics::Make("writ_server_");
  rpc_metrics_.emplace(metrics_.get());
  authorization_.emplace(s.registry.get(), s.gate.get(), kit_.clock, config_.admin_ids);
  agent_api_.emplace(td, s.registry.get(), &s.store->agents(), s.attestor.get(), s.issuer.get(),
                     kit_.clock, kit_.random);
  bundle_api_.emplace(s.bundle.get());
  entry_api_.emplace(td, s.registry.get(), &s.store->entries(), kit_.clock, kit_.random);
  svid_api_.emplace(td, s.registry.get(), s.issuer.get(), s.bundle.get(), kit_.clock);
  notices_api_ = NoticesApi::Make({.trust_domain = td,
                                   .feeds = s.registry.get(),
                                   .bundles = &s.store->bundles(),
                                   .authorization = &*authorization_,
                                   .metrics = metrics_.get(),
                                   .clock = kit_.clock});
  why_api_.emplace(td, s.registry.get(), kit_.clock);
  debug_api_.emplace(DebugApi::Needs{.registry = s.registry.get(),
                                     .bundle = s.bundle.get(),
                                     .clock = kit_.clock,
                                     .own_chain = [this] { return identity_->Chain(); }});
  logger_api_.emplace(kit_.log);
  health_ = HealthService::Make({.ready = [this] { return Ready(); },
                                 .services = ServerServices::Names(),
                                 .clock = kit_.clock});
  workers_.emplace("worker", kWorkers, kWaitingCallsMax);
  limits_.emplace(config_.rate_limit, kit_.clock);

  FrontOptions front{.authorization = &*authorization_,
                     .limits = &*limits_,
                     .workers = &*workers_,
                     .audit = s.audit.get(),
                     .metrics = &*rpc_metrics_,
                     .clock = kit_.clock,
                     .log = kit_.log};
  ServerApis apis{.agent = &*agent_api_,
                  .bundle = &*bundle_api_,
                  .entry = &*entry_api_,
                  .notices = notices_api_.get(),
                  .svid = &*svid_api_,
                  .why = &*why_api_,
                  .debug = &*debug_api_,
                  .logger = &*logger_api_};
  tcp_.emplace(front, apis, /*admin_socket=*/false);
  admin_.emplace(front, apis, /*admin_socket=*/true);
}

Status WiredServer::Listen() {
  std::vector<grpc::Service*> admin_services = admin_->services.Borrow();
  admin_services.push_back(health_->service());
  admin_->server =
      TRY(GrpcServer::Start({.name = "admin",
                             .services = std::move(admin_services),
                             .reflection = true,
                             .unix_listeners = {{.path = config_.listen.admin_socket,
                                                 .mode = kAdminSocketMode,
                                                 .group = config_.listen.socket_group,
                                                 .directory_mode = kAdminDirectoryMode}},
                             .clock = kit_.clock,
                             .log = kit_.log}),
          "listen on the admin socket");
  admin_->front.Attach(admin_->server.get());
  tcp_->server =
      TRY(GrpcServer::Start(
              {.name = "tcp",
               .services = tcp_->services.Borrow(),
               .tcp_listeners = {{.address = config_.listen.address, .tls = identity_->tls()}},
               .proxies = config_.proxies,
               .clock = kit_.clock,
               .log = kit_.log}),
          "listen on TCP");
  tcp_->front.Attach(tcp_->server.get());
  kit_.log->Info("listening", {{"address", config_.listen.address},
                               {"port", tcp_->server->TcpPort(0)},
                               {"admin_socket", config_.listen.admin_socket}});
  return OkStatus();
}

Status WiredServer::ListenHttp() {
  if (config_.listen.http.empty()) return OkStatus();
  http_ = TRY(HttpServer::Start({.address = config_.listen.http,
                                 .live = [] { return OkStatus(); },
                                 .ready = [this] { return Ready(); },
                                 .metrics = [this] { return Exposition(); },
                                 .clock = kit_.clock,
                                 .log = kit_.log}),
              "listen for HTTP");
  return OkStatus();
}

void WiredServer::StartLoops() {
  Time now = kit_.clock->Now();
  auto add = [&](const char* name, Time first, std::function<Time()> step) {
    loops_.push_back(std::make_unique<Loop>(name, kit_.clock, first, std::move(step)));
    return loops_.back().get();
  };
  // Whoever changes the bundle comes after those who hear of it, and so ends before them.
  Loop* connections = add("connections", kNever, [this] { return CloseStaleConnections(); });
  Loop* own_svid = add("own-svid", identity_->RotateAt(), [this] { return identity_->Step(); });
  Loop* authorities = add("authorities", now, [this] { return state_->authorities->Step(); });
  state_->bundle->Watch([connections, own_svid, authorities](const Bundle&) {
    for (Loop* loop : {connections, own_svid, authorities}) loop->Notify();
  });
  add("health", now, [this] { return StepHealth(); });
  add("prune", now, [this] { return pruning_->Step(); });
  add("integrity", now + kIntegrityAfter, [this] { return StepIntegrity(); });
  uint64_t watchdog_micros = 0;
  if (sd_watchdog_enabled(0, &watchdog_micros) > 0) {
    add("watchdog", now, [this, every = std::chrono::microseconds(watchdog_micros / 2)] {
      // One that was lost is followed by the next.
      (void)NotifyServiceManager("WATCHDOG=1", std::chrono::milliseconds(0));
      return kit_.clock->Now() + every;
    });
  }
}

Time WiredServer::CloseStaleConnections() {
  tcp_->server->CloseConnections([this](const Peer& peer) {
    return peer.chain.empty() || identity_->VerifyClient(peer.chain).ok();
  });
  return kNever;
}

Time WiredServer::StepHealth() {
  Status ready = state_->store->Check(/*deep=*/false);
  if (ready.ok()) ready = state_->audit->Check();
  Time now = kit_.clock->Now();
  const std::shared_ptr<const X509Ca> ca = state_->authorities->CurrentX509();
  if (ready.ok() && (ca->tainted || ca->certificate.not_after() <= now)) {
    ready =
        Unavailable(std::string("the X.509 authority ") +
                    (ca->tainted ? "is tainted" : "has expired") + " and no other is there yet");
  }
  MutexLock lock(mu_);
  if (ready != ready_) {
    if (ready.ok()) kit_.log->Info("the server is ready");
    if (!ready.ok()) kit_.log->Error("the server is not ready", {{"reason", ready}});
  }
  ready_ = std::move(ready);
  return now + kLookAtHealthEvery;
}

// Once, after the start: a store that broke while the server was off is told early.
Time WiredServer::StepIntegrity() {
  Status whole = state_->store->Check(/*deep=*/true);
  if (!whole.ok()) kit_.log->Error("the store failed its integrity check", {{"error", whole}});
  return kNever;
}

Status WiredServer::Ready() const {
  MutexLock lock(mu_);
  return ready_;
}

std::string WiredServer::Exposition() {
  metrics_->GetGauge("entries", "Registration entries.")
      ->Set(static_cast<double>(state_->registry->CountEntries({})));
  metrics_->GetGauge("agents", "Attested agents.")
      ->Set(static_cast<double>(state_->registry->CountAgents({})));
  metrics_->GetGauge("connections", "Connections on TCP.")
      ->Set(static_cast<double>(tcp_->server->ConnectionCount()));
  metrics_->GetGauge("x509_authority_not_after_seconds", "End of the signing X.509 authority.")
      ->Set(static_cast<double>(
          ToUnixSeconds(state_->authorities->CurrentX509()->certificate.not_after())));
  metrics_->GetGauge("ready", "1 when the server is ready.")->Set(Ready().ok() ? 1 : 0);
  return metrics_->Exposition();
}

void WiredServer::Reload() {
  Status reopened = state_->audit->Reopen();
  if (!reopened.ok()) {
    kit_.log->Error("cannot open the audit log anew, the old file stays in use",
                    {{"error", reopened}});
    return;
  }
  kit_.log->Info("the audit log was opened anew");
}

void WiredServer::Stop() {
  if (std::exchange(stopped_, true)) return;
  MonoTime deadline = kit_.clock->Monotonic() + kCallsMayTake;
  if (health_) health_->EndWatches();
  if (limits_) limits_->Stop();
  if (notices_api_) notices_api_->EndStreams();
  for (std::optional<Endpoint>* endpoint : {&tcp_, &admin_}) {
    if (endpoint->has_value() && (*endpoint)->server) (*endpoint)->server->Shutdown(deadline);
  }
  http_.reset();
  workers_.reset();
  // The last made first: the later ones notify the earlier ones.
  while (!loops_.empty()) loops_.pop_back();
  if (!state_ || !state_->store) return;
  Status closed = state_->store->Close();
  if (!closed.ok()) kit_.log->Warn("the store was not closed cleanly", {{"error", closed}});
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, const ServerKit& kit) {
  auto server = std::make_unique<WiredServer>(config, kit);
  TRY(server->Open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace writ
