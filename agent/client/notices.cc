// SPDX-License-Identifier: Apache-2.0
#include "agent/client/notices.h"

#include <optional>
#include <utility>
#include <vector>

#include "agent/client/convert.h"
#include "agent/client/grpc_calls.h"
#include "core/base/bytes.h"
#include "core/base/mutex.h"

namespace writ {
namespace {

// One stream, read message by message at the pace of the thread that waits. Lives until gRPC is
// done with it.
class Stream final : public grpc::ClientReadReactor<writ::v1::Notice> {
 public:
  Stream(const NoticesCall& call, uint64_t after)
      : context_(call.context), server_(writ::v1::Notices::NewStub(call.channel)) {
    request_.set_after(after);
  }
  static std::shared_ptr<Stream> Start(const NoticesCall& call, uint64_t after) {
    auto stream = std::make_shared<Stream>(call, after);
    stream->self_ = stream;
    stream->server_->async()->Follow(stream->context_.get(), &stream->request_, stream.get());
    stream->StartRead(&stream->notice_);
    stream->StartCall();
    return stream;
  }

  // Null at the end of the stream. What it gives is there until Next().
  const writ::v1::Notice* Await() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (!read_ && !is_over_) changed_.Wait(mu_);
    return read_ && *read_ ? &notice_ : nullptr;
  }
  void Next() EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      read_.reset();
    }
    StartRead(&notice_);
  }
  // The last thing to be called.
  grpc::Status Finish() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (!ended_ && !is_over_) changed_.Wait(mu_);
    return ended_.value_or(grpc::Status(grpc::CANCELLED, "its connection has ended"));
  }
  void LeaveBehind() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    is_over_ = true;
    changed_.NotifyAll();
  }

  void OnReadDone(bool ok) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    read_ = ok;
    changed_.NotifyAll();
  }
  void OnDone(const grpc::Status& status) override EXCLUDES(mu_) {
    const auto last = std::move(self_);
    MutexLock lock(mu_);
    ended_ = status;
    changed_.NotifyAll();
  }

 private:
  const std::shared_ptr<grpc::ClientContext> context_;
  const std::unique_ptr<writ::v1::Notices::Stub> server_;
  std::shared_ptr<Stream> self_;  // set before gRPC knows the stream, cleared by OnDone
  writ::v1::FollowRequest request_;
  writ::v1::Notice notice_;  // gRPC's while a read runs
  Mutex mu_;
  CondVar changed_;
  std::optional<bool> read_ GUARDED_BY(mu_);  // whether the read brought a message; none: it runs
  std::optional<grpc::Status> ended_ GUARDED_BY(mu_);
  bool is_over_ GUARDED_BY(mu_) = false;  // and nobody waits any more
};

Status ReadAll(Stream& stream, const TrustDomain& td, Log& log,
               const std::function<void(Notice)>& on_notice) {
  while (const writ::v1::Notice* proto = stream.Await()) {
    on_notice(TRY(NoticeFromProto(*proto, td, log)));
    stream.Next();
  }
  return OkStatus();
}

}  // namespace

void WarnOfAuthority(const std::string& why, Log& log) {
  log.Warn("The server's bundle has an authority that cannot be used; it is left out",
           {{"reason", why}});
}

Result<Notice> NoticeFromProto(const writ::v1::Notice& proto, const TrustDomain& td, Log& log) {
  Notice notice{.sequence = proto.sequence(), .resync = proto.resync()};
  for (const auto& sent : proto.entries()) {
    Result<Entry> entry = EntryFromProto(sent, td);
    if (entry.ok()) {
      notice.changes.put.emplace_back(*entry);
      continue;
    }
    log.Warn("The server sent a malformed entry; it is left out",
             {{"entry_id", Printable(sent.id())}, {"error", entry.status()}});
    if (ValidateEntryId(sent.id()).ok()) notice.changes.removed.push_back(sent.id());
  }
  for (const std::string& id : proto.gone_entry_ids()) {
    if (ValidateEntryId(id).ok()) notice.changes.removed.push_back(id);
  }
  if (proto.has_bundle()) {
    std::vector<std::string> left_out;
    Result<Bundle> bundle = BundleFromProto(proto.bundle(), td, &left_out);
    for (const std::string& why : left_out) WarnOfAuthority(why, log);
    if (!bundle.ok()) return Internal(bundle.status().message()).Annotate("the server's bundle");
    notice.bundle = std::make_shared<const Bundle>(std::move(*bundle));
  }
  return notice;
}

Status FollowNotices(const NoticesCall& call, uint64_t after, const TrustDomain& td, Log& log,
                     const std::function<void(Notice)>& on_notice) {
  const std::shared_ptr<Stream> stream = Stream::Start(call, after);
  std::stop_callback on_over(call.over, [&stream] { stream->LeaveBehind(); });
  const Status read = ReadAll(*stream, td, log, on_notice);
  if (!read.ok()) call.context->TryCancel();
  const grpc::Status ended = stream->Finish();
  return read.ok() ? FromServer(ended) : read;
}

}  // namespace writ
