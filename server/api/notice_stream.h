// SPDX-License-Identifier: Apache-2.0
//
// NoticeStream: one agent's stream of notices over gRPC.
//
// Threads: Step() by the sender's thread alone; gRPC's threads and a worker report in. Lifetime:
// owns itself until gRPC is done with it, and whoever holds it beyond.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/net/metrics.h"
#include "server/api/front.h"
#include "server/api/notices_api.h"
#include "spire/api/types/bundle.pb.h"

namespace writ {

class NoticeStream;

// Who sends for all streams.
class NoticeSender {
 public:
  virtual ~NoticeSender() = default;
  // False when no more streams are taken.
  virtual bool Add(std::shared_ptr<NoticeStream> stream) = 0;
  // Step() is to be called soon. One that is not there (any more) is no matter.
  virtual void Wake(const NoticeStream* stream) = 0;
  virtual void Remove(const NoticeStream* stream) = 0;
  // The bundle as it is after this change, or later. By the sender's thread.
  virtual Result<std::shared_ptr<const spire::api::types::Bundle>> BundleAfter(uint64_t change) = 0;
};

struct NoticeStreamOptions {
  NoticesOptions api;
  NoticeSender* sender;  // borrowed, as are the counters
  Counter* sent;
  Counter* resyncs;
};

class NoticeStream final : public grpc::ServerWriteReactor<notices_pb::Notice> {
 public:
  static NoticeStream* Start(const NoticeStreamOptions& options, Front* front,
                             const MethodRow* row, grpc::CallbackServerContext* context,
                             uint64_t after);
  NoticeStream(const NoticeStreamOptions& options, Front* front, const MethodRow* row,
               grpc::CallbackServerContext* context, uint64_t after)
      : options_(options),
        front_(front),
        after_(after),
        passage_(front->Begin(row)),
        context_(context) {}

  // Sends what there is to send. When to call again without being woken.
  MonoTime Step() EXCLUDES(mu_);
  // Ends the stream unless it has ended.
  void End(Status outcome) EXCLUDES(mu_);

  void OnWriteDone(bool ok) override EXCLUDES(mu_);
  void OnCancel() override EXCLUDES(mu_);
  void OnDone() override;

 private:
  enum class State {
    kOpening,    // a worker authorizes it
    kIdle,
    kWriting,
    kFinished,   // Finish() was called, or is being
  };

  void Open() EXCLUDES(mu_);
  Status Follow();
  bool Fill(Time wall);
  void FillEntries();
  void Write(MonoTime now) EXCLUDES(mu_);
  MonoTime WaitForWrite(MonoTime now) REQUIRES(mu_);
  MonoTime NextEnd(MonoTime now, Time wall) const;

  const NoticeStreamOptions options_;  // constant after construction
  Front* const front_;                 // borrowed
  const uint64_t after_;
  std::shared_ptr<NoticeStream> self_;  // until OnDone()

  // Of the worker that opens it, then of the sender's thread; the passage in the end of whoever
  // finishes the stream.
  Front::Passage passage_;
  std::unique_ptr<AgentFeed> feed_;
  Told told_;              // what of it was not put into a message yet
  uint64_t sequence_ = 0;  // that was sent, or is being
  notices_pb::Notice notice_;
  MonoTime send_at_{};     // even without news

  Mutex mu_;
  grpc::CallbackServerContext* const context_;  // valid until kFinished
  State state_ GUARDED_BY(mu_) = State::kOpening;
  bool again_ GUARDED_BY(mu_) = false;      // there may be more once the write is done
  bool cancelled_ GUARDED_BY(mu_) = false;  // while it opened
  MonoTime writing_since_ GUARDED_BY(mu_);
};

}  // namespace writ
