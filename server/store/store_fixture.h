// SPDX-License-Identifier: Apache-2.0
//
// What the conformance suite of stores stands on: the kinds, made-up values, and a fixture.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"
#include "server/store/store.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<Store>(const std::string& directory)> open;
};

inline SpiffeId TestId(std::string_view path) {
  return *SpiffeId::Parse("spiffe://example.org" + std::string(path));
}

inline Entry TestEntry(std::string_view path, std::string_view parent, Selectors selectors) {
  return Entry{.spiffe_id = TestId(path),
               .parent_id = TestId(parent),
               .selectors = std::move(selectors)};
}

inline Agent TestAgent(std::string_view path) {
  return Agent{.id = TestId(path),
               .attestation_type = "join_token",
               .serial = "1",
               .not_after = 1'800'000'000,
               .selectors = {{"node", "a"}},
               .attested_at = 1'790'000'000};
}

class TestSigner final : public Signer {
 public:
  const PublicKey& Public() const override { return key_.Public(); }
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
    return key_.Sign(scheme, message);
  }

 private:
  const PrivateKey key_ = *PrivateKey::Generate(KeyType::kEcP256);
};

// A self-signed CA certificate.
inline Certificate TestAuthority() {
  TestSigner signer;
  SystemRandom random;
  CertificateTemplate made{.serial = Serial::Generate(random),
                           .subject = {.common_name = "root"},
                           .not_before = FromUnixSeconds(1'700'000'000),
                           .not_after = FromUnixSeconds(1'900'000'000),
                           .uri_sans = {"spiffe://example.org"},
                           .is_ca = true};
  return *Certificate::FromDer(*SignSelfSigned(made, signer));
}

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    store_ = GetParam().open(directory_.path());
    store_->changes().SetListener([this](const std::vector<Change>& changes) {
      heard_.insert(heard_.end(), changes.begin(), changes.end());
    });
  }

  EntryOutcome Create(Entry entry) {
    auto outcomes = store_->entries().Create({std::move(entry)}, clock_.Now(), [this] {
      return "entry-" + std::to_string(++ids_made_);
    });
    return std::move(outcomes.value().at(0));
  }
  EntryOutcome Edit(const std::string& id, EntryEdit edit) {
    return std::move(store_->entries().Edit({{id, std::move(edit)}}).value().at(0));
  }
  EntryOutcome Delete(const std::string& id) {
    return std::move(store_->entries().Delete(std::vector{id}).value().at(0));
  }
  std::vector<Entry> AllEntries() {
    std::vector<Entry> all;
    uint64_t sequence = 0;
    EXPECT_TRUE(store_->entries().ForEach(&sequence, [&](Entry e) { all.push_back(e); }).ok());
    EXPECT_EQ(sequence, *store_->changes().LastSequence());
    return all;
  }
  // The kinds and IDs of the changes after `after`.
  std::vector<std::pair<ChangeKind, std::string>> ChangesAfter(uint64_t after) {
    std::vector<std::pair<ChangeKind, std::string>> changes;
    const std::vector<Change> read = store_->changes().Since(after, 1000).value();
    for (const Change& change : read) {
      EXPECT_EQ(change.sequence, ++after);
      changes.emplace_back(change.kind, change.id);
    }
    return changes;
  }
  static Entry AliasOf(std::string_view token, std::string id) {
    const std::string parent = "/spire/agent/join_token/" + std::string(token);
    Entry alias = TestEntry("/alias", parent, {{"spiffe_id", TestId(parent).text()}});
    alias.id = std::move(id);
    alias.created_at = 1'790'000'000;
    return alias;
  }
  size_t PruneTokens() {
    return store_->agents().Prune({.tokens_before = clock_.Now(), .limit = 100})->tokens;
  }
  int64_t Now() const { return ToUnixSeconds(clock_.Now()); }

  TempDir directory_;
  FakeClock clock_;
  std::unique_ptr<Store> store_;
  std::vector<Change> heard_;
  int ids_made_ = 0;
};

using ChangeNames = std::vector<std::pair<ChangeKind, std::string>>;

}  // namespace writ
