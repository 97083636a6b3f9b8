// SPDX-License-Identifier: Apache-2.0
#include "server/api/notices_api.h"

#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/thread.h"
#include "server/api/convert.h"
#include "server/api/notice_stream.h"

namespace writ {
namespace {

class SenderThread final : public NoticesApi, public NoticeSender {
 public:
  explicit SenderThread(NoticesOptions options)
      : options_(std::move(options)),
        open_(options_.metrics->GetGauge("notice_streams", "Agents that follow the changes.")),
        stream_options_{.api = options_,
                        .sender = this,
                        .sent = options_.metrics->GetCounter("notices_total",
                                                             "Messages to agents that follow."),
                        .resyncs = options_.metrics->GetCounter(
                            "notice_resyncs_total",
                            "Agents that were told to fetch everything.")},
        thread_("notices", [this](std::stop_token stop) { Run(stop); }) {}

  grpc::ServerWriteReactor<notices_pb::Notice>* Follow(
      Front* front, const MethodRow* row, grpc::CallbackServerContext* context,
      const notices_pb::FollowRequest& request) override {
    return NoticeStream::Start(stream_options_, front, row, context, request.after());
  }
  void EndStreams() override EXCLUDES(mu_);

  bool Add(std::shared_ptr<NoticeStream> stream) override EXCLUDES(mu_);
  void Wake(const NoticeStream* stream) override EXCLUDES(mu_);
  void Remove(const NoticeStream* stream) override EXCLUDES(mu_);
  Result<std::shared_ptr<const types::Bundle>> BundleAfter(uint64_t change) override;

 private:
  struct Slot {
    std::shared_ptr<NoticeStream> stream;
    bool woken = false;
    MonoTime due = MonoTime::max();  // as in due_
  };
  using Ready = std::vector<std::shared_ptr<NoticeStream>>;

  void Run(const std::stop_token& stop);
  Ready TakeReady(MonoTime now) EXCLUDES(mu_);
  void SetDue(const NoticeStream* stream, MonoTime due) EXCLUDES(mu_);
  MonoTime FirstDue() EXCLUDES(mu_);

  const NoticesOptions options_;  // constant after construction, as are the next
  Gauge* const open_;
  const NoticeStreamOptions stream_options_;
  // Used by the thread alone: the bundle that was read last, and which change it is current with.
  uint64_t bundle_change_ = 0;
  std::shared_ptr<const types::Bundle> bundle_;

  Mutex mu_;
  writ::Wake wake_;
  bool ending_ GUARDED_BY(mu_) = false;
  std::map<const NoticeStream*, Slot> slots_ GUARDED_BY(mu_);
  std::deque<const NoticeStream*> woken_ GUARDED_BY(mu_);
  std::set<std::pair<MonoTime, const NoticeStream*>> due_ GUARDED_BY(mu_);
  Thread thread_;  // the last: it uses all of the above
};

// ---- the streams --------------------------------------------------------------------------------

bool SenderThread::Add(std::shared_ptr<NoticeStream> stream) {
  MutexLock lock(mu_);
  if (ending_) return false;
  const NoticeStream* key = stream.get();
  slots_.emplace(key, Slot{.stream = std::move(stream)});
  open_->Set(static_cast<double>(slots_.size()));
  return true;
}

void SenderThread::Wake(const NoticeStream* stream) {
  {
    MutexLock lock(mu_);
    auto at = slots_.find(stream);
    if (at == slots_.end() || std::exchange(at->second.woken, true)) return;
    woken_.push_back(stream);
  }
  wake_.Notify();
}

void SenderThread::Remove(const NoticeStream* stream) {
  std::shared_ptr<NoticeStream> last;  // let go of without the lock
  MutexLock lock(mu_);
  auto at = slots_.find(stream);
  if (at == slots_.end()) return;
  due_.erase({at->second.due, stream});
  last = std::move(at->second.stream);
  slots_.erase(at);
  open_->Set(static_cast<double>(slots_.size()));
}

void SenderThread::EndStreams() {
  Ready all;
  {
    MutexLock lock(mu_);
    ending_ = true;
    for (const auto& [key, slot] : slots_) all.push_back(slot.stream);
  }
  for (const std::shared_ptr<NoticeStream>& stream : all) stream->End(OkStatus());
}

// ---- the thread ---------------------------------------------------------------------------------

void SenderThread::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    for (const std::shared_ptr<NoticeStream>& stream : TakeReady(options_.clock->Monotonic())) {
      SetDue(stream.get(), stream->Step());
    }
    options_.clock->WaitUntil(FirstDue(), wake_, stop);
  }
}

SenderThread::Ready SenderThread::TakeReady(MonoTime now) {
  MutexLock lock(mu_);
  Ready ready;
  while (!due_.empty() && due_.begin()->first <= now) {
    const NoticeStream* stream = due_.begin()->second;
    due_.erase(due_.begin());
    Slot& slot = slots_.at(stream);
    slot.due = MonoTime::max();
    if (!std::exchange(slot.woken, true)) woken_.push_back(stream);
  }
  for (const NoticeStream* stream : std::exchange(woken_, {})) {
    auto at = slots_.find(stream);
    if (at == slots_.end()) continue;
    at->second.woken = false;
    ready.push_back(at->second.stream);
  }
  return ready;
}

void SenderThread::SetDue(const NoticeStream* stream, MonoTime due) {
  MutexLock lock(mu_);
  auto at = slots_.find(stream);
  if (at == slots_.end()) return;
  due_.erase({at->second.due, stream});
  at->second.due = due;
  if (due != MonoTime::max()) due_.emplace(due, stream);
}

// Now, when a stream was woken meanwhile.
MonoTime SenderThread::FirstDue() {
  MutexLock lock(mu_);
  if (!woken_.empty()) return MonoTime::min();
  return due_.empty() ? MonoTime::max() : due_.begin()->first;
}

Result<std::shared_ptr<const types::Bundle>> SenderThread::BundleAfter(uint64_t change) {
  if (bundle_ == nullptr || bundle_change_ < change) {
    Bundle read = TRY(options_.bundles->Get(options_.trust_domain), "read the bundle");
    auto proto = std::make_shared<types::Bundle>();
    ToProto(read, nullptr, proto.get());
    bundle_ = std::move(proto);
    bundle_change_ = change;
  }
  return bundle_;
}

}  // namespace

std::unique_ptr<NoticesApi> NoticesApi::Make(NoticesOptions options) {
  return std::make_unique<SenderThread>(std::move(options));
}

}  // namespace writ
