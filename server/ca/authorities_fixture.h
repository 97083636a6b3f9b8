// SPDX-License-Identifier: Apache-2.0
//
// What the tests of Authorities stand on: a durable world (store and keys) in memory that outlives
// the Authorities opened on it, and a FaultPoint that makes one durable step fail, or everything
// from it on, as a crash would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "server/ca/authorities.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_store.h"

namespace writ {

// Counts durable steps and says which of them fail.
class FaultPoint {
 public:
  enum class Kind {
    kNone,
    kCrashBefore,  // step N and all later ones fail and change nothing
    kCrashAfter,   // step N happens but is reported as failed; later ones fail and change nothing
    kFailBefore,   // step N alone fails and changes nothing
    kFailAfter,    // step N alone happens but is reported as failed
  };

  void Arm(Kind kind, int step) {
    kind_ = kind;
    step_ = step;
    seen_ = 0;
  }
  void Heal() { kind_ = Kind::kNone; }
  bool fired() const { return kind_ != Kind::kNone && seen_ >= step_; }
  int seen() const { return seen_; }

  // Runs one durable step. Works for Status and Result alike.
  template <typename Outcome>
  Outcome Run(const std::function<Outcome()>& step) {
    int now = ++seen_;
    bool crashed =
        kind_ == Kind::kCrashBefore ? now >= step_ : kind_ == Kind::kCrashAfter && now > step_;
    if (crashed || (kind_ == Kind::kFailBefore && now == step_)) return Unavailable("fault");
    Outcome outcome = step();
    bool unknown = (kind_ == Kind::kCrashAfter || kind_ == Kind::kFailAfter) && now == step_;
    if (unknown) return Unavailable("fault, outcome unknown");
    return outcome;
  }

 private:
  Kind kind_ = Kind::kNone;
  int step_ = 0;
  int seen_ = 0;
};

class FaultyBundles final : public BundleStore {
 public:
  FaultyBundles(BundleStore& real, FaultPoint& fault) : real_(real), fault_(fault) {}
  Result<Bundle> Get(const TrustDomain& td) override { return real_.Get(td); }
  Result<Bundle> Edit(const TrustDomain& td, const std::function<Status(Bundle&)>& edit) override {
    return fault_.Run<Result<Bundle>>([&] { return real_.Edit(td, edit); });
  }

 private:
  BundleStore& real_;
  FaultPoint& fault_;
};

class FaultyJournal final : public JournalStore {
 public:
  FaultyJournal(JournalStore& real, FaultPoint& fault) : real_(real), fault_(fault) {}
  Result<std::vector<JournalRow>> Load() override { return real_.Load(); }
  Status Apply(std::span<const JournalRow> put, std::span<const std::string> remove) override {
    return fault_.Run<Status>([&] { return real_.Apply(put, remove); });
  }

 private:
  JournalStore& real_;
  FaultPoint& fault_;
};

class FaultyStore final : public Store {
 public:
  FaultyStore(Store& real, FaultPoint& fault)
      : real_(real), bundles_(real.bundles(), fault), journal_(real.journal(), fault) {}
  EntryStore& entries() override { return real_.entries(); }
  AgentStore& agents() override { return real_.agents(); }
  BundleStore& bundles() override { return bundles_; }
  JournalStore& journal() override { return journal_; }
  ChangeFeed& changes() override { return real_.changes(); }
  Status Check(bool deep) override { return real_.Check(deep); }
  Status Close() override { return real_.Close(); }

 private:
  Store& real_;
  FaultyBundles bundles_;
  FaultyJournal journal_;
};

class FaultyKeys final : public KeyManager {
 public:
  FaultyKeys(KeyManager& real, FaultPoint& fault) : real_(real), fault_(fault) {}
  Result<std::shared_ptr<Signer>> Generate(const std::string& name, KeyType type) override {
    return fault_.Run<Result<std::shared_ptr<Signer>>>([&] { return real_.Generate(name, type); });
  }
  Result<std::shared_ptr<Signer>> Get(const std::string& name) override { return real_.Get(name); }
  Result<std::vector<std::string>> List() override { return real_.List(); }
  Status Remove(const std::string& name) override {
    return fault_.Run<Status>([&] { return real_.Remove(name); });
  }

 private:
  KeyManager& real_;
  FaultPoint& fault_;
};

// The durable world and, while open, the Authorities in it.
struct AuthoritiesWorld {
  static constexpr Duration kTtl = std::chrono::hours(24);

  Status Open() {
    Close();
    holder = TRY(BundleHolder::Load(faulty_store.bundles(), td));
    authorities = TRY(Authorities::Open({.trust_domain = td,
                                         .ttl = kTtl,
                                         .subject = {.organization = "Writ"},
                                         .store = &faulty_store,
                                         .bundle = holder.get(),
                                         .keys = &faulty_keys,
                                         .clock = &clock,
                                         .random = &random,
                                         .log = &log}));
    return OkStatus();
  }
  void Close() {
    authorities.reset();
    holder.reset();
  }
  // Advances in small steps as the server's loop would, stepping whenever a step is due.
  void Live(Duration by) {
    Time end = clock.Now() + by;
    while (clock.Now() < end) {
      Time next = std::min(authorities->Step(), end);
      clock.Advance(std::max<Duration>(next - clock.Now(), std::chrono::seconds(1)));
    }
    authorities->Step();
  }

  Bundle StoredBundle() { return store.bundles().Get(td).value(); }
  std::vector<JournalRow> Rows(AuthorityKind kind, AuthorityStatus status) {
    std::vector<JournalRow> rows;
    for (const JournalRow& row : store.journal().Load().value()) {
      if (row.kind == kind && row.status == status) rows.push_back(row);
    }
    return rows;
  }
  std::string CurrentId(AuthorityKind kind) {
    return kind == AuthorityKind::kX509 ? authorities->CurrentX509()->authority_id
                                        : authorities->CurrentJwt()->authority_id;
  }
  bool InStoredBundle(AuthorityKind kind, const std::string& id);

  const TrustDomain td = TrustDomain::Parse("example.org").value();
  FakeClock clock;
  SeededRandom random{7};
  FakeLog log;
  FakeStore store;
  std::unique_ptr<KeyManager> keys = MakeMemoryKeys();
  FaultPoint fault;
  FaultyStore faulty_store{store, fault};
  FaultyKeys faulty_keys{*keys, fault};
  std::unique_ptr<BundleHolder> holder;
  std::unique_ptr<Authorities> authorities;
};

inline bool AuthoritiesWorld::InStoredBundle(AuthorityKind kind, const std::string& id) {
  Bundle bundle = StoredBundle();
  if (kind == AuthorityKind::kJwt) return bundle.FindJwt(id) != nullptr;
  return std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& authority) {
    return HexEncode(authority.certificate.subject_key_id()) == id;
  });
}

}  // namespace writ
