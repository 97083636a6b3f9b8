// SPDX-License-Identifier: Apache-2.0
#include "core/net/grpc_channel.h"

#include <grpcpp/create_channel_posix.h>

#include <atomic>
#include <optional>
#include <utility>

#include "core/base/mutex.h"
#include "core/net/event_loop.h"
#include "core/net/grpc_process.h"
#include "core/net/http2_server_frames.h"
#include "core/net/listener.h"
#include "core/net/tcp_connector.h"
#include "core/net/pump.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

// What one attempt's handshake came to: gRPC's end of a socket, or why not.
class Attempt {
 public:
  void Finish(Result<Fd> result) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (!result_) result_.emplace(std::move(result));
    finished_.NotifyAll();
  }
  Result<Fd> Await() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (!result_) finished_.Wait(mu_);
    return std::move(*result_);
  }

 private:
  Mutex mu_;
  CondVar finished_;
  std::optional<Result<Fd>> result_ GUARDED_BY(mu_);
};

class ServerWatch final : public ByteWatch {
 public:
  explicit ServerWatch(std::shared_ptr<std::atomic<bool>> usable)
      : usable_(std::move(usable)) {}
  Status FromWire(std::string_view bytes) override {
    frames_.Feed(bytes);
    if (frames_.goaway()) *usable_ = false;
    return frames_.headers().Verdict();
  }
  Status ToWire(std::string_view) override { return OkStatus(); }

 private:
  const std::shared_ptr<std::atomic<bool>> usable_;
  ServerFrames frames_;
};

class PumpedTlsChannel final : public TlsChannel {
 public:
  PumpedTlsChannel(TlsClientOptions options, Clock* clock, Log* log)
      : options_(std::move(options)),
        clock_(clock),
        log_(log),
        connector_(options_.address, clock) {}
  ~PumpedTlsChannel() override {
    if (loop_ != nullptr) loop_->Stop();
  }

  Result<std::shared_ptr<grpc::Channel>> Get() override EXCLUDES(mu_);
  void Drop() override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    current_.reset();
    ++drops_;
  }
  void DropLost(const std::shared_ptr<grpc::Channel>& lost) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (current_ && current_->channel == lost) current_.reset();
  }

 private:
  // A connection as callers see it. `usable` is shared with the pump, which keeps no hold on the
  // channel: gRPC closes its end when the last caller lets go.
  struct Link {
    std::shared_ptr<grpc::Channel> channel;
    std::shared_ptr<std::atomic<bool>> usable;
  };

  Result<Link> Connect();
  Result<Fd> Shake(Fd wire, MonoTime deadline, std::shared_ptr<std::atomic<bool>> usable);
  PumpedConnection Connection(MonoTime deadline, std::shared_ptr<Attempt> attempt,
                              std::shared_ptr<std::atomic<bool>> usable);

  const TlsClientOptions options_;
  Clock* const clock_;
  Log* const log_;

  Mutex mu_;
  CondVar changed_;
  bool connecting_ GUARDED_BY(mu_) = false;  // one thread connects, others wait for it
  uint64_t drops_ GUARDED_BY(mu_) = 0;
  std::optional<Link> current_ GUARDED_BY(mu_);
  Status last_failure_ GUARDED_BY(mu_);

  // The connecting thread's.
  TcpConnector connector_;
  uint64_t next_id_ = 1;

  std::unique_ptr<Pump> pump_;    // made with the first connection; its loop's thread's
  std::unique_ptr<EventLoop> loop_;  // the last member: it uses the pump
};

Result<std::shared_ptr<grpc::Channel>> PumpedTlsChannel::Get() {
  uint64_t drops_before;
  {
    MutexLock lock(mu_);
    bool waited = connecting_;
    while (connecting_) changed_.Wait(mu_);
    if (current_ && *current_->usable) return current_->channel;
    if (waited && !last_failure_.ok()) return last_failure_;
    connecting_ = true;
    drops_before = drops_;
  }
  Result<Link> link = Connect();
  MutexLock lock(mu_);
  connecting_ = false;
  changed_.NotifyAll();
  last_failure_ = link.status();
  if (!link.ok()) return link.status();
  // Dropped meanwhile: good for this caller, but made before what the dropper wants seen.
  if (drops_ == drops_before) current_ = *link;
  return link->channel;
}

Result<PumpedTlsChannel::Link> PumpedTlsChannel::Connect() {
  if (loop_ == nullptr) {
    loop_ = TRY(EventLoop::Start("tls-client", clock_));
    pump_ = std::make_unique<Pump>(loop_.get(), clock_);
  }
  MonoTime deadline = clock_->Monotonic() + options_.connect_deadline;
  Fd wire = TRY(connector_.Connect(deadline, options_.stop));
  auto usable = std::make_shared<std::atomic<bool>>(true);
  Fd plain = TRY(Shake(std::move(wire), deadline, usable), "connect to " + options_.address);
  return Link{grpc::CreateCustomInsecureChannelFromFd(options_.address, plain.Release(),
                                                      grpc::ChannelArguments()),
              std::move(usable)};
}

Result<Fd> PumpedTlsChannel::Shake(Fd wire, MonoTime deadline,
                                   std::shared_ptr<std::atomic<bool>> usable) {
  std::optional<TlsIdentity> identity;
  if (options_.identity) identity = options_.identity();
  SslContextPtr context = TRY(MakeSslContext(TlsSide::kClient, identity ? &*identity : nullptr));
  TuneTcp(wire.get());
  struct Outgoing {
    std::unique_ptr<TlsSession> session;
    Fd wire;
  };
  auto outgoing = std::make_shared<Outgoing>();
  outgoing->session = TRY(TlsSession::Make(TlsSide::kClient, context.get(), wire.get(),
                                           options_.verify, connector_.ServerName()));
  outgoing->wire = std::move(wire);
  auto attempt = std::make_shared<Attempt>();
  loop_->Post([this, outgoing, usable, connection = Connection(deadline, attempt, usable)] {
    pump_->Add(std::move(outgoing->session), std::move(outgoing->wire),
               std::make_unique<ServerWatch>(usable), connection);
  });
  std::stop_callback on_stop(options_.stop,
                             [attempt] { attempt->Finish(Cancelled("stopped while connecting")); });
  return attempt->Await();
}

PumpedConnection PumpedTlsChannel::Connection(MonoTime deadline,
                                              std::shared_ptr<Attempt> attempt,
                                              std::shared_ptr<std::atomic<bool>> usable) {
  PumpedConnection connection;
  connection.id = next_id_++;
  connection.await_preface = false;
  connection.deadline = deadline;
  connection.opened = [attempt](Fd plain, const std::vector<Certificate>&) {
    attempt->Finish(std::move(plain));
  };
  connection.ended = [this, attempt, usable](const Status& why, bool was_open) {
    *usable = false;
    if (was_open) {
      if (!why.ok()) {
        log_->Info("Connection to the server ended",
                   {{"server", options_.address}, {"reason", why}});
      }
      return;
    }
    bool late = why.code() == Code::kDeadlineExceeded;
    attempt->Finish(late ? Unavailable(why.message()) : why);
  };
  return connection;
}

}  // namespace

std::unique_ptr<TlsChannel> TlsChannel::Make(TlsClientOptions options, Clock* clock, Log* log) {
  KeepGrpcRunning();
  return std::make_unique<PumpedTlsChannel>(std::move(options), clock, log);
}

std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path) {
  KeepGrpcRunning();
  return grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
}

}  // namespace writ
