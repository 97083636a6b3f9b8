// SPDX-License-Identifier: Apache-2.0
#include "server/api/entry_api.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/bytes.h"
#include "server/api/convert.h"

namespace writ {
namespace {

// CountEntries and ListEntries have the same filter, in two message types.
template <class Filter>
Result<EntryFilter> FilterFrom(const TrustDomain& td, const Filter& proto) {
  EntryFilter filter;
  if (proto.has_by_hint() && !proto.by_hint().value().empty()) {
    filter.hint = proto.by_hint().value();
  }
  if (proto.has_by_parent_id()) {
    filter.parent_id = TRY(MemberIdFrom(td, &proto.by_parent_id()), "malformed parent ID filter");
  }
  if (proto.has_by_spiffe_id()) {
    filter.spiffe_id = TRY(WorkloadIdFrom(td, &proto.by_spiffe_id()), "malformed SPIFFE ID filter");
  }
  if (proto.has_by_selectors()) {
    filter.selectors = TRY(SelectorMatchFrom(proto.by_selectors()), "malformed selectors filter");
  }
  if (proto.has_by_federates_with()) {
    filter.federates_with =
        TRY(FederatesWithMatchFrom(proto.by_federates_with()), "malformed federates with filter");
  }
  if (proto.has_by_downstream()) filter.downstream = proto.by_downstream().value();
  return filter;
}

Json::Object AuditDetails(const Entry& entry) {
  Json::Array selectors;
  for (const Selector& selector : entry.selectors) selectors.emplace_back(selector.text());
  return {{"spiffe_id", entry.spiffe_id.text()},
          {"parent_id", entry.parent_id.text()},
          {"selectors", std::move(selectors)},
          {"revision", entry.revision}};
}

// Records one item of a batch.
void RecordItem(Call& call, const std::string& action, const std::string& id, const Status& status,
                const std::optional<Entry>& entry) {
  call.Record(action, status, entry ? entry->id : id,
              entry ? AuditDetails(*entry) : Json::Object());
}

// Every item gets the store's failure when the store failed as a whole.
std::vector<EntryOutcome> Outcomes(Result<std::vector<EntryOutcome>> result, size_t items) {
  if (result.ok()) {
    CHECK(result->size() == items);
    return std::move(*result);
  }
  return std::vector<EntryOutcome>(items, EntryOutcome{.status = result.status()});
}

}  // namespace

Result<entry_pb::CountEntriesResponse> EntryApi::CountEntries(
    Call&, const entry_pb::CountEntriesRequest& request) {
  EntryFilter filter = TRY(FilterFrom(td_, request.filter()));
  entry_pb::CountEntriesResponse response;
  size_t count = registry_->CountEntries(filter);
  response.set_count(
      static_cast<int32_t>(std::min<size_t>(count, std::numeric_limits<int32_t>::max())));
  return response;
}

Result<entry_pb::ListEntriesResponse> EntryApi::ListEntries(
    Call&, const entry_pb::ListEntriesRequest& request) {
  EntryFilter filter = TRY(FilterFrom(td_, request.filter()));
  int64_t after = TRY(PlaceFrom(request.page_token()));
  size_t wanted = request.page_size() > 0 ? static_cast<size_t>(request.page_size())
                                          : std::numeric_limits<size_t>::max();
  entry_pb::ListEntriesResponse response;
  size_t bytes = 0;
  while (true) {
    // One more than fits tells whether there is a next page.
    size_t left = wanted - response.entries_size();
    size_t chunk = std::min(left, kEntryPageItems) + 1;
    std::vector<Entry> entries = registry_->ListEntries(filter, after, chunk);
    for (const Entry& entry : entries) {
      types::Entry proto;
      ToProto(entry, OutputMask(request), &proto);
      bytes += proto.ByteSizeLong();
      bool full = static_cast<size_t>(response.entries_size()) == wanted ||
                  (bytes > kPageBytesMax && !response.entries().empty());
      if (full) {
        response.set_next_page_token(std::to_string(after));
        return response;
      }
      after = entry.ordinal;
      *response.add_entries() = std::move(proto);
    }
    if (entries.size() < chunk) return response;
  }
}

Result<types::Entry> EntryApi::GetEntry(Call&, const entry_pb::GetEntryRequest& request) {
  if (request.id().empty()) return InvalidArgument("missing ID");
  std::optional<Entry> entry = registry_->GetEntry(request.id());
  if (!entry) return NotFound("entry not found");
  types::Entry response;
  ToProto(*entry, OutputMask(request), &response);
  return response;
}

// Entries may name trust domains whose bundles the server holds. It holds its own alone, which an
// agent would ask for as another's and, refused, stop synchronizing: so that is none of them.
Status EntryApi::CheckFederatesWith(const std::vector<std::string>& names) const {
  if (names.empty()) return OkStatus();
  if (names.front() == td_.name()) {
    return InvalidArgument("\"" + td_.id() + "\" is the server's own trust domain, whose bundle " +
                           "every workload gets: leave it out");
  }
  return InvalidArgument("unable to find federated bundle \"spiffe://" + names.front() + "\"");
}

Result<entry_pb::BatchCreateEntryResponse> EntryApi::BatchCreateEntry(
    Call& call, const entry_pb::BatchCreateEntryRequest& request) {
  TRY(CheckBatch(request.entries_size()));
  entry_pb::BatchCreateEntryResponse response;
  std::vector<Entry> entries;
  std::vector<int> places;
  for (int i = 0; i < request.entries_size(); ++i) {
    auto* result = response.add_results();
    Result<Entry> entry = EntryFrom(td_, request.entries(i));
    Status status = entry.status().Annotate("failed to convert entry");
    if (status.ok()) {
      status = CheckFederatesWith(entry->federates_with).Annotate("failed to create entry");
    }
    if (!status.ok()) {
      ToProto(status, result->mutable_status());
      RecordItem(call, "entry.create", request.entries(i).id(), status, std::nullopt);
      continue;
    }
    entries.push_back(std::move(*entry));
    places.push_back(i);
  }
  if (entries.empty()) return response;
  auto new_id = [this] { return random_->Uuid(); };
  std::vector<EntryOutcome> outcomes =
      Outcomes(store_->Create(std::move(entries), clock_->Now(), new_id), places.size());
  for (size_t n = 0; n < outcomes.size(); ++n) {
    const EntryOutcome& outcome = outcomes[n];
    auto* result = response.mutable_results(places[n]);
    Status status = outcome.status.code() == Code::kAlreadyExists && outcome.entry
                        ? AlreadyExists("similar entry already exists")
                        : outcome.status.Annotate("failed to create entry");
    ToProto(status, result->mutable_status());
    if (outcome.entry) ToProto(*outcome.entry, OutputMask(request), result->mutable_entry());
    RecordItem(call, "entry.create", "", status, outcome.entry);
  }
  return response;
}

Result<EntryStore::Update> EntryApi::UpdateFrom(const types::Entry& proto,
                                                const types::EntryMask* mask) const {
  EntryPatch patch = TRY(EntryPatch::From(td_, proto, mask), "failed to convert entry");
  if (patch.federates_with) {
    TRY(CheckFederatesWith(*patch.federates_with), "failed to update entry");
  }
  EntryEdit edit = [patch = std::move(patch)](const Entry& stored) -> Result<Entry> {
    Entry edited = stored;
    patch.ApplyTo(edited);
    TRY(CheckEntry(edited));
    return edited;
  };
  return EntryStore::Update{.id = proto.id(), .edit = std::move(edit)};
}

Result<entry_pb::BatchUpdateEntryResponse> EntryApi::BatchUpdateEntry(
    Call& call, const entry_pb::BatchUpdateEntryRequest& request) {
  TRY(CheckBatch(request.entries_size()));
  const types::EntryMask* mask = request.has_input_mask() ? &request.input_mask() : nullptr;
  entry_pb::BatchUpdateEntryResponse response;
  std::vector<EntryStore::Update> updates;
  std::vector<int> places;
  for (int i = 0; i < request.entries_size(); ++i) {
    auto* result = response.add_results();
    Result<EntryStore::Update> update = UpdateFrom(request.entries(i), mask);
    Status status = update.status();
    // With SPIRE's code, which looks for the entry of that ID.
    if (status.ok() && request.entries(i).id().empty()) {
      status = NotFound("failed to update entry: missing entry ID");
    }
    if (!status.ok()) {
      ToProto(status, result->mutable_status());
      RecordItem(call, "entry.update", request.entries(i).id(), status, std::nullopt);
      continue;
    }
    updates.push_back(std::move(*update));
    places.push_back(i);
  }
  if (updates.empty()) return response;
  std::vector<EntryOutcome> outcomes = Outcomes(store_->Edit(std::move(updates)), places.size());
  for (size_t n = 0; n < outcomes.size(); ++n) {
    auto* result = response.mutable_results(places[n]);
    Status status = outcomes[n].status.Annotate("failed to update entry");
    ToProto(status, result->mutable_status());
    const std::optional<Entry>& entry = outcomes[n].entry;
    // A failed update has no entry on the wire, not even the one that it collided with.
    if (entry && status.ok()) ToProto(*entry, OutputMask(request), result->mutable_entry());
    RecordItem(call, "entry.update", request.entries(places[n]).id(), status, entry);
  }
  return response;
}

Result<entry_pb::BatchDeleteEntryResponse> EntryApi::BatchDeleteEntry(
    Call& call, const entry_pb::BatchDeleteEntryRequest& request) {
  TRY(CheckBatch(request.ids_size()));
  entry_pb::BatchDeleteEntryResponse response;
  std::vector<std::string> ids;
  std::vector<int> places;
  for (int i = 0; i < request.ids_size(); ++i) {
    auto* result = response.add_results();
    result->set_id(request.ids(i));
    if (request.ids(i).empty()) {
      ToProto(InvalidArgument("missing entry ID"), result->mutable_status());
      continue;
    }
    ids.push_back(request.ids(i));
    places.push_back(i);
  }
  if (ids.empty()) return response;
  std::vector<EntryOutcome> outcomes = Outcomes(store_->Delete(ids), ids.size());
  for (size_t n = 0; n < outcomes.size(); ++n) {
    Status status = outcomes[n].status.code() == Code::kNotFound
                        ? NotFound("entry not found")
                        : outcomes[n].status.Annotate("failed to delete entry");
    ToProto(status, response.mutable_results(places[n])->mutable_status());
    RecordItem(call, "entry.delete", ids[n], status, outcomes[n].entry);
  }
  return response;
}

Result<entry_pb::GetAuthorizedEntriesResponse> EntryApi::GetAuthorizedEntries(
    Call& call, const entry_pb::GetAuthorizedEntriesRequest& request) {
  entry_pb::GetAuthorizedEntriesResponse response;
  size_t bytes = 0;
  for (const EntryStamp& stamp : registry_->Authorized(call.Agent(), clock_->Now())) {
    std::optional<Entry> entry = registry_->GetEntry(stamp.id);
    if (!entry) continue;  // deleted since the line above
    types::Entry* added = response.add_entries();
    ToProto(*entry, OutputMask(request), added);
    bytes += added->ByteSizeLong() + 8;  // the field's tag and length
    if (bytes > kMessageBytesMax) {
      return ResourceExhausted(
          "the authorized entries do not fit into one message of 4 MiB, which this method cannot "
          "page: use SyncAuthorizedEntries");
    }
  }
  return response;
}

}  // namespace writ
