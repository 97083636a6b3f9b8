// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/synchronizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/attest/half_life.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"

namespace writ {
namespace {

// However seldom the agent polls: half of an SVID's life is left, and others wait for nothing.
constexpr Duration kRetryAfterMax = std::chrono::seconds(5);

}  // namespace

Status Synchronizer::Sync(const Bundle& bundle) {
  EntryChanges changes = TRY(options_.server->SyncEntries(*options_.cache));
  bundle_ = std::make_shared<const Bundle>(bundle);
  return Apply(std::move(changes));
}

// Of several notices of one entry the last counts.
Status Synchronizer::Take(std::vector<Notice> notices, std::stop_token stop) {
  CHECK(bundle_ != nullptr);
  bool bundle_changed = false;
  std::map<std::string, std::optional<PackedEntry>> last;  // none: gone
  for (Notice& notice : notices) {
    CHECK(!notice.resync);
    if (notice.bundle) {
      bundle_ = std::move(notice.bundle);
      bundle_changed = true;
    }
    for (PackedEntry& entry : notice.changes.put) {
      std::string id(entry.id());
      last.insert_or_assign(std::move(id), std::move(entry));
    }
    for (const std::string& id : notice.changes.removed) last.insert_or_assign(id, std::nullopt);
  }
  EntryChanges changes;
  for (auto& [id, entry] : last) {
    if (!entry) {
      if (options_.cache->Find(id) != nullptr) changes.removed.push_back(id);
    } else if (IsNews(*entry)) {
      changes.put.push_back(std::move(*entry));
    }
  }
  if (changes.put.empty() && changes.removed.empty() && !bundle_changed) return OkStatus();
  TRY(Apply(std::move(changes)));
  return Renew(std::move(stop));
}

// A sync may have brought it, or what came after it, already.
bool Synchronizer::IsNews(const PackedEntry& entry) const {
  const PackedEntry* held = options_.cache->Find(entry.id());
  return held == nullptr || held->created_at() != entry.created_at() ||
         held->revision() < entry.revision();
}

Status Synchronizer::Apply(EntryChanges changes) {
  const size_t put = changes.put.size();
  const size_t removed = changes.removed.size();
  if (!refused_.empty()) {
    for (const std::string& id : changes.removed) refused_.erase(id);
    for (const PackedEntry& entry : changes.put) refused_.erase(std::string(entry.id()));
  }
  CacheChange change{
      .put = std::move(changes.put), .removed = std::move(changes.removed), .bundle = bundle_};
  const std::vector<X509Want> needed = options_.cache->WantedOf(change);
  const std::span<const X509Want> at_once(needed.data(), std::min(needed.size(), batch_max_));
  Status status = FetchBatch(at_once, change);
  if (GoesOnInSmallerBatches(at_once.size(), status)) status = OkStatus();  // by Renew()
  options_.cache->Apply(std::move(change));
  if (put > 0 || removed > 0) {
    options_.log->Info(
        "Entries changed",
        {{"new_or_updated", put}, {"removed", removed}, {"total", options_.cache->size()}});
  }
  return status;
}

Status Synchronizer::Renew(std::stop_token stop) {
  std::vector<X509Want> wants = options_.cache->Wanted();
  DropRefused(wants);
  return FetchAll(wants, stop);
}

void Synchronizer::DropRefused(std::vector<X509Want>& wants) const {
  if (refused_.empty()) return;
  const MonoTime now = options_.clock->Monotonic();
  std::erase_if(wants, [&](const X509Want& want) {
    const auto at = refused_.find(want.entry_id);
    return at != refused_.end() && now < at->second;
  });
}

// Whether it was not refused before.
bool Synchronizer::Refuse(const std::string& entry_id) {
  const Duration pause =
      options_.cache->PutOff(entry_id, std::min(options_.retry_after, kRetryAfterMax));
  return refused_.insert_or_assign(entry_id, options_.clock->Monotonic() + pause).second;
}

// What the server has refused waits for its time, so that callers cannot make requests of it.
Status Synchronizer::FetchAwaited(std::stop_token stop) {
  if (!bundle_) return OkStatus();
  std::vector<X509Want> wants = options_.cache->Awaited();
  DropRefused(wants);
  return FetchAll(wants, stop);
}

Status Synchronizer::FetchAll(const std::vector<X509Want>& wants, const std::stop_token& stop) {
  std::span<const X509Want> left(wants);
  size_t failed_size = kX509BatchMax + 1;  // the least that did
  while (!left.empty() && !stop.stop_requested()) {
    const std::span<const X509Want> batch = left.first(std::min(batch_max_, left.size()));
    CacheChange change;
    const Status fetched = FetchBatch(batch, change);
    if (GoesOnInSmallerBatches(batch.size(), fetched)) {
      failed_size = batch.size();
      continue;
    }
    TRY(fetched);
    options_.cache->Apply(std::move(change));
    left = left.subspan(batch.size());
    const size_t more = std::min(2 * batch_max_, kX509BatchMax);
    if (more < failed_size) batch_max_ = more;
  }
  return OkStatus();
}

// A server's rate limit, or a message's size, may take fewer than the agent asks for, a slow server
// fewer in time.
bool Synchronizer::GoesOnInSmallerBatches(size_t asked, const Status& answer) {
  const bool too_many = answer.code() == Code::kResourceExhausted;
  if (!too_many && answer.code() != Code::kDeadlineExceeded) return false;
  batch_max_ = std::max<size_t>(asked / 2, 1);
  return too_many && asked > 1;
}

Status Synchronizer::FetchBatch(std::span<const X509Want> batch, CacheChange& change) {
  if (batch.empty()) return OkStatus();
  std::vector<Order> orders;
  std::vector<SvidRequest> requests;
  orders.reserve(batch.size());
  requests.reserve(batch.size());
  for (const X509Want& want : batch) {
    PrivateKey key = TRY(PrivateKey::Generate(options_.svid_key_type), "make an X.509-SVID's key");
    CsrTemplate csr{.uri_sans = {want.spiffe_id.text()}};
    std::string request = TRY(MakeCsr(csr, *MakeSoftwareSigner(key)), "make an X.509-SVID's CSR");
    requests.push_back(SvidRequest{want.entry_id, std::move(request)});
    orders.push_back(Order{&want, std::move(key)});
  }
  std::vector<Result<CertificateChain>> results = TRY(options_.server->NewX509Svids(requests));
  if (results.size() != orders.size()) {
    return Internal("asked for " + std::to_string(orders.size()) + " X.509-SVIDs, got " +
                    std::to_string(results.size()));
  }
  for (size_t i = 0; i < orders.size(); ++i) {
    std::shared_ptr<const HeldX509> held = Accept(orders[i], results[i]);
    if (held) change.x509[orders[i].want->entry_id] = std::move(held);
  }
  if (!change.x509.empty()) {
    options_.log->Info("X.509-SVIDs issued", {{"count", change.x509.size()}});
  }
  return OkStatus();
}

// Null, and logged, when the server refused or what came is not what was asked for.
std::shared_ptr<const HeldX509> Synchronizer::Accept(const Order& order,
                                                     const Result<CertificateChain>& result) {
  const auto& [id, spiffe_id] = *order.want;
  const Time now = options_.clock->Now();
  Status status = result.ok() ? CheckIssued(*result, spiffe_id, order.key.Public(), *bundle_, now)
                              : result.status();
  auto held = std::make_shared<HeldX509>();
  if (status.ok()) {
    Result<Secret> pkcs8 = order.key.ExportPkcs8();
    status = pkcs8.status();
    if (pkcs8.ok()) held->key_pkcs8 = std::move(pkcs8).value();
  }
  if (!status.ok()) {
    ++rejected_;
    LogLevel level = Refuse(id) ? LogLevel::kWarn : LogLevel::kDebug;
    if (options_.log->Enabled(level)) {
      options_.log->Write(level, "No X.509-SVID for an entry",
                          {{"entry_id", id}, {"spiffe_id", spiffe_id.text()}, {"error", status}});
    }
    return nullptr;
  }
  ++issued_;
  refused_.erase(id);
  size_t size = 0;
  for (const Certificate& certificate : *result) size += certificate.der().size();
  held->chain_der.reserve(size);  // and not one byte more: many are held
  for (const Certificate& certificate : *result) held->chain_der += certificate.der();
  const Certificate& leaf = result->front();
  held->not_before = leaf.not_before();
  held->not_after = leaf.not_after();
  held->renew_at = RenewTime(held->not_before, held->not_after, now, *options_.random);
  return held;
}

}  // namespace writ
