// SPDX-License-Identifier: Apache-2.0
#include "server/api/notice_stream.h"

#include <algorithm>
#include <utility>

#include "server/api/convert.h"
#include "server/attest/agent_gate.h"

namespace writ {
namespace {

constexpr size_t kNoticeEntriesMax = 200;
constexpr size_t kNoticeBytesMax = 512 << 10;  // a single entry may be larger
// A message that is not read for so long is nobody's.
constexpr Duration kReadMayTake = std::chrono::minutes(2);

}  // namespace

NoticeStream* NoticeStream::Start(const NoticeStreamOptions& options, Front* front,
                                  const MethodRow* row, grpc::CallbackServerContext* context,
                                  uint64_t after) {
  auto stream = std::make_shared<NoticeStream>(options, front, row, context, after);
  stream->self_ = stream;
  if (!front->Submit([stream] { stream->Open(); })) stream->Finish(Front::Overloaded());
  return stream.get();
}

// ---- beginning ----------------------------------------------------------------------------------

void NoticeStream::Open() {
  Status opened = Follow();
  bool cancelled = false;
  {
    MutexLock lock(mu_);
    if (state_ == State::kFinished) return;
    state_ = State::kIdle;
    cancelled = cancelled_;
  }
  if (opened.ok() && !cancelled) return options_.sender->Wake(this);
  End(cancelled ? OkStatus() : std::move(opened));
}

Status NoticeStream::Follow() {
  TRY(front_->Open(*context_, passage_));
  feed_ = TRY(options_.api.feeds->Follow(
      passage_.call.Agent(), after_,
      [sender = options_.sender, stream = this] { sender->Wake(stream); }));
  if (options_.sender->Add(self_)) return OkStatus();
  return Unavailable("the server is stopping");
}

// ---- sending ------------------------------------------------------------------------------------

MonoTime NoticeStream::Step() {
  const MonoTime now = options_.api.clock->Monotonic();
  {
    MutexLock lock(mu_);
    if (state_ == State::kWriting) return WaitForWrite(now);
    if (state_ != State::kIdle) return MonoTime::max();
  }
  Status allowed =
      options_.api.authorization->Check(*passage_.call.row, passage_.call.caller);
  if (!allowed.ok()) {
    // An agent that attests anew, as x509pop renews, has another SVID by now: nobody has failed.
    const bool is_superseded = allowed.reason() == static_cast<int>(AgentDenial::kNotActive);
    End(is_superseded ? Cancelled("the agent has a newer X509-SVID: follow with that one")
                      : std::move(allowed));
    return MonoTime::max();
  }
  const Time wall = options_.api.clock->Now();
  notice_.Clear();
  const bool news = Fill(wall);
  if (!news && now < send_at_) return std::min(send_at_, NextEnd(now, wall));
  notice_.set_sequence(sequence_);
  send_at_ = now + kNoticeEvery;
  Write(now);
  // Looked at again whether it has been read by then or not.
  return std::min({send_at_, NextEnd(now, wall), now + kReadMayTake});
}

MonoTime NoticeStream::NextEnd(MonoTime now, Time wall) const {
  return told_.again_at == Time::max() ? MonoTime::max() : now + (told_.again_at - wall);
}

MonoTime NoticeStream::WaitForWrite(MonoTime now) {
  again_ = true;
  const MonoTime until = writing_since_ + kReadMayTake;
  if (now < until) return until;
  context_->TryCancel();
  return MonoTime::max();
}

// Whether there is something to tell. What does not fit is left in told_.
bool NoticeStream::Fill(Time wall) {
  if (told_.put.empty()) told_ = feed_->Take(wall, kNoticeEntriesMax);
  if (told_.bundle_change != 0) {
    Result<std::shared_ptr<const types::Bundle>> bundle =
        options_.sender->BundleAfter(std::exchange(told_.bundle_change, 0));
    if (bundle.ok()) {
      *notice_.mutable_bundle() = **bundle;
    } else {
      told_ = Told{.sequence = told_.sequence, .resync = true, .again_at = told_.again_at};
    }
  }
  if (std::exchange(told_.resync, false)) {
    options_.resyncs->Add();
    notice_.set_resync(true);
  }
  FillEntries();
  if (told_.put.empty()) sequence_ = told_.sequence;
  return notice_.resync() || notice_.has_bundle() || !notice_.entries().empty() ||
         !notice_.gone_entry_ids().empty();
}

void NoticeStream::FillEntries() {
  for (std::string& id : told_.gone) notice_.add_gone_entry_ids(std::move(id));
  told_.gone.clear();
  for (size_t bytes = 0; !told_.put.empty() && bytes < kNoticeBytesMax; told_.put.pop_back()) {
    types::Entry* entry = notice_.add_entries();
    ToProto(told_.put.back(), nullptr, entry);
    bytes += entry->ByteSizeLong();
  }
}

void NoticeStream::Write(MonoTime now) {
  MutexLock lock(mu_);
  if (state_ != State::kIdle) return;
  state_ = State::kWriting;
  writing_since_ = now;
  again_ = told_.more || !told_.put.empty();
  options_.sent->Add();
  StartWrite(&notice_);
}

void NoticeStream::OnWriteDone(bool ok) {
  bool again = false;
  {
    MutexLock lock(mu_);
    if (state_ == State::kFinished) return;
    state_ = State::kIdle;
    again = std::exchange(again_, false);
  }
  if (!ok) return End(OkStatus());
  if (again) options_.sender->Wake(this);
}

// ---- the end ------------------------------------------------------------------------------------

void NoticeStream::End(Status outcome) {
  {
    MutexLock lock(mu_);
    if (state_ == State::kFinished) return;
    state_ = State::kFinished;
  }
  Finish(front_->Close(passage_, std::move(outcome)));
}

void NoticeStream::OnCancel() {
  {
    MutexLock lock(mu_);
    cancelled_ = true;
    if (state_ == State::kOpening) return;  // Open() ends it
  }
  End(OkStatus());
}

void NoticeStream::OnDone() {
  options_.sender->Remove(this);
  self_.reset();
}

}  // namespace writ
