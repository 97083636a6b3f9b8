// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/synchronizer.h"

#include <algorithm>
#include <utility>

#include "agent/attest/half_life.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"

namespace writ {

std::set<std::string> TaintedKeyIds(const Bundle& bundle) {
  std::set<std::string> ids;
  for (const X509Authority& authority : bundle.x509) {
    if (authority.tainted) ids.insert(authority.certificate.subject_key_id());
  }
  return ids;
}

Status Synchronizer::Sync(const Bundle& bundle, std::stop_token stop) {
  EntryVersions held;
  for (const auto& [id, tracked] : tracked_) held.emplace_hint(held.end(), id, tracked.version);
  EntryChanges changes = TRY(options_.server->SyncEntries(held));
  Track(changes);
  MarkTainted(bundle);

  CacheChange change;
  change.put = std::move(changes.put);
  change.removed = std::move(changes.removed);
  change.bundle = std::make_shared<const Bundle>(bundle);
  std::vector<TrackedEntry*> due = Due();
  Status status;
  size_t from = 0;
  do {
    size_t to = std::min(due.size(), from + kX509BatchMax);
    std::vector<TrackedEntry*> batch(due.begin() + from, due.begin() + to);
    if (!batch.empty()) status = FetchBatch(batch, bundle, change);
    options_.cache->Apply(std::exchange(change, CacheChange()));
    from = to;
  } while (status.ok() && from < due.size() && !stop.stop_requested());
  return status;
}

Time Synchronizer::DueAt() const {
  Time due = Time::max();
  for (const auto& [id, tracked] : tracked_) {
    if (tracked.wants_svid && !tracked.stale) due = std::min(due, tracked.renew_at);
  }
  return due;
}

void Synchronizer::Track(const EntryChanges& changes) {
  for (const std::string& id : changes.removed) tracked_.erase(id);
  for (const Entry& entry : changes.put) {
    Tracked fresh{.version = {entry.revision, entry.created_at},
                  .spiffe_id = entry.spiffe_id,
                  .expires_at = entry.expires_at,
                  .wants_svid = !entry.store_svid};
    auto [at, is_new] = tracked_.try_emplace(entry.id, fresh);
    if (is_new) continue;
    // Served on with the SVID at hand until its new one is here, unless that bears another ID.
    if (at->second.spiffe_id == entry.spiffe_id) fresh.not_after = at->second.not_after;
    at->second = std::move(fresh);
  }
  if (!changes.put.empty() || !changes.removed.empty()) {
    options_.log->Info("Entries changed", {{"new_or_updated", changes.put.size()},
                                           {"removed", changes.removed.size()},
                                           {"total", tracked_.size()}});
  }
}

// Once for each authority that becomes tainted: a server that goes on signing with it is not asked
// again and again.
void Synchronizer::MarkTainted(const Bundle& bundle) {
  std::set<std::string> now_tainted = TaintedKeyIds(bundle);
  for (auto& [id, tracked] : tracked_) {
    if (now_tainted.contains(tracked.authority_key_id) &&
        !tainted_.contains(tracked.authority_key_id)) {
      tracked.stale = true;
    }
  }
  tainted_ = std::move(now_tainted);
}

bool Synchronizer::NeedsSvid(const Tracked& tracked, Time now) const {
  if (!tracked.wants_svid) return false;
  if (tracked.expires_at != 0 && ToUnixSeconds(now) > tracked.expires_at) return false;
  return tracked.stale || now >= tracked.renew_at;
}

// Those first whose workloads wait, then those whose SVIDs end first.
std::vector<Synchronizer::TrackedEntry*> Synchronizer::Due() {
  Time now = options_.clock->Now();
  std::vector<TrackedEntry*> due;
  for (TrackedEntry& tracked : tracked_) {
    if (NeedsSvid(tracked.second, now)) due.push_back(&tracked);
  }
  std::stable_sort(due.begin(), due.end(), [](const TrackedEntry* a, const TrackedEntry* b) {
    return a->second.not_after < b->second.not_after;
  });
  return due;
}

Status Synchronizer::FetchBatch(const std::vector<TrackedEntry*>& batch, const Bundle& bundle,
                                CacheChange& change) {
  std::vector<Order> orders;
  std::vector<X509Request> requests;
  orders.reserve(batch.size());
  requests.reserve(batch.size());
  for (TrackedEntry* tracked : batch) {
    PrivateKey key = TRY(PrivateKey::Generate(options_.svid_key_type), "make an X.509-SVID's key");
    CsrTemplate csr{.uri_sans = {tracked->second.spiffe_id.text()}};
    std::string request =
        TRY(MakeCsr(csr, *MakeSoftwareSigner(key)), "make an X.509-SVID's CSR");
    requests.push_back(X509Request{tracked->first, std::move(request)});
    orders.push_back(Order{tracked, std::move(key)});
  }
  std::vector<Result<CertificateChain>> results = TRY(options_.server->NewX509Svids(requests));
  if (results.size() != orders.size()) {
    return Internal("asked for " + std::to_string(orders.size()) + " X.509-SVIDs, got " +
                    std::to_string(results.size()));
  }
  size_t accepted = 0;
  for (size_t i = 0; i < orders.size(); ++i) {
    std::shared_ptr<const HeldX509> held = Accept(orders[i], results[i], bundle);
    if (!held) continue;
    change.x509[orders[i].tracked->first] = std::move(held);
    ++accepted;
  }
  if (accepted > 0) options_.log->Info("X.509-SVIDs issued", {{"count", accepted}});
  return OkStatus();
}

// Null, and logged, when the server refused or what came is not what was asked for; the next sync
// asks again.
std::shared_ptr<const HeldX509> Synchronizer::Accept(Order& order,
                                                     const Result<CertificateChain>& result,
                                                     const Bundle& bundle) {
  auto& [id, tracked] = *order.tracked;
  Status status = result.ok() ? CheckIssued(*result, tracked.spiffe_id, order.key.Public(), bundle,
                                            options_.clock->Now())
                              : result.status();
  auto held = std::make_shared<HeldX509>();
  if (status.ok()) {
    Result<Secret> pkcs8 = order.key.ExportPkcs8();
    status = pkcs8.status();
    if (pkcs8.ok()) held->key_pkcs8 = std::move(pkcs8).value();
  }
  if (!status.ok()) {
    LogLevel level = tracked.refused ? LogLevel::kDebug : LogLevel::kWarn;
    if (options_.log->Enabled(level)) {
      options_.log->Write(
          level, "No X.509-SVID for an entry",
          {{"entry_id", id}, {"spiffe_id", tracked.spiffe_id.text()}, {"error", status}});
    }
    tracked.refused = true;
    return nullptr;
  }
  const Certificate& leaf = result->front();
  for (const Certificate& certificate : *result) held->chain_der += certificate.der();
  held->not_before = leaf.not_before();
  held->not_after = leaf.not_after();
  held->authority_key_id = leaf.authority_key_id();
  tracked.stale = false;
  tracked.refused = false;
  tracked.not_after = held->not_after;
  tracked.authority_key_id = held->authority_key_id;
  tracked.renew_at =
      RenewTime(held->not_before, held->not_after, options_.clock->Now(), *options_.random);
  return held;
}

}  // namespace writ
