// SPDX-License-Identifier: Apache-2.0
#include "core/net/grpc_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "core/base/process.h"
#include "core/net/acceptor.h"
#include "core/net/call_budget.h"
#include "core/net/client_limits.h"
#include "core/net/connection_log.h"
#include "core/net/connection_table.h"
#include "core/net/event_loop.h"
#include "core/net/grpc_process.h"
#include "core/net/pump.h"
#include "core/net/reflection.h"
#include "core/net/tls_endpoint.h"

namespace writ {
namespace {

// grpc-go clients ping as often as every 10 s and count being refused as a broken connection.
constexpr int kPingIntervalMinMillis = 1000;
constexpr int kStreamsPerConnectionMax = 1000;
constexpr size_t kMemoryBytesMax = 512 << 20;
// How long the streams of a connection that is too old may go on.
// Without a call; clients connect anew at their next one.
constexpr Duration kConnectionIdleMax = std::chrono::minutes(10);
constexpr Duration kAgeGrace = std::chrono::minutes(5);
// After a connection has ended: what a flood took is given back, without a look at each end.
constexpr Duration kTrimDelay = std::chrono::seconds(5);

int Millis(Duration d) {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(d).count());
}
// No more than the process has descriptors for.
size_t ConnectionsMax(size_t wanted) {
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  return std::min<size_t>(wanted, ConnectionsAllowedByDescriptors(limit.rlim_cur));
}

class PosixGrpcServer final : public GrpcServer {
 public:
  explicit PosixGrpcServer(GrpcServerOptions options)
      : options_(std::move(options)),
        limits_(ConnectionsMax(options_.connections_max), options_.clock),
        connection_log_(options_.name, options_.clock, options_.log) {}
  ~PosixGrpcServer() override;

  Status Open();

  std::shared_ptr<const Peer> PeerOf(const grpc::ServerContextBase& context) const override {
    return table_.Find(context.peer());
  }
  int TcpPort(size_t listener) const override { return tcp_ports_.at(listener); }
  size_t ConnectionCount() const override { return limits_.Open(); }
  void CloseConnections(const std::function<bool(const Peer&)>& keep) override;
  void Shutdown(MonoTime deadline) override EXCLUDES(mu_);

 private:
  Status StartGrpc();
  Status Listen();
  Status AddListeners();
  void OnUnix(Accepted accepted);
  PumpedConnection UnixConnection(std::shared_ptr<const Peer> peer, std::string client,
                                  std::shared_ptr<ClientLimits::Place> place);
  void HandOver(Fd plain, std::shared_ptr<const Peer> peer);
  void Forget(uint64_t connection_id);
  void OnTlsOpened(Fd plain, std::shared_ptr<const Peer> peer);
  void OnTlsEnded(uint64_t connection_id);

  const GrpcServerOptions options_;
  ClientLimits limits_;
  ConnectionLog connection_log_;
  ConnectionTable table_;
  std::atomic<uint64_t> next_connection_id_ = 1;
  std::vector<UnixListener> unix_listeners_;  // constant after Open() until Shutdown()
  std::vector<Fd> tcp_listeners_;             // constant after Open() until Shutdown()
  std::vector<int> tcp_ports_;                // constant after Open()
  std::unique_ptr<grpc::Server> server_;      // constant after Open()
  std::unique_ptr<TlsEndpoint> tls_;          // constant after Open(); null without TCP

  // The loop's thread only.
  std::unique_ptr<Pump> unix_pump_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unordered_map<uint64_t, int> descriptors_;  // gRPC's ends, by connection
  bool closing_ = false;
  bool trim_awaited_ = false;

  Mutex mu_;
  bool shut_down_ GUARDED_BY(mu_) = false;

  std::unique_ptr<EventLoop> loop_;  // the last member: it uses all others
};

PosixGrpcServer::~PosixGrpcServer() {
  Shutdown(options_.clock->Monotonic());
  // The loops post to each other: all end before any goes.
  if (loop_ != nullptr) loop_->Stop();
  if (tls_ != nullptr) tls_->Stop();
}

Status PosixGrpcServer::Open() {
  TRY(StartGrpc());
  loop_ = TRY(EventLoop::Start(options_.name + "-accept", options_.clock));
  unix_pump_ = std::make_unique<Pump>(loop_.get(), options_.clock);
  acceptor_ = std::make_unique<Acceptor>(options_.name, loop_.get(), &limits_, options_.clock,
                                         options_.log);
  TRY(Listen());
  options_.log->Info(
      "Connections are limited",
      {{"listener", options_.name}, {"connections_max", limits_.connections_max()}});
  return OkStatus();
}

Status PosixGrpcServer::StartGrpc() {
  KeepGrpcRunning();
  grpc::ServerBuilder builder;
  for (grpc::Service* service : options_.services) builder.RegisterService(service);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(kConnectionIdleMax));
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);  // nobody is shown what it keeps
  if (!options_.tcp_listeners.empty()) {  // gRPC itself adds the 10 % of jitter
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(options_.connection_age_max));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(kAgeGrace));
  }
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.message_bytes_max));
  builder.SetResourceQuota(grpc::ResourceQuota(options_.name).Resize(kMemoryBytesMax));
  if (options_.reflection) builder.SetOption(ReflectionOption());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return Internal("start gRPC server " + options_.name);
  return OkStatus();
}

Status PosixGrpcServer::Listen() {
  for (const UnixListenerOptions& listener : options_.unix_listeners) {
    unix_listeners_.push_back(TRY(UnixListener::Bind(listener)));
  }
  for (const TcpListenerOptions& listener : options_.tcp_listeners) {
    tcp_listeners_.push_back(TRY(ListenTcp(listener.address)));
    tcp_ports_.push_back(PortOf(tcp_listeners_.back().get()));
  }
  if (!tcp_listeners_.empty()) {
    tls_ = TRY(TlsEndpoint::Start(
        {.name = options_.name,
         .handshake_deadline = options_.handshake_deadline,
         .opened = [this](Fd plain, auto peer) { OnTlsOpened(std::move(plain), std::move(peer)); },
         .ended = [this](uint64_t id) { OnTlsEnded(id); },
         .proxies = options_.proxies,
         .clock = options_.clock,
         .log = &connection_log_}));
  }
  Status status;
  loop_->Run([&] { status = AddListeners(); });
  return status;
}

Status PosixGrpcServer::AddListeners() {
  for (const UnixListener& listener : unix_listeners_) {
    TRY(acceptor_->Add(listener.fd(), [this](Accepted a) { OnUnix(std::move(a)); }));
  }
  for (size_t i = 0; i < tcp_listeners_.size(); ++i) {
    TRY(acceptor_->Add(tcp_listeners_[i].get(), [this, i](Accepted accepted) {
      tls_->Accept(std::move(accepted), *options_.tcp_listeners[i].tls, next_connection_id_++);
    }));
  }
  return OkStatus();
}

void PosixGrpcServer::OnUnix(Accepted accepted) {
  Result<std::shared_ptr<const Caller>> caller =
      IdentifyPeer(accepted.socket.get(), accepted.at_ticks, options_.peer_pidfd);
  if (!caller.ok()) {
    // One that has left already is everyday.
    if (caller.code() != Code::kUnavailable) {
      connection_log_.Failed("Connection refused: its caller could not be identified",
                             caller.status());
    }
    return;
  }
  std::string client = "uid:" + std::to_string((*caller)->uid());
  if (!accepted.place->Claim(client)) {
    connection_log_.ShareUsedUp(client);
    return;
  }
  auto peer = std::make_shared<const Peer>(
      Peer{.kind = Peer::Kind::kUnix, .connection_id = next_connection_id_++, .caller = *caller});
  std::unique_ptr<Wire> wire = PlainWire(accepted.socket.get());
  PumpedConnection connection = UnixConnection(std::move(peer), std::move(client), accepted.place);
  unix_pump_->Add(std::move(wire), std::move(accepted.socket),
                  CallBudget(std::move(accepted.place)), std::move(connection));
}

PumpedConnection PosixGrpcServer::UnixConnection(std::shared_ptr<const Peer> peer,
                                                 std::string client,
                                                 std::shared_ptr<ClientLimits::Place> place) {
  PumpedConnection connection;
  uint64_t id = peer->connection_id;
  connection.id = id;
  connection.await_preface = true;
  connection.deadline = options_.clock->Monotonic() + options_.handshake_deadline;
  connection.opened = [this, peer = std::move(peer)](Fd plain, const std::vector<Certificate>&) {
    HandOver(std::move(plain), peer);
  };
  connection.ended = [this, id, client = std::move(client), place = std::move(place)](
                         const Status& why, bool was_open) {
    connection_log_.Ended(client, why, was_open);
    Forget(id);
  };
  return connection;
}

void PosixGrpcServer::HandOver(Fd plain, std::shared_ptr<const Peer> peer) {
  if (closing_) return;
  int fd = plain.Release();
  descriptors_[peer->connection_id] = fd;
  table_.Put(fd, std::move(peer));
  grpc::AddInsecureChannelFromFd(server_.get(), fd);
}

void PosixGrpcServer::Forget(uint64_t connection_id) {
  auto found = descriptors_.find(connection_id);
  if (found == descriptors_.end()) return;
  table_.Remove(found->second, connection_id);
  descriptors_.erase(found);
  if (std::exchange(trim_awaited_, true)) return;
  loop_->At(options_.clock->Monotonic() + kTrimDelay, [this] {
    trim_awaited_ = false;
    ReturnFreeMemory();
  });
}

// On a loop of the TLS side: what follows belongs to ours.
void PosixGrpcServer::OnTlsOpened(Fd plain, std::shared_ptr<const Peer> peer) {
  auto handed = std::make_shared<Fd>(std::move(plain));
  loop_->Post([this, handed, peer = std::move(peer)] { HandOver(std::move(*handed), peer); });
}

void PosixGrpcServer::OnTlsEnded(uint64_t connection_id) {
  loop_->Post([this, connection_id] { Forget(connection_id); });
}

void PosixGrpcServer::CloseConnections(const std::function<bool(const Peer&)>& keep) {
  if (tls_ != nullptr) tls_->CloseUnless(keep);
}

void PosixGrpcServer::Shutdown(MonoTime deadline) {
  {
    MutexLock lock(mu_);
    if (std::exchange(shut_down_, true)) return;
  }
  if (loop_ != nullptr) {
    loop_->Run([this] {
      closing_ = true;
      if (acceptor_ != nullptr) acceptor_->Close();
    });
  }
  unix_listeners_.clear();
  tcp_listeners_.clear();
  if (server_ == nullptr) return;
  Duration left = std::max(deadline - options_.clock->Monotonic(), Duration::zero());
  server_->Shutdown(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN)));
}

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::Start(GrpcServerOptions options) {
  std::string name = options.name;
  auto server = std::make_unique<PosixGrpcServer>(std::move(options));
  TRY(server->Open(), "start the " + name + " endpoint");
  return std::unique_ptr<GrpcServer>(std::move(server));
}

Status RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Internal(std::string("read the limit of open files: ") + std::strerror(errno));
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Internal(std::string("raise the limit of open files: ") + std::strerror(errno));
  }
  return OkStatus();
}

}  // namespace writ
