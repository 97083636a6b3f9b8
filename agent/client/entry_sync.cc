// SPDX-License-Identifier: Apache-2.0
#include "agent/client/entry_sync.h"

#include <algorithm>
#include <set>

#include "agent/client/convert.h"
#include "core/base/bytes.h"

namespace writ {
namespace {

using spire::api::server::entry::v1::EntryRevision;
using spire::api::server::entry::v1::SyncAuthorizedEntriesRequest;
using spire::api::server::entry::v1::SyncAuthorizedEntriesResponse;

class Conversation {
 public:
  Conversation(EntryStream& stream, const EntryVersions& held, const TrustDomain& td, Log& log)
      : stream_(stream), held_(held), td_(td), log_(log) {}

  Result<EntryChanges> Run() {
    SyncAuthorizedEntriesRequest first;
    SetMask(*first.mutable_output_mask());
    TRY(Send(first));
    SyncAuthorizedEntriesResponse answer = TRY(Receive());
    if (answer.entry_revisions().empty()) {
      TRY(TakeEntries(answer));
    } else {
      TRY(TakePages(std::move(answer)));
    }
    for (const auto& [id, version] : held_) {
      if (!seen_.contains(id)) changes_.removed.push_back(id);
    }
    return std::move(changes_);
  }

 private:
  static void SetMask(spire::api::types::EntryMask& mask) {
    mask.set_spiffe_id(true);
    mask.set_parent_id(true);
    mask.set_selectors(true);
    mask.set_federates_with(true);
    mask.set_admin(true);
    mask.set_downstream(true);
    mask.set_expires_at(true);
    mask.set_revision_number(true);
    mask.set_store_svid(true);
    mask.set_hint(true);
    mask.set_created_at(true);
    mask.set_additional_attributes(true);
  }

  Status Send(const SyncAuthorizedEntriesRequest& request) {
    if (stream_.Write(request)) return OkStatus();
    return Unavailable("the stream ended while a request was sent");
  }
  Result<SyncAuthorizedEntriesResponse> Receive() {
    SyncAuthorizedEntriesResponse response;
    if (!stream_.Read(&response)) return Unavailable("the stream ended before its last page");
    return response;
  }

  bool IsStale(const std::string& id, int64_t revision, int64_t created_at) const {
    auto at = held_.find(id);
    if (at == held_.end() || at->second.revision != revision) return true;
    // Old servers do not send it with a revision.
    return created_at != 0 && at->second.created_at != created_at;
  }

  Status MarkSeen(const std::string& id) {
    seen_.insert(id);
    if (seen_.size() <= kEntriesMax) return OkStatus();
    return ResourceExhausted("the server sent more than " + std::to_string(kEntriesMax) +
                             " entries for one agent");
  }

  Status TakeEntries(const SyncAuthorizedEntriesResponse& answer) {
    for (const auto& proto : answer.entries()) {
      Result<Entry> entry = EntryFromProto(proto, td_);
      if (!entry.ok()) {
        log_.Warn("The server sent a malformed entry; it is left out",
                  {{"entry_id", Printable(proto.id())}, {"error", entry.status()}});
        continue;
      }
      if (seen_.contains(entry->id) && !wanted_.contains(entry->id)) continue;  // sent twice
      TRY(MarkSeen(entry->id));
      wanted_.erase(entry->id);
      if (IsStale(entry->id, entry->revision, entry->created_at)) {
        changes_.put.push_back(std::move(entry).value());
      }
    }
    return OkStatus();
  }

  Status TakeRevisions(const SyncAuthorizedEntriesResponse& answer) {
    if (!answer.entries().empty()) return Internal("entries came among the pages of revisions");
    if (answer.entry_revisions().empty() && answer.more()) {
      return Internal("an empty page of revisions came, with more to follow");
    }
    for (const EntryRevision& revision : answer.entry_revisions()) {
      if (!ValidateEntryId(revision.id()).ok() || revision.revision_number() < 0) {
        log_.Warn("The server sent a malformed entry revision; it is left out",
                  {{"entry_id", Printable(revision.id())}});
        continue;
      }
      TRY(MarkSeen(revision.id()));
      if (IsStale(revision.id(), revision.revision_number(), revision.created_at())) {
        wanted_.insert(revision.id());
      }
    }
    return OkStatus();
  }

  Status TakePages(SyncAuthorizedEntriesResponse page) {
    const size_t page_size = page.entry_revisions_size();
    TRY(TakeRevisions(page));
    while (page.more()) {
      page = TRY(Receive());
      TRY(TakeRevisions(page));
    }
    const std::vector<std::string> ids(wanted_.begin(), wanted_.end());
    for (size_t from = 0; from < ids.size(); from += page_size) {
      size_t to = std::min(ids.size(), from + page_size);
      SyncAuthorizedEntriesRequest request;
      request.mutable_ids()->Assign(ids.begin() + from, ids.begin() + to);
      TRY(Send(request));
      TRY(ReceiveEntries());
    }
    // What was asked for and did not come has gone since its revision was sent, or is malformed.
    for (const std::string& id : wanted_) seen_.erase(id);
    return OkStatus();
  }

  Status ReceiveEntries() {
    while (true) {
      SyncAuthorizedEntriesResponse answer = TRY(Receive());
      if (!answer.entry_revisions().empty()) {
        return Internal("revisions came where entries were asked for");
      }
      if (answer.entries().empty() && answer.more()) {
        return Internal("an empty page of entries came, with more to follow");
      }
      TRY(TakeEntries(answer));
      if (!answer.more()) return OkStatus();
    }
  }

  EntryStream& stream_;
  const EntryVersions& held_;
  const TrustDomain& td_;
  Log& log_;
  EntryChanges changes_;
  std::set<std::string> seen_;    // IDs that the agent is authorized for
  std::set<std::string> wanted_;  // of these, whose entries have yet to come
};

}  // namespace

Result<EntryChanges> SyncEntryStream(EntryStream& stream, const EntryVersions& held,
                                     const TrustDomain& td, Log& log) {
  return Conversation(stream, held, td, log).Run();
}

}  // namespace writ
