// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/x509_fetcher.h"

#include <algorithm>
#include <utility>

#include "agent/attest/half_life.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"

namespace writ {
namespace {

// However seldom the agent polls: half of an SVID's life is left, and others wait for nothing.
constexpr Duration kRetryAfterMax = std::chrono::seconds(5);
// What the loop takes in at once, and what those wait for who come next.
constexpr size_t kBatchMax = 100;
static_assert(kBatchMax <= kX509BatchMax);
constexpr size_t kLines = 2;
// RSA keys take so long that a batch of them is what could be made in this time.
constexpr Duration kKeysMayTake = std::chrono::seconds(1);

}  // namespace

// One SVID that is asked for, and what came of it.
struct X509Fetcher::Order {
  X509Want want;
  int64_t revision;    // of the entry, and
  int64_t created_at;  // likewise: an answer for what it was before is none for what it is now
  Result<std::shared_ptr<HeldX509>> held = Unavailable("not asked for");
};

// Of the flight's thread until it has landed, which the fetcher's mu_ guards.
struct X509Fetcher::Flight {
  std::vector<Order> orders;
  size_t asked = 0;  // of them, the first so many
  Status status;     // of the call
  bool landed = false;
};

namespace {

// What the server has answered, if it is what was asked for.
Result<std::shared_ptr<HeldX509>> HeldOf(const Result<CertificateChain>& answer,
                                         const PrivateKey& key, const SpiffeId& id,
                                         const Bundle& bundle, Time now) {
  TRY(answer.status());
  const CertificateChain& chain = *answer;
  TRY(CheckIssued(chain, id, key.Public(), bundle, now));
  auto held = std::make_shared<HeldX509>();
  held->key_pkcs8 = TRY(key.ExportPkcs8());
  size_t size = 0;
  for (const Certificate& certificate : chain) size += certificate.der().size();
  held->chain_der.reserve(size);  // and not one byte more: many are held
  for (const Certificate& certificate : chain) held->chain_der += certificate.der();
  held->not_before = chain.front().not_before();
  held->not_after = chain.front().not_after();
  return held;
}

}  // namespace

X509Fetcher::X509Fetcher(X509FetcherOptions options)
    : options_(std::move(options)), batch_max_(kBatchMax), failed_size_(kBatchMax + 1) {
  if (options_.in_flight) pool_ = std::make_unique<WorkerPool>("x509-fetch", kLines, kLines);
}

X509Fetcher::~X509Fetcher() = default;

Status X509Fetcher::Renew(const std::stop_token& stop) {
  if (!failure_.ok()) return std::exchange(failure_, OkStatus());
  begun_.clear();
  failed_size_ = kBatchMax + 1;
  Queue(urgent_, options_.cache->Urgent());
  Queue(others_, options_.cache->Wanted());
  GoOn(stop);
  return std::exchange(failure_, OkStatus());
}

Status X509Fetcher::Advance(const std::stop_token& stop) {
  Land(urgent_);
  Land(others_);
  Queue(urgent_, options_.cache->Urgent());
  GoOn(stop);
  return failure_;
}

void X509Fetcher::Forget(const EntryChanges& changed) {
  if (refused_.empty()) return;
  for (const std::string& id : changed.removed) refused_.erase(id);
  for (const PackedEntry& entry : changed.put) refused_.erase(std::string(entry.id()));
}

// What the server has refused waits for its time, so that callers cannot make requests of it.
void X509Fetcher::Queue(Line& line, std::vector<X509Want> wants) {
  const MonoTime now = options_.clock->Monotonic();
  std::erase_if(wants, [&](const X509Want& want) {
    const auto refused = refused_.find(want.entry_id);
    return in_flight_.contains(want.entry_id) ||
           (refused != refused_.end() && now < refused->second);
  });
  line.queue.assign(std::make_move_iterator(wants.begin()), std::make_move_iterator(wants.end()));
}

// Until all that is queued has been asked for, or is under way.
void X509Fetcher::GoOn(const std::stop_token& stop) {
  bool moved = true;
  while (moved && failure_.ok() && !stop.stop_requested()) {
    moved = false;
    for (Line* line : {&urgent_, &others_}) {
      moved |= Land(*line);
      moved |= failure_.ok() && Depart(*line, stop);
    }
  }
}

bool X509Fetcher::Depart(Line& line, const std::stop_token& stop) {
  if (line.flight != nullptr) return false;
  std::vector<Order> orders = NextOrders(line);
  if (orders.empty()) return false;
  for (const Order& order : orders) {
    in_flight_.insert(order.want.entry_id);
    if (&line == &urgent_) begun_.insert(order.want.entry_id);
  }
  line.flight = std::make_shared<Flight>(Flight{.orders = std::move(orders)});
  if (pool_ == nullptr) {
    Fly(*line.flight, stop);
  } else {
    CHECK(pool_->Submit([this, flight = line.flight, stop] {
      Fly(*flight, stop);
      options_.notify();
    }));
  }
  return true;
}

// What has gone or changed since it was queued is left out, and what the urgent line has taken.
std::vector<X509Fetcher::Order> X509Fetcher::NextOrders(Line& line) {
  std::vector<Order> orders;
  while (!line.queue.empty() && orders.size() < batch_max_) {
    X509Want want = std::move(line.queue.front());
    line.queue.pop_front();
    const PackedEntry* entry = options_.cache->Find(want.entry_id);
    if (entry == nullptr || entry->spiffe_id() != want.spiffe_id) continue;
    if (in_flight_.contains(want.entry_id)) continue;
    if (&line == &others_ && begun_.contains(want.entry_id)) continue;
    orders.push_back(Order{std::move(want), entry->revision(), entry->created_at()});
  }
  return orders;
}

void X509Fetcher::Fly(Flight& flight, const std::stop_token& stop) const {
  Status status = Ask(flight, stop);
  MutexLock lock(mu_);
  flight.status = std::move(status);
  flight.landed = true;
}

Status X509Fetcher::Ask(Flight& flight, const std::stop_token& stop) const {
  std::vector<PrivateKey> keys;
  std::vector<SvidRequest> requests;
  const MonoTime begun = options_.clock->Monotonic();
  for (const Order& order : flight.orders) {
    if (stop.stop_requested()) return Cancelled("the agent stops");
    if (!keys.empty() && options_.clock->Monotonic() - begun > kKeysMayTake) break;
    PrivateKey key = TRY(PrivateKey::Generate(options_.svid_key_type), "make an X.509-SVID's key");
    CsrTemplate csr{.uri_sans = {order.want.spiffe_id.text()}};
    std::string request = TRY(MakeCsr(csr, *MakeSoftwareSigner(key)), "make an X.509-SVID's CSR");
    requests.push_back(SvidRequest{order.want.entry_id, std::move(request)});
    keys.push_back(std::move(key));
  }
  flight.asked = requests.size();
  std::vector<Result<CertificateChain>> results = TRY(options_.server->NewX509Svids(requests));
  if (results.size() != requests.size()) {
    return Internal("asked for " + std::to_string(requests.size()) + " X.509-SVIDs, got " +
                    std::to_string(results.size()));
  }
  const std::shared_ptr<const Bundle> bundle = options_.cache->CurrentBundle();
  const Time now = options_.clock->Now();
  for (size_t i = 0; i < results.size(); ++i) {
    Order& order = flight.orders[i];
    order.held = HeldOf(results[i], keys[i], order.want.spiffe_id, *bundle, now);
    if (!order.held.ok()) continue;
    HeldX509& held = **order.held;
    held.renew_at = RenewTime(held.not_before, held.not_after, now, *options_.random);
  }
  return OkStatus();
}

// Whether there was something to take in.
bool X509Fetcher::Land(Line& line) {
  if (line.flight == nullptr) return false;
  {
    MutexLock lock(mu_);
    if (!line.flight->landed) return false;
  }
  const std::shared_ptr<Flight> flight = std::exchange(line.flight, nullptr);
  for (const Order& order : flight->orders) in_flight_.erase(order.want.entry_id);
  const size_t taken_in = TakeIn(*flight);
  for (size_t i = flight->orders.size(); i > taken_in; --i) {
    line.queue.push_front(std::move(flight->orders[i - 1].want));
    begun_.erase(line.queue.front().entry_id);
  }
  if (failure_.ok()) return true;
  urgent_.queue.clear();
  others_.queue.clear();
  return true;
}

// Of how many orders this was the answer; the others are to be asked for again.
size_t X509Fetcher::TakeIn(Flight& flight) {
  if (GoesOnInSmallerBatches(flight.asked, flight.status)) return 0;
  if (!flight.status.ok()) {
    // Without the reason of a denial: it may be of an SVID that the agent has replaced since. A
    // sync follows, which tells whether this agent is denied.
    failure_ = Status(flight.status.code(), std::string(flight.status.message()));
    return flight.orders.size();
  }
  const size_t more = std::min(2 * batch_max_, kBatchMax);
  if (more < failed_size_) batch_max_ = more;
  CacheChange change;
  for (size_t i = 0; i < flight.asked; ++i) {
    Order& order = flight.orders[i];
    if (!IsStillWanted(order)) continue;
    if (!order.held.ok()) {
      Refuse(order);
      continue;
    }
    ++issued_;
    refused_.erase(order.want.entry_id);
    change.x509[order.want.entry_id] = *std::move(order.held);
  }
  if (change.x509.empty()) return flight.asked;
  options_.log->Info("X.509-SVIDs issued", {{"count", change.x509.size()}});
  options_.cache->Apply(std::move(change));
  return flight.asked;
}

// A server's rate limit, or a message's size, may take fewer than the agent asks for, a slow server
// fewer in time.
bool X509Fetcher::GoesOnInSmallerBatches(size_t asked, const Status& answer) {
  const bool too_many = answer.code() == Code::kResourceExhausted;
  if (!too_many && answer.code() != Code::kDeadlineExceeded) return false;
  batch_max_ = std::max<size_t>(asked / 2, 1);
  failed_size_ = asked;
  return too_many && asked > 1;
}

bool X509Fetcher::IsStillWanted(const Order& order) const {
  const PackedEntry* entry = options_.cache->Find(order.want.entry_id);
  return entry != nullptr && entry->revision() == order.revision &&
         entry->created_at() == order.created_at;
}

void X509Fetcher::Refuse(const Order& order) {
  const auto& [id, spiffe_id] = order.want;
  ++rejected_;
  const Duration pause =
      options_.cache->PutOff(id, std::min(options_.retry_after, kRetryAfterMax));
  const bool is_first = refused_.insert_or_assign(id, options_.clock->Monotonic() + pause).second;
  const LogLevel level = is_first ? LogLevel::kWarn : LogLevel::kDebug;
  if (!options_.log->Enabled(level)) return;
  options_.log->Write(
      level, "No X.509-SVID for an entry",
      {{"entry_id", id}, {"spiffe_id", spiffe_id.text()}, {"error", order.held.status()}});
}

}  // namespace writ
