// SPDX-License-Identifier: Apache-2.0
//
// UpdateStream: one open FetchX509SVID, FetchX509Bundles or FetchJWTBundles call.
//
// Life: the process is attested on a worker, then the stream subscribes to the cache; at each
// notice it takes the newest update, composes the answer and writes it when it differs from the
// last one. At most one write is in flight, and what came meanwhile is found by the next look: a
// slow reader holds one answer, a stuck one too, and neither delays anybody else.
//
// A stream whose last identity went is not ended at once: operators swap entries by a deletion and
// a creation, and such a swap is none of the workload's business.
//
// Trust: the caller is hostile; it is asked for being the same process before each answer.
// Threads: gRPC's reactions, the delivery thread and a worker, all under one lock of the stream.
// Lifetime: owns itself until gRPC is done with it; what StreamSetting names outlives it.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/api/answers.h"
#include "agent/api/attesters.h"
#include "agent/api/caller_limit.h"
#include "agent/api/delivery.h"
#include "agent/api/refusals.h"
#include "agent/cache/cache.h"
#include "agent/workload/workload_attestation.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/net/grpc_server.h"

namespace writ {

// What every stream uses; all borrowed.
struct StreamSetting {
  Cache* cache;
  Attesters* attesters;
  Delivery* delivery;
  OpenStreams* streams;
  CallerLimit* limit;
  Refusals* refusals;
  Log* log;
  Duration swap_grace;  // how long a stream that had identities waits for another
};

// What makes one method's streams differ from another's.
template <typename Response>
struct StreamMethod {
  const char* name;
  Interest interest;
  // Null: nothing to say yet. `first`: nothing has been said yet.
  std::unique_ptr<Response> (*compose)(const WorkloadUpdate& update, bool first);
  bool for_all = false;  // also for callers without an identity
};

// The sentences of the Workload API, also for calls that are no streams.
Status NotSyncedYet();
// Who is refused what, and what was found of it.
struct RefusalNotice {
  const Caller* caller;
  const char* method;
  const Selectors* selectors;
  const std::vector<AttestorFailure>* failures;
  std::string_view asked_for = {};  // a SPIFFE ID; the caller has others
};
Status NoIdentityIssued(const RefusalNotice& notice, Refusals& refusals, Log& log);
// `failed`: how attestation ended. `failures`: of all attestors; none for a process that is gone.
Status NotIdentified(const Status& failed, const char* method, const Caller& caller,
                     const std::vector<AttestorFailure>& failures, Refusals& refusals);
Status CallerGone(const Caller& caller);

// A stream that is refused before it began.
template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  static grpc::ServerWriteReactor<Response>* Start(const Status& status) {
    auto stream = std::make_shared<RefusedStream>();
    stream->self_ = stream;
    stream->Finish(ToGrpc(status));
    return stream.get();
  }
  void OnDone() override { const auto last = std::move(self_); }

 private:
  std::shared_ptr<RefusedStream> self_;  // set before gRPC knows the stream, cleared by OnDone
};

template <typename Response>
class UpdateStream final : public grpc::ServerWriteReactor<Response>,
                           public Deliverable,
                           public std::enable_shared_from_this<UpdateStream<Response>> {
 public:
  using Method = StreamMethod<Response>;

  UpdateStream(const StreamSetting& setting, std::shared_ptr<const Caller> caller,
               const Method& method)
      : setting_(setting), caller_(std::move(caller)), method_(method) {}

  static grpc::ServerWriteReactor<Response>* Start(const StreamSetting& setting,
                                                   std::shared_ptr<const Caller> caller,
                                                   const Method& method) {
    auto stream = std::make_shared<UpdateStream>(setting, std::move(caller), method);
    const Result<uint64_t> number = setting.streams->Enter(stream->caller_->pid(), stream);
    if (!number.ok()) return RefusedStream<Response>::Start(number.status());
    stream->number_ = *number;
    stream->self_ = stream;
    setting.attesters->Attest(stream->caller_, stream->left_.get_token(),
                              Attesters::Where::kAnywhere,
                              [stream](const auto& selectors, const auto& failures) {
                                stream->Begin(selectors, failures);
                              });
    return stream.get();
  }

  void Deliver() override {
    MutexLock lock(mu_);
    DeliverLocked();
  }

  void End(const Status& status) override {
    MutexLock lock(mu_);
    EndLocked(status);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mu_);
    WipeKeys(*response_);
    response_.reset();
    writing_ = false;
    if (ended_) {
      this->Finish(ToGrpc(*ended_));
    } else if (!ok) {
      EndLocked(Cancelled("the caller has left"));
    } else {
      DeliverLocked();
    }
  }

  void OnCancel() override { End(Cancelled("the caller has left")); }

  void OnDone() override {
    setting_.streams->Leave(number_);
    const auto last = std::move(self_);
  }

 private:
  void Begin(const Result<Selectors>& selectors, const std::vector<AttestorFailure>& failures) {
    if (!selectors.ok()) {
      return End(NotIdentified(selectors.status(), method_.name, *caller_, failures,
                               *setting_.refusals));
    }
    const Status admitted = setting_.limit->Admit(method_.name, *caller_, *selectors);
    if (!admitted.ok()) return End(admitted);
    auto notify = [weak = this->weak_from_this(), delivery = setting_.delivery] {
      if (auto stream = weak.lock()) delivery->Schedule(std::move(stream));
    };
    auto subscription = setting_.cache->Subscribe(*selectors, method_.interest, std::move(notify));
    MutexLock lock(mu_);
    if (ended_) return;
    subscription_ = std::move(subscription);
    failures_ = failures;
    DeliverLocked();
  }

  // What came while the stream was writing, or not subscribed yet, is found by this look.
  void DeliverLocked() REQUIRES(mu_) {
    if (ended_ || writing_ || subscription_ == nullptr) return;
    const std::shared_ptr<const WorkloadUpdate> update = subscription_->Take();
    if (update == nullptr) return;
    switch (update->state) {
      case WorkloadUpdate::State::kNotSynced:
        return EndLocked(NotSyncedYet());
      case WorkloadUpdate::State::kNoIdentity:
        if (!method_.for_all) return AwaitSwapLocked();
        [[fallthrough]];
      case WorkloadUpdate::State::kPending:
      case WorkloadUpdate::State::kReady:
        swap_alarm_.reset();
        return WriteLocked(method_.compose(*update, last_fingerprint_.empty()));
    }
  }

  void WriteLocked(std::unique_ptr<Response> response) REQUIRES(mu_) {
    if (response == nullptr) return;
    std::string fingerprint = FingerprintOf(*response);
    if (fingerprint == last_fingerprint_) return WipeKeys(*response);
    if (!caller_->Alive()) {
      WipeKeys(*response);
      return EndLocked(CallerGone(*caller_));
    }
    last_fingerprint_ = std::move(fingerprint);
    response_ = std::move(response);
    writing_ = true;
    this->StartWrite(response_.get());
  }

  void AwaitSwapLocked() REQUIRES(mu_) {
    if (last_fingerprint_.empty() || setting_.swap_grace <= Duration::zero()) {
      return EndLocked(NoIdentityLocked());
    }
    const gpr_timespec grace = gpr_time_from_nanos(setting_.swap_grace.count(), GPR_TIMESPAN);
    swap_alarm_.emplace();
    swap_alarm_->Set(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), grace),
                     [weak = this->weak_from_this()](bool rang) {
                       auto stream = rang ? weak.lock() : nullptr;
                       if (stream != nullptr) stream->OnNoSwap();
                     });
  }

  void OnNoSwap() {
    MutexLock lock(mu_);
    if (!ended_ && swap_alarm_) EndLocked(NoIdentityLocked());
  }

  Status NoIdentityLocked() REQUIRES(mu_) {
    return NoIdentityIssued({caller_.get(), method_.name, &subscription_->selectors(), &failures_},
                            *setting_.refusals, *setting_.log);
  }

  void EndLocked(const Status& status) REQUIRES(mu_) {
    if (ended_) return;
    ended_ = status;
    left_.request_stop();
    subscription_.reset();
    if (!writing_) this->Finish(ToGrpc(status));
  }

  const StreamSetting& setting_;
  const std::shared_ptr<const Caller> caller_;
  const Method method_;
  uint64_t number_ = 0;                 // set before gRPC knows the stream
  std::shared_ptr<UpdateStream> self_;  // set before gRPC knows the stream, cleared by OnDone

  std::stop_source left_;  // its own lock; stops with the stream's end

  Mutex mu_;
  std::unique_ptr<Subscription> subscription_ GUARDED_BY(mu_);
  std::vector<AttestorFailure> failures_ GUARDED_BY(mu_);  // at the attestation
  std::unique_ptr<Response> response_ GUARDED_BY(mu_);  // what is being written
  bool writing_ GUARDED_BY(mu_) = false;
  std::optional<Status> ended_ GUARDED_BY(mu_);  // how; Finish() follows the write in flight
  std::string last_fingerprint_ GUARDED_BY(mu_);
  std::optional<grpc::Alarm> swap_alarm_ GUARDED_BY(mu_);  // set while no identity is left
};

}  // namespace writ
