// SPDX-License-Identifier: Apache-2.0
//
// Conversation: the logic of one bidirectional stream in which every request is answered by a
// number of responses before the next one is read. ConversationStream drives one over gRPC:
// authorization first, then its turn, then each step on a worker; at most one request and one
// response are held, so a slow reader costs nothing but its own time.
//
// Threads: a Conversation is used by one thread at a time. Lifetime: a stream owns itself until
// gRPC is done with it.
#pragma once

#include <google/protobuf/arena.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/api/front.h"

namespace writ {

template <class Request, class Response>
class Conversation {
 public:
  enum class Next {
    kRead,    // the request is answered: wait for another
    kSend,    // `response` is filled: send it, then ask again
    kFinish,  // the stream is over
  };

  virtual ~Conversation() = default;
  // How long the whole stream may take, once its turn has come; it is cancelled then.
  virtual Duration TimeLimit() const = 0;
  // A failure ends the stream.
  virtual Status OnRequest(Call& call, const Request& request) = 0;
  virtual Result<Next> Answer(Call& call, Response* response) = 0;
  // The client says that no more requests come: the stream's outcome.
  virtual Status OnRequestsDone() = 0;
};

template <class Request, class Response>
class ConversationStream final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  using Logic = Conversation<Request, Response>;

  static ConversationStream* Start(Front* front, const MethodRow* row,
                                   grpc::CallbackServerContext* context,
                                   std::unique_ptr<Logic> logic) {
    auto stream = std::make_shared<ConversationStream>(front, row, context, std::move(logic));
    stream->self_ = stream;
    stream->OnWorker([stream = stream.get()] { stream->Open(); });
    return stream.get();
  }

  ConversationStream(Front* front, const MethodRow* row, grpc::CallbackServerContext* context,
                     std::unique_ptr<Logic> logic)
      : front_(front),
        open_context_(context),
        passage_(front->Begin(row)),
        logic_(std::move(logic)),
        context_(context) {}

  void OnReadDone(bool ok) override {
    if (ok) {
      OnWorker([this] { Take(); });
    } else {
      OnWorker([this] { Finish(logic_->OnRequestsDone()); });
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      OnWorker([this] { Proceed(); });
    } else {
      OnWorker([this] { Finish(Cancelled("the client went away")); });
    }
  }

  void OnDone() override {
    {
      MutexLock lock(mu_);
      context_ = nullptr;
    }
    alarm_.Cancel();
    self_.reset();
  }

 private:
  // The alarm does not hold the stream: gRPC keeps what it calls for as long as the alarm lives.
  void SetAlarm() {
    gpr_timespec limit = gpr_time_from_nanos(logic_->TimeLimit().count(), GPR_TIMESPAN);
    auto ring = [weak = std::weak_ptr(self_)](bool rang) {
      const std::shared_ptr<ConversationStream> stream = rang ? weak.lock() : nullptr;
      if (stream == nullptr) return;
      MutexLock lock(stream->mu_);
      if (stream->context_ != nullptr) stream->context_->TryCancel();
    };
    alarm_.Set(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), limit), std::move(ring));
  }

  void OnWorker(std::function<void()> step) {
    if (!front_->Submit(std::move(step))) {
      grpc::ServerBidiReactor<Request, Response>::Finish(Front::Overloaded());
    }
  }

  void Open() {
    Status admitted = front_->Open(*open_context_, passage_);
    if (!admitted.ok()) return Finish(std::move(admitted));
    front_->Admit(*open_context_, passage_.call, /*items=*/1, [this](Status turn) {
      if (!turn.ok()) return Finish(std::move(turn));
      SetAlarm();
      this->StartRead(&request_);
    });
  }

  void Take() {
    Status taken = logic_->OnRequest(passage_.call, request_);
    if (!taken.ok()) return Finish(std::move(taken));
    Proceed();
  }

  void Proceed() {
    arena_.Reset();
    Response* response = google::protobuf::Arena::CreateMessage<Response>(&arena_);
    auto next = logic_->Answer(passage_.call, response);
    if (!next.ok()) return Finish(next.status());
    switch (*next) {
      case Logic::Next::kRead:
        return this->StartRead(&request_);
      case Logic::Next::kSend:
        return this->StartWrite(response);
      case Logic::Next::kFinish:
        return Finish(OkStatus());
    }
  }

  void Finish(Status outcome) {
    grpc::ServerBidiReactor<Request, Response>::Finish(front_->Close(passage_, std::move(outcome)));
  }

  Front* const front_;                                     // borrowed
  const grpc::CallbackServerContext* const open_context_;  // borrowed; for Open(), before OnDone()
  // One step at a time touches what follows: gRPC's operations order them.
  Front::Passage passage_;
  const std::unique_ptr<Logic> logic_;
  Request request_;
  google::protobuf::Arena arena_;             // holds the response, which may be of very many parts
  std::shared_ptr<ConversationStream> self_;  // until OnDone()

  Mutex mu_;
  grpc::CallbackServerContext* context_ GUARDED_BY(mu_);  // null after OnDone()
  grpc::Alarm alarm_;
};

}  // namespace writ
