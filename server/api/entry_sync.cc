// SPDX-License-Identifier: Apache-2.0
//
// SyncAuthorizedEntries: an agent's stream. Few entries come whole and the stream ends. Many come
// as pages of revisions; the agent then asks for the IDs that it does not have in that revision,
// and gets those in pages. What it may have of them is decided anew when they are sent.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/base/mutex.h"
#include "server/api/convert.h"
#include "server/api/entry_api.h"

namespace writ {

class SyncPlaces {
 public:
  bool Enter(const std::string& agent) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    size_t& open = open_[agent];
    if (open >= kSyncsPerAgentMax) return false;
    ++open;
    return true;
  }
  void Leave(const std::string& agent) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    const auto found = open_.find(agent);
    if (--found->second == 0) open_.erase(found);
  }

 private:
  Mutex mu_;
  std::map<std::string, size_t> open_ GUARDED_BY(mu_);  // by the agent's ID
};

std::shared_ptr<SyncPlaces> MakeSyncPlaces() { return std::make_shared<SyncPlaces>(); }

namespace {

// Enough for a hundred thousand entries over a slow line.
constexpr Duration kSyncMayTake = std::chrono::minutes(10);

// Of a message: an agent holds one and what it makes of it at a time.
// A MiB, with room for what stands between the entries.
constexpr size_t kSyncBytesMax = (1 << 20) - (4 << 10);

class EntrySync final : public EntryApi::Sync {
 public:
  EntrySync(const Registry* registry, Clock* clock, std::shared_ptr<SyncPlaces> places)
      : registry_(registry), clock_(clock), places_(std::move(places)) {}
  ~EntrySync() override {
    if (!agent_.empty()) places_->Leave(agent_);
  }

  Duration TimeLimit() const override { return kSyncMayTake; }

  Status OnRequest(Call& call, const entry_pb::SyncAuthorizedEntriesRequest& request) override {
    if (phase_ == Phase::kFirst) return OnFirst(call, request);
    ids_.assign(request.ids().begin(), request.ids().end());
    std::sort(ids_.begin(), ids_.end());
    next_ = 0;
    phase_ = Phase::kAsked;
    return OkStatus();
  }

  Result<Next> Answer(Call& call, entry_pb::SyncAuthorizedEntriesResponse* response) override {
    switch (phase_) {
      case Phase::kWhole:
        FillEntries(call.Agent(), response);
        phase_ = Phase::kDone;
        if (next_ < ids_.size()) {  // few, but huge
          response->Clear();
          next_ = 0;
          phase_ = Phase::kRevisions;
          FillRevisions(response);
        }
        return Next::kSend;
      case Phase::kRevisions:
        if (next_ == stamps_.size()) {
          stamps_ = {};
          phase_ = Phase::kIdle;
          return Next::kRead;
        }
        FillRevisions(response);
        return Next::kSend;
      case Phase::kAsked:
        FillEntries(call.Agent(), response);
        response->set_more(next_ < ids_.size());
        if (!response->more()) phase_ = Phase::kIdle;
        return Next::kSend;
      case Phase::kDone:
        return Next::kFinish;
      case Phase::kFirst:
      case Phase::kIdle:
        return Next::kRead;
    }
    return Internal("the sync is in no known phase");
  }

  Status OnRequestsDone() override {
    if (phase_ != Phase::kFirst) return OkStatus();
    return InvalidArgument("the stream ended before its first request");
  }

 private:
  enum class Phase {
    kFirst,      // nothing came yet
    kWhole,      // all entries go in one response
    kRevisions,  // pages of revisions
    kIdle,       // waiting for IDs
    kAsked,      // pages of the entries asked for
    kDone,
  };

  Status OnFirst(Call& call, const entry_pb::SyncAuthorizedEntriesRequest& request) {
    if (!request.ids().empty()) {
      return InvalidArgument("specifying IDs on initial request is not supported");
    }
    if (request.has_output_mask()) {
      if (!request.output_mask().revision_number()) {
        return InvalidArgument("revision number cannot be masked");
      }
      mask_ = request.output_mask();
    }
    // Each may hold a message that its agent does not read.
    if (!places_->Enter(call.Agent().text())) {
      return ResourceExhausted("the agent has " + std::to_string(kSyncsPerAgentMax) +
                               " synchronizations open already: end one first");
    }
    agent_ = call.Agent().text();
    stamps_ = registry_->Authorized(call.Agent(), clock_->Now());
    phase_ = Phase::kRevisions;
    if (stamps_.size() > kEntryPageItems) return OkStatus();
    phase_ = Phase::kWhole;
    for (const EntryStamp& stamp : stamps_) ids_.push_back(stamp.id);
    return OkStatus();
  }

  const types::EntryMask* Mask() const { return mask_ ? &*mask_ : nullptr; }

  // Of ids_, from the next on, as many as fit into a message.
  void FillEntries(const SpiffeId& agent, entry_pb::SyncAuthorizedEntriesResponse* response) {
    size_t bytes = 0;
    auto add = [&](const Entry& entry) {
      if (static_cast<size_t>(response->entries_size()) == kEntryPageItems) return false;
      types::Entry* added = response->add_entries();
      ToProto(entry, Mask(), added);
      bytes += added->ByteSizeLong();
      if (bytes <= kSyncBytesMax || response->entries_size() == 1) return true;
      response->mutable_entries()->RemoveLast();
      return false;
    };
    // Asked again of each: it may have been deleted, or moved to another parent, meanwhile.
    next_ += registry_->VisitAuthorized(agent, std::span(ids_).subspan(next_), clock_->Now(), add);
  }

  void FillRevisions(entry_pb::SyncAuthorizedEntriesResponse* response) {
    size_t end = std::min(next_ + kEntryPageItems, stamps_.size());
    for (; next_ < end; ++next_) {
      entry_pb::EntryRevision* revision = response->add_entry_revisions();
      revision->set_id(stamps_[next_].id);
      revision->set_revision_number(stamps_[next_].revision);
      revision->set_created_at(stamps_[next_].created_at);
    }
    response->set_more(next_ < stamps_.size());
  }

  const Registry* const registry_;  // borrowed
  Clock* const clock_;              // borrowed
  const std::shared_ptr<SyncPlaces> places_;
  std::string agent_;  // set when it has a place
  Phase phase_ = Phase::kFirst;
  std::optional<types::EntryMask> mask_;  // set by the first request, as are the stamps
  std::vector<EntryStamp> stamps_;        // in ID order; empty once they are sent
  std::vector<std::string> ids_;          // to be sent whole, in order: all, or those asked for
  size_t next_ = 0;                       // in the stamps, then in the IDs
};

}  // namespace

std::unique_ptr<EntryApi::Sync> EntryApi::SyncAuthorizedEntries() {
  return std::make_unique<EntrySync>(registry_, clock_, sync_places_);
}

}  // namespace writ
