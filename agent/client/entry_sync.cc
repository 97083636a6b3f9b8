// SPDX-License-Identifier: Apache-2.0
#include "agent/client/entry_sync.h"

#include <algorithm>
#include <deque>
#include <string_view>

#include "agent/client/convert.h"

namespace writ {
namespace {

using spire::api::server::entry::v1::EntryRevision;
using spire::api::server::entry::v1::SyncAuthorizedEntriesRequest;
using spire::api::server::entry::v1::SyncAuthorizedEntriesResponse;

class Conversation {
 public:
  Conversation(EntryStream& stream, const HeldEntries& held, const TrustDomain& td,
               MalformedEntries& malformed)
      : stream_(stream), held_(held), td_(td), malformed_(malformed) {}

  Result<EntryChanges> Run() {
    SyncAuthorizedEntriesRequest first;
    SetMask(*first.mutable_output_mask());
    TRY(Send(first));
    TRY(Receive());
    if (answer_.entry_revisions().empty()) {
      TRY(TakeAllEntries());
    } else {
      TRY(TakePages());
    }
    SortPut();
    CollectRemoved();
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
  Status Receive() {
    if (stream_.Read(&answer_)) return OkStatus();
    return Unavailable("the stream ended before its last page");
  }

  // What is held of this entry and is not stale; null: nothing.
  const PackedEntry* Fresh(const std::string& id, int64_t revision, int64_t created_at) const {
    const PackedEntry* held = held_.Find(id);
    if (held == nullptr || held->revision() != revision) return nullptr;
    // Old servers do not send it with a revision.
    return created_at == 0 || held->created_at() == created_at ? held : nullptr;
  }

  static Status Count(size_t& told) {
    if (++told <= kEntriesMax) return OkStatus();
    return ResourceExhausted("the server sent more than " + std::to_string(kEntriesMax) +
                             " entries for one agent");
  }

  // From the answer that is there to the last of them.
  Status TakeAllEntries() {
    TRY(TakeEntries());
    while (answer_.more()) {
      TRY(Receive());
      TRY(TakeEntries());
    }
    return OkStatus();
  }

  Status TakeEntries() {
    if (!answer_.entry_revisions().empty()) {
      return Internal("revisions came where entries were asked for");
    }
    if (answer_.entries().empty() && answer_.more()) {
      return Internal("an empty page of entries came, with more to follow");
    }
    for (const auto& proto : answer_.entries()) {
      TRY(Count(entries_told_));
      Result<Entry> entry = EntryFromProto(proto, td_);
      if (!entry.ok()) {
        malformed_.Add(proto.id(), entry.status());
        continue;
      }
      if (const PackedEntry* held = Fresh(entry->id, entry->revision, entry->created_at)) {
        kept_.push_back(held);
      } else {
        changes_.put.emplace_back(*entry);
      }
    }
    return OkStatus();
  }

  Status TakeRevisions(size_t page_size) {
    if (!answer_.entries().empty()) return Internal("entries came among the pages of revisions");
    if (answer_.entry_revisions().empty() && answer_.more()) {
      return Internal("an empty page of revisions came, with more to follow");
    }
    for (const EntryRevision& revision : answer_.entry_revisions()) {
      TRY(Count(revisions_told_));
      const std::string& id = revision.id();
      if (!ValidateEntryId(id).ok() || revision.revision_number() < 0) {
        malformed_.Add(id, InvalidArgument("its ID or revision number cannot be"));
        continue;
      }
      const int64_t number = revision.revision_number();
      if (const PackedEntry* held = Fresh(id, number, revision.created_at())) {
        kept_.push_back(held);
      } else {
        Want(id, page_size);
      }
    }
    return OkStatus();
  }

  void Want(const std::string& id, size_t page_size) {
    if (wanted_.empty() || wanted_.back().count == page_size) wanted_.emplace_back();
    wanted_.back().ids += id;
    wanted_.back().ids += kAfterId;
    ++wanted_.back().count;
  }

  Status TakePages() {
    const size_t page_size = answer_.entry_revisions_size();
    TRY(TakeRevisions(page_size));
    while (answer_.more()) {
      TRY(Receive());
      TRY(TakeRevisions(page_size));
    }
    SyncAuthorizedEntriesRequest request;
    for (; !wanted_.empty(); wanted_.pop_front()) {
      request.clear_ids();
      const std::string_view ids = wanted_.front().ids;
      for (size_t at = 0, end = 0; at < ids.size(); at = end + 1) {
        end = ids.find(kAfterId, at);
        request.add_ids(ids.data() + at, end - at);
      }
      TRY(Send(request));
      TRY(Receive());
      TRY(TakeAllEntries());
    }
    return OkStatus();
  }

  // One that was sent twice counts once.
  void SortPut() {
    std::vector<PackedEntry>& put = changes_.put;
    if (!std::ranges::is_sorted(put, {}, &PackedEntry::id)) {
      std::ranges::stable_sort(put, {}, &PackedEntry::id);
    }
    const auto repeats = std::ranges::unique(put, {}, &PackedEntry::id);
    put.erase(repeats.begin(), repeats.end());
  }

  // What did not come, though it was asked for, has gone since its revision was sent, or is
  // malformed.
  void CollectRemoved() {
    std::ranges::sort(kept_);
    const auto repeats = std::ranges::unique(kept_);
    kept_.erase(repeats.begin(), repeats.end());
    if (kept_.size() == held_.size()) return;
    held_.ForEach([this](const PackedEntry& held) {
      if (std::ranges::binary_search(kept_, &held)) return;
      if (std::ranges::binary_search(changes_.put, held.id(), {}, &PackedEntry::id)) return;
      changes_.removed.emplace_back(held.id());
    });
  }

  static constexpr char kAfterId = '\n';  // no ID holds it
  struct Ask {
    std::string ids;  // kAfterId behind each
    size_t count = 0;
  };

  EntryStream& stream_;
  const HeldEntries& held_;
  const TrustDomain& td_;
  MalformedEntries& malformed_;
  SyncAuthorizedEntriesResponse answer_;  // the last; its memory serves the next
  EntryChanges changes_;
  std::vector<const PackedEntry*> kept_;  // of what is held, what is so still
  std::deque<Ask> wanted_;                // of revisions that are not held, as they are asked for
  size_t revisions_told_ = 0;
  size_t entries_told_ = 0;
};

}  // namespace

Result<EntryChanges> SyncEntryStream(EntryStream& stream, const HeldEntries& held,
                                     const TrustDomain& td, MalformedEntries& malformed) {
  return Conversation(stream, held, td, malformed).Run();
}

}  // namespace writ
