// SPDX-License-Identifier: Apache-2.0
#include "server/entry/entry_index.h"

#include <algorithm>

#include "core/base/status.h"
#include "server/entry/match.h"

namespace writ {
namespace {

using Node = EntryIndex::Node;
using Record = EntryIndex::Record;
using Neighbors = EntryIndex::Neighbors;

// `place` names which of the two lists.
void LinkFirst(Node*& first, Node* node, Neighbors Record::*place) {
  (node->second.*place) = {.previous = nullptr, .next = first};
  if (first) (first->second.*place).previous = node;
  first = node;
}

void Unlink(Node*& first, Node* node, Neighbors Record::*place) {
  const Neighbors around = node->second.*place;
  if (around.next) (around.next->second.*place).previous = around.previous;
  if (around.previous) {
    (around.previous->second.*place).next = around.next;
  } else {
    first = around.next;
  }
}

std::unique_ptr<EntryIndex::Rare> RareOf(const Entry& entry) {
  if (entry.hint.empty() && entry.dns_names.empty() && entry.federates_with.empty()) return nullptr;
  auto rare = std::make_unique<EntryIndex::Rare>(
      EntryIndex::Rare{entry.hint, entry.dns_names, entry.federates_with});
  std::ranges::sort(rare->federates_with);
  return rare;
}

Entry Build(const Node& node) {
  const Record& record = node.second;
  static const EntryIndex::Rare kNone;
  const EntryIndex::Rare& rare = record.rare ? *record.rare : kNone;
  return Entry{
      .id = node.first,
      .spiffe_id = record.spiffe_id->first,
      .parent_id = record.parent->first,
      .selectors = SelectorPool::Read(record.selectors),
      .x509_ttl_seconds = record.x509_ttl_seconds,
      .jwt_ttl_seconds = record.jwt_ttl_seconds,
      .federates_with = rare.federates_with,
      .admin = record.admin,
      .downstream = record.downstream,
      .expires_at = record.expires_at,
      .dns_names = rare.dns_names,
      .revision = record.revision,
      .store_svid = record.store_svid,
      .hint = rare.hint,
      .created_at = record.created_at,
      .has_additional_attributes = record.has_additional_attributes,
      .disable_x509_svid_prefetch = record.disable_x509_svid_prefetch,
      .jwt_svid_include_jti = record.jwt_svid_include_jti,
      .ordinal = record.ordinal,
  };
}

// Most IDs differ in their first bytes, which are compared without going to each entry for them.
void SortById(std::vector<const Node*>& nodes) {
  struct Keyed {
    uint64_t first_bytes;
    const Node* node;
  };
  std::vector<Keyed> keyed;
  keyed.reserve(nodes.size());
  for (const Node* node : nodes) {
    uint64_t first_bytes = 0;
    for (size_t i = 0; i < sizeof(first_bytes); ++i) {
      const char c = i < node->first.size() ? node->first[i] : '\0';
      first_bytes = first_bytes << 8 | static_cast<unsigned char>(c);
    }
    keyed.push_back({first_bytes, node});
  }
  std::ranges::sort(keyed, [](const Keyed& a, const Keyed& b) {
    if (a.first_bytes != b.first_bytes) return a.first_bytes < b.first_bytes;
    return a.node->first < b.node->first;
  });
  std::ranges::transform(keyed, nodes.begin(), &Keyed::node);
}

}  // namespace

// ---- changing -----------------------------------------------------------------------------------

// The selectors' uses are given back to the pool, which outlives the index.
EntryIndex::~EntryIndex() {
  for (auto& [id, record] : entries_) pool_.Release(record.selectors);
}

void EntryIndex::RemoveUnused(const IdNode* node) {
  if (node->second.children == 0 && node->second.holders == 0) {
    ids_.erase(ids_.find(node->first));
  }
}

const EntryIndex::IdNode* EntryIndex::Find(const SpiffeId& id) const {
  auto it = ids_.find(id);
  return it == ids_.end() ? nullptr : &*it;
}

void EntryIndex::Put(Entry entry) {
  auto at = entries_.lower_bound(entry.id);
  if (at != entries_.end() && at->first == entry.id) at = Remove(at);
  Node* node = &*entries_.emplace_hint(at, std::move(entry.id), Record());
  Record& record = node->second;
  record.spiffe_id = NodeOf(std::move(entry.spiffe_id));
  record.parent = NodeOf(std::move(entry.parent_id));
  record.selectors = pool_.Acquire(entry.selectors);
  record.expires_at = entry.expires_at;
  record.revision = entry.revision;
  record.created_at = entry.created_at;
  record.ordinal = entry.ordinal;
  record.x509_ttl_seconds = entry.x509_ttl_seconds;
  record.jwt_ttl_seconds = entry.jwt_ttl_seconds;
  record.admin = entry.admin;
  record.downstream = entry.downstream;
  record.store_svid = entry.store_svid;
  record.has_additional_attributes = entry.has_additional_attributes;
  record.disable_x509_svid_prefetch = entry.disable_x509_svid_prefetch;
  record.jwt_svid_include_jti = entry.jwt_svid_include_jti;
  record.rare = RareOf(entry);
  LinkFirst(record.parent->second.first_child, node, &Record::siblings);
  LinkFirst(record.spiffe_id->second.first_holder, node, &Record::coholders);
  ++record.parent->second.children;
  ++record.spiffe_id->second.holders;
  if (IsAlias(record)) AddAlias(node);
  by_age_.insert(node);
}

void EntryIndex::Remove(std::string_view id) {
  auto it = entries_.find(id);
  if (it != entries_.end()) Remove(it);
}

EntryIndex::Entries::iterator EntryIndex::Remove(Entries::iterator it) {
  Node* node = &*it;
  Record& record = node->second;
  by_age_.erase(node);
  if (IsAlias(record)) RemoveAlias(node);
  Unlink(record.parent->second.first_child, node, &Record::siblings);
  Unlink(record.spiffe_id->second.first_holder, node, &Record::coholders);
  --record.parent->second.children;
  --record.spiffe_id->second.holders;
  RemoveUnused(record.parent);
  if (record.spiffe_id != record.parent) RemoveUnused(record.spiffe_id);
  pool_.Release(record.selectors);
  return entries_.erase(it);
}

void EntryIndex::AddAlias(const Node* node) {
  const SelectorPool::Set& selectors = node->second.selectors;
  if (selectors.empty()) return;
  auto aliases_under = [this](const SelectorPool::Node* selector) {
    auto it = aliases_.find(selector);
    return it == aliases_.end() ? 0 : it->second.size();
  };
  aliases_[*std::ranges::min_element(selectors, {}, aliases_under)].insert(node);
}

void EntryIndex::RemoveAlias(const Node* node) {
  for (const SelectorPool::Node* selector : node->second.selectors) {
    auto it = aliases_.find(selector);
    if (it == aliases_.end() || it->second.erase(node) == 0) continue;
    if (it->second.empty()) aliases_.erase(it);
    return;
  }
}

// ---- who is authorized for what -----------------------------------------------------------------

std::vector<const Node*> EntryIndex::AliasesOf(const SelectorPool::Set& selectors) const {
  std::vector<const Node*> aliases;
  for (const SelectorPool::Node* selector : selectors) {
    auto it = aliases_.find(selector);
    if (it == aliases_.end()) continue;
    for (const Node* alias : it->second) {
      if (std::ranges::includes(selectors, alias->second.selectors)) aliases.push_back(alias);
    }
  }
  return aliases;
}

// The nodes whose children the agent starts from.
std::vector<const EntryIndex::IdNode*> EntryIndex::Starts(const SpiffeId& agent,
                                                          const SelectorPool::Set& selectors,
                                                          int64_t now) const {
  std::vector<const IdNode*> starts;
  if (const IdNode* own = Find(agent)) starts.push_back(own);
  for (const Node* alias : AliasesOf(selectors)) {
    if (!alias->second.ExpiredAt(now)) starts.push_back(alias->second.spiffe_id);
  }
  return starts;
}

std::vector<const Node*> EntryIndex::Authorized(const SpiffeId& agent,
                                                const SelectorPool::Set& selectors,
                                                int64_t now) const {
  std::vector<const Node*> found;
  std::vector<const IdNode*> open = Starts(agent, selectors, now);
  std::unordered_set<const IdNode*> seen;
  while (!open.empty()) {
    const IdNode* parent = open.back();
    open.pop_back();
    if (!parent->second.first_child || parent->first == server_id_) continue;
    if (!seen.insert(parent).second) continue;
    for (const Node* node = parent->second.first_child; node; node = node->second.siblings.next) {
      if (node->second.ExpiredAt(now)) continue;
      found.push_back(node);
      open.push_back(node->second.spiffe_id);
    }
  }
  SortById(found);
  return found;
}

// Whether `first` is the agent's own ID, or an ID that the agent comes to by an alias or an entry.
bool EntryIndex::LeadsUpTo(const IdNode* first, const SpiffeId& agent,
                           const SelectorPool::Set& selectors, int64_t now) const {
  std::vector<const IdNode*> open = {first};
  std::unordered_set<const IdNode*> seen = {first};
  while (!open.empty()) {
    const IdNode* id = open.back();
    open.pop_back();
    if (id->first == agent) return true;
    for (const Node* node = id->second.first_holder; node; node = node->second.coholders.next) {
      const Record& holder = node->second;
      if (holder.ExpiredAt(now)) continue;
      if (!IsAlias(holder)) {
        if (seen.insert(holder.parent).second) open.push_back(holder.parent);
      } else if (!holder.selectors.empty() && std::ranges::includes(selectors, holder.selectors)) {
        return true;
      }
    }
  }
  return false;
}

std::optional<Entry> EntryIndex::AuthorizedEntry(const SpiffeId& agent,
                                                 const SelectorPool::Set& selectors,
                                                 std::string_view id, int64_t now) const {
  auto it = entries_.find(id);
  if (it == entries_.end()) return std::nullopt;
  const Record& record = it->second;
  if (IsAlias(record) || record.ExpiredAt(now)) return std::nullopt;
  if (!LeadsUpTo(record.parent, agent, selectors, now)) return std::nullopt;
  return Build(*it);
}

// What was found out of a parent holds for its other entries, and of IDs in order the next is often
// the next entry.
size_t EntryIndex::VisitAuthorized(const SpiffeId& agent, const SelectorPool::Set& selectors,
                                   std::span<const std::string> ids, int64_t now,
                                   const std::function<bool(const Entry&)>& visit) const {
  std::unordered_map<const IdNode*, bool> leads_up;
  auto next = entries_.end();
  for (size_t i = 0; i < ids.size(); ++i) {
    auto it = next != entries_.end() && next->first == ids[i] ? next : entries_.find(ids[i]);
    if (it == entries_.end()) continue;
    next = std::next(it);
    const Record& record = it->second;
    if (IsAlias(record) || record.ExpiredAt(now)) continue;
    auto [parent, is_new] = leads_up.try_emplace(record.parent, false);
    if (is_new) parent->second = LeadsUpTo(record.parent, agent, selectors, now);
    if (parent->second && !visit(Build(*it))) return i;
  }
  return ids.size();
}

// ---- how far a change reaches -------------------------------------------------------------------

EntryIndex::Ancestry EntryIndex::AncestryOf(std::string_view id) const {
  Ancestry ancestry;
  auto it = entries_.find(id);
  if (it == entries_.end()) return ancestry;
  if (IsAlias(it->second)) {
    ancestry.aliases.push_back(&it->second.selectors);
    return ancestry;
  }
  std::vector<const IdNode*> open = {it->second.parent};
  std::unordered_set<const IdNode*> seen = {it->second.parent};
  while (!open.empty()) {
    const IdNode* above = open.back();
    open.pop_back();
    ancestry.ids.push_back(&above->first);
    for (const Node* node = above->second.first_holder; node; node = node->second.coholders.next) {
      const Record& holder = node->second;
      if (IsAlias(holder)) {
        ancestry.aliases.push_back(&holder.selectors);
      } else if (seen.insert(holder.parent).second) {
        open.push_back(holder.parent);
      }
    }
  }
  return ancestry;
}

bool EntryIndex::CollectBelow(const SpiffeId& id, size_t size_max,
                              std::unordered_set<std::string>& entry_ids) const {
  std::vector<const IdNode*> open;
  if (const IdNode* top = Find(id)) open.push_back(top);
  std::unordered_set<const IdNode*> seen(open.begin(), open.end());
  while (!open.empty()) {
    const IdNode* parent = open.back();
    open.pop_back();
    for (const Node* node = parent->second.first_child; node; node = node->second.siblings.next) {
      if (entry_ids.size() >= size_max) return false;
      entry_ids.insert(node->first);
      if (seen.insert(node->second.spiffe_id).second) open.push_back(node->second.spiffe_id);
    }
  }
  return true;
}

EntryIndex::AliasEnds EntryIndex::AliasEndsOf(const SelectorPool::Set& selectors,
                                              int64_t now) const {
  AliasEnds ends;
  for (const Node* alias : AliasesOf(selectors)) {
    const int64_t end = alias->second.expires_at;
    if (alias->second.ExpiredAt(now)) {
      ends.some_ended = true;
    } else if (end != 0 && (ends.next == 0 || end < ends.next)) {
      ends.next = end;
    }
  }
  return ends;
}

// ---- reading ------------------------------------------------------------------------------------

struct EntryIndex::Query {
  struct SelectorQuery {
    SelectorPool::Set selectors;
    bool all_known;
    SelectorMatch match;
  };
  struct FederatesQuery {
    std::vector<std::string> trust_domains;  // sorted, without repeats
    SelectorMatch match;
  };
  const IdNode* spiffe_id = nullptr;
  const IdNode* parent = nullptr;
  std::optional<SelectorQuery> selectors;
  std::optional<FederatesQuery> federates_with;
  std::optional<std::string> hint;
  std::optional<bool> downstream;
  // The shortest list that holds every match: all entries, unless an ID leads to fewer.
  size_t listed = 0;
  const Node* first = nullptr;  // null: all entries
  Neighbors Record::*place = nullptr;
};

// None when nothing can match.
std::optional<EntryIndex::Query> EntryIndex::Resolve(const EntryFilter& filter) const {
  Query query{.hint = filter.hint, .downstream = filter.downstream, .listed = entries_.size()};
  if (filter.spiffe_id) {
    if (!(query.spiffe_id = Find(*filter.spiffe_id))) return std::nullopt;
    const Links& links = query.spiffe_id->second;
    query.listed = links.holders;
    query.first = links.first_holder;
    query.place = &Record::coholders;
  }
  if (filter.parent_id) {
    if (!(query.parent = Find(*filter.parent_id))) return std::nullopt;
    const Links& links = query.parent->second;
    if (!query.first || links.children < query.listed) {
      query.listed = links.children;
      query.first = links.first_child;
      query.place = &Record::siblings;
    }
  }
  if (query.listed == 0) return std::nullopt;
  if (filter.selectors) {
    bool all_known = false;
    SelectorPool::Set set = pool_.Find(filter.selectors->first, &all_known);
    query.selectors = {std::move(set), all_known, filter.selectors->second};
  }
  if (filter.federates_with) {
    std::vector<std::string> names = filter.federates_with->first;
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    query.federates_with = {std::move(names), filter.federates_with->second};
  }
  return query;
}

bool EntryIndex::Matches(const Record& record, const Query& query) {
  static const Rare kNone;
  const Rare& rare = record.rare ? *record.rare : kNone;
  if (query.spiffe_id && record.spiffe_id != query.spiffe_id) return false;
  if (query.parent && record.parent != query.parent) return false;
  if (query.downstream && record.downstream != *query.downstream) return false;
  if (query.hint && rare.hint != *query.hint) return false;
  if (query.selectors && !MatchesSet(record.selectors, query.selectors->selectors,
                                     query.selectors->all_known, query.selectors->match)) {
    return false;
  }
  return !query.federates_with ||
         MatchesSet(rare.federates_with, query.federates_with->trust_domains, true,
                    query.federates_with->match);
}

void EntryIndex::VisitInOrder(const Query& query, int64_t after,
                              const std::function<bool(const Node&)>& visit) const {
  for (auto it = by_age_.upper_bound(after); it != by_age_.end(); ++it) {
    if (Matches((*it)->second, query) && !visit(**it)) return;
  }
}

void EntryIndex::VisitAll(const Query& query, const std::function<void(const Node&)>& visit) const {
  if (!query.first) {
    for (const Node& node : entries_) {
      if (Matches(node.second, query)) visit(node);
    }
  }
  for (const Node* node = query.first; node; node = (node->second.*query.place).next) {
    if (Matches(node->second, query)) visit(*node);
  }
}

std::optional<Entry> EntryIndex::Get(std::string_view id) const {
  auto it = entries_.find(id);
  if (it == entries_.end()) return std::nullopt;
  return Build(*it);
}

// A page is found either on the way through all entries in order, which takes about all / listed
// steps for each match, or by sorting the listed ones: whichever is less.
std::vector<Entry> EntryIndex::List(const EntryFilter& filter, int64_t after,
                                    size_t limit) const {
  const std::optional<Query> query = Resolve(filter);
  if (!query || limit == 0) return {};
  std::vector<const Node*> found;
  if (!query->first || query->listed / limit >= entries_.size() / query->listed) {
    VisitInOrder(*query, after, [&](const Node& node) {
      found.push_back(&node);
      return found.size() < limit;
    });
  } else {
    VisitAll(*query, [&](const Node& node) {
      if (node.second.ordinal > after) found.push_back(&node);
    });
    std::ranges::sort(found, Older());
    found.resize(std::min(found.size(), limit));
  }
  std::vector<Entry> entries;
  for (const Node* node : found) entries.push_back(Build(*node));
  return entries;
}

size_t EntryIndex::Count(const EntryFilter& filter) const {
  size_t count = 0;
  if (const std::optional<Query> query = Resolve(filter)) {
    VisitAll(*query, [&](const Node&) { ++count; });
  }
  return count;
}

std::vector<Entry> EntryIndex::HoldersOf(const SpiffeId& id) const {
  return List({.spiffe_id = id}, kFromTheFirst, entries_.size());
}

}  // namespace writ
