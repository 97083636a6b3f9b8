// SPDX-License-Identifier: Apache-2.0
#include "agent/client/notices.h"

#include <utility>

#include "agent/client/convert.h"
#include "core/base/bytes.h"

namespace writ {
namespace {

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
    Result<Bundle> bundle = BundleFromProto(proto.bundle(), td);
    if (!bundle.ok()) return Internal(bundle.status().message()).Annotate("the server's bundle");
    notice.bundle = std::make_shared<const Bundle>(std::move(*bundle));
  }
  return notice;
}

}  // namespace

Status ReadNotices(grpc::ClientReaderInterface<writ::v1::Notice>& stream, const TrustDomain& td,
                   Log& log, const std::function<void(Notice)>& on_notice) {
  writ::v1::Notice proto;
  while (stream.Read(&proto)) on_notice(TRY(NoticeFromProto(proto, td, log)));
  return OkStatus();
}

}  // namespace writ
