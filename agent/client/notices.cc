// SPDX-License-Identifier: Apache-2.0
#include "agent/client/notices.h"

#include <optional>
#include <utility>
#include <vector>

#include "agent/client/convert.h"
#include "agent/client/grpc_calls.h"
#include "core/base/mutex.h"

namespace writ {
namespace {

// One stream, read message by message at the pace of the thread that waits. Lives until gRPC is
// done with it.
class Stream final : public grpc::ClientReadReactor<writ::v1::Notice> {
 public:
  Stream(writ::v1::Notices::Stub& server, grpc::ClientContext& context, uint64_t after) {
    request_.set_after(after);
    server.async()->Follow(&context, &request_, this);
    AddHold();  // reads are begun outside of gRPC's callbacks: without it the call may be gone then
    StartRead(&notice_);
    StartCall();
  }

  // Null at the end of the stream. What it gives is there until Next().
  const writ::v1::Notice* Await() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (!read_) changed_.Wait(mu_);
    return *read_ ? &notice_ : nullptr;
  }
  void Next() EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      read_.reset();
    }
    StartRead(&notice_);
  }
  // The last thing to be called: gRPC is done with this after it.
  grpc::Status Finish() EXCLUDES(mu_) {
    RemoveHold();
    MutexLock lock(mu_);
    while (!ended_) changed_.Wait(mu_);
    return *ended_;
  }

  void OnReadDone(bool ok) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    read_ = ok;
    changed_.NotifyAll();
  }
  void OnDone(const grpc::Status& status) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    ended_ = status;
    changed_.NotifyAll();  // under the lock: the waiter may take this away once it knows
  }

 private:
  writ::v1::FollowRequest request_;
  writ::v1::Notice notice_;  // gRPC's while a read runs
  Mutex mu_;
  CondVar changed_;
  std::optional<bool> read_ GUARDED_BY(mu_);  // whether the read brought a message; none: it runs
  std::optional<grpc::Status> ended_ GUARDED_BY(mu_);
};

Status ReadAll(Stream& stream, const TrustDomain& td, ServerFaults& faults,
               const std::function<void(Notice)>& on_notice) {
  while (const writ::v1::Notice* proto = stream.Await()) {
    on_notice(TRY(NoticeFromProto(*proto, td, faults)));
    stream.Next();
  }
  return OkStatus();
}

}  // namespace

Result<Notice> NoticeFromProto(const writ::v1::Notice& proto, const TrustDomain& td,
                               ServerFaults& faults) {
  Notice notice{.sequence = proto.sequence(), .resync = proto.resync()};
  MalformedEntries malformed;
  for (const auto& sent : proto.entries()) {
    Result<Entry> entry = EntryFromProto(sent, td);
    if (entry.ok()) {
      notice.changes.put.emplace_back(*entry);
      continue;
    }
    malformed.Add(sent.id(), entry.status());
    if (ValidateEntryId(sent.id()).ok()) notice.changes.removed.push_back(sent.id());
  }
  faults.Tell(malformed);
  for (const std::string& id : proto.gone_entry_ids()) {
    if (ValidateEntryId(id).ok()) notice.changes.removed.push_back(id);
  }
  if (proto.has_bundle()) {
    std::vector<std::string> left_out;
    Result<Bundle> bundle = BundleFromProto(proto.bundle(), td, &left_out);
    if (!bundle.ok()) return Internal(bundle.status().message()).Annotate("the server's bundle");
    faults.TellAuthorities(std::move(left_out));
    notice.bundle = std::make_shared<const Bundle>(std::move(*bundle));
  }
  return notice;
}

Status FollowNotices(writ::v1::Notices::Stub& server, grpc::ClientContext& context, uint64_t after,
                     const TrustDomain& td, ServerFaults& faults,
                     const std::function<void(Notice)>& on_notice) {
  Stream stream(server, context, after);
  const Status read = ReadAll(stream, td, faults, on_notice);
  if (!read.ok()) context.TryCancel();
  const grpc::Status ended = stream.Finish();
  return read.ok() ? FromServer(ended) : read;
}

}  // namespace writ
