// SPDX-License-Identifier: Apache-2.0
#include "core/net/health.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/thread.h"
#include "core/net/grpc_server.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace writ {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;
using State = HealthCheckResponse::ServingStatus;

class Watcher;

// The open Watch calls, each kept alive until gRPC is done with it.
class Watchers {
 public:
  Status Add(std::shared_ptr<Watcher> watcher) EXCLUDES(mu_);
  void Remove(Watcher* watcher) EXCLUDES(mu_);
  // All of them; with `ended` also every later one is refused.
  std::vector<std::shared_ptr<Watcher>> All(const Status& ended = OkStatus()) EXCLUDES(mu_);

 private:
  Mutex mu_;
  Status ended_ GUARDED_BY(mu_);
  std::set<std::shared_ptr<Watcher>> open_ GUARDED_BY(mu_);
};

// One Watch call: at most one write in flight, the newest state follows it.
class Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(Watchers* watchers, bool known) : watchers_(watchers), known_(known) {}

  void Show(State daemon) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    wanted_ = known_ ? daemon : HealthCheckResponse::SERVICE_UNKNOWN;
    WriteLocked();
  }
  void End(const Status& status) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (ended_) return;
    ended_ = status;
    if (!writing_) Finish(ToGrpc(status));
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok && !ended_) ended_ = Cancelled("the caller has left");
    if (ended_) return Finish(ToGrpc(*ended_));
    WriteLocked();
  }
  void OnCancel() override { End(Cancelled("the caller has left")); }
  void OnDone() override { watchers_->Remove(this); }

 private:
  void WriteLocked() REQUIRES(mu_) {
    if (writing_ || ended_ || wanted_ == shown_) return;
    writing_ = true;
    shown_ = wanted_;
    response_.set_status(*shown_);
    StartWrite(&response_);
  }

  Watchers* const watchers_;
  const bool known_;
  Mutex mu_;
  std::optional<State> wanted_ GUARDED_BY(mu_), shown_ GUARDED_BY(mu_);
  bool writing_ GUARDED_BY(mu_) = false;
  std::optional<Status> ended_ GUARDED_BY(mu_);
  HealthCheckResponse response_ GUARDED_BY(mu_);  // what is being written
};

Status Watchers::Add(std::shared_ptr<Watcher> watcher) {
  MutexLock lock(mu_);
  const bool full = open_.size() >= kHealthWatchersMax;
  const Status status =
      full ? ResourceExhausted("too many calls watch the health already; call again later")
           : ended_;
  open_.insert(std::move(watcher));  // a refused call lives until gRPC is done with it, too
  return status;
}

void Watchers::Remove(Watcher* watcher) {
  std::shared_ptr<Watcher> last;  // destroyed after the lock
  MutexLock lock(mu_);
  const auto it = std::find_if(open_.begin(), open_.end(),
                               [watcher](const auto& open) { return open.get() == watcher; });
  CHECK(it != open_.end());
  last = *it;
  open_.erase(it);
}

std::vector<std::shared_ptr<Watcher>> Watchers::All(const Status& ended) {
  MutexLock lock(mu_);
  if (!ended.ok()) ended_ = ended;
  return {open_.begin(), open_.end()};
}

class ReadyHealth final : public HealthService, private Health::CallbackService {
 public:
  explicit ReadyHealth(HealthOptions options)
      : options_(std::move(options)),
        looker_("health", [this](std::stop_token stop) { Look(std::move(stop)); }) {}

  grpc::Service* service() override { return this; }
  void EndWatches() override {
    const Status ended = Unavailable("the daemon is stopping");
    for (const auto& watcher : watchers_.All(ended)) watcher->End(ended);
  }

 private:
  State Now() const {
    return options_.ready().ok() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }
  bool Knows(const std::string& service) const {
    return service.empty() || std::find(options_.services.begin(), options_.services.end(),
                                        service) != options_.services.end();
  }

  // Tells watchers of changes.
  void Look(std::stop_token stop) {
    while (options_.clock->WaitUntil(options_.clock->Monotonic() + kHealthLookEvery, stop)) {
      const auto watchers = watchers_.All();
      if (watchers.empty()) continue;
      const State state = Now();
      for (const auto& watcher : watchers) watcher->Show(state);
    }
  }

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const HealthCheckRequest* request,
                                  HealthCheckResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Knows(request->service())) {
      response->set_status(Now());
      reactor->Finish(grpc::Status::OK);
    } else {
      reactor->Finish(ToGrpc(NotFound("no such service here; ask with an empty name")));
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const HealthListRequest*,
                                 HealthListResponse* response) override {
    const State state = Now();
    (*response->mutable_statuses())[""].set_status(state);
    for (const std::string& service : options_.services) {
      (*response->mutable_statuses())[service].set_status(state);
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<HealthCheckResponse>* Watch(grpc::CallbackServerContext*,
                                                       const HealthCheckRequest* request) override {
    auto watcher = std::make_shared<Watcher>(&watchers_, Knows(request->service()));
    const Status admitted = watchers_.Add(watcher);
    if (admitted.ok()) {
      watcher->Show(Now());
    } else {
      watcher->End(admitted);
    }
    return watcher.get();
  }

  const HealthOptions options_;
  Watchers watchers_;  // its own lock
  Thread looker_;      // the last member: it uses the others
};

}  // namespace

std::unique_ptr<HealthService> HealthService::Make(HealthOptions options) {
  return std::make_unique<ReadyHealth>(std::move(options));
}

}  // namespace writ
