// SPDX-License-Identifier: Apache-2.0
//
// For this folder's tests: the functions of the API over a store in memory, a fake clock and real
// authorities, registry and issuer.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attestors/node/verifiers.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"
#include "server/api/agent_api.h"
#include "server/api/authorization.h"
#include "server/api/bundle_api.h"
#include "server/api/convert.h"
#include "server/api/debug_api.h"
#include "server/api/entry_api.h"
#include "server/api/logger_api.h"
#include "server/api/svid_api.h"
#include "server/attest/agent_gate.h"
#include "server/attest/attestation.h"
#include "server/bundle/bundle_holder.h"
#include "server/ca/authorities.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "test/fake/fake_audit_log.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_store.h"

namespace writ {

class ApiFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    registry_ = Take(Registry::Load(store_, td_));
    bundle_ = Take(BundleHolder::Load(store_.bundles(), td_));
    keys_ = MakeMemoryKeys();
    authorities_ = Take(Authorities::Open({.trust_domain = td_,
                                           .store = &store_,
                                           .bundle = bundle_.get(),
                                           .keys = keys_.get(),
                                           .clock = &clock_,
                                           .random = &random_,
                                           .log = &log_}));
    issuer_ = Issuer::Make({.trust_domain = td_,
                            .subject = {.organization = "Writ"},
                            .authorities = authorities_.get(),
                            .audit = &audit_,
                            .clock = &clock_,
                            .random = &random_});
    gate_ = std::make_unique<AgentGate>(registry_.get(), &store_.agents(), &clock_);
    authorization_ = std::make_unique<Authorization>(registry_.get(), gate_.get(), &clock_,
                                                     std::vector<SpiffeId>());
    MakeApis();
  }

  void MakeApis() {
    FindJoinToken find = [this](std::string_view token) -> Result<JoinTokenInfo> {
      JoinToken found = TRY(store_.agents().GetToken(token));
      return JoinTokenInfo{FromUnixSeconds(found.expires_at)};
    };
    std::vector<std::string> methods = {"join_token"};
    verifiers_ = std::make_unique<NodeVerifiers>(
        Take(NodeVerifiers::Make(
            methods, {},
            {.trust_domain = td_, .find_join_token = find, .clock = &clock_, .random = &random_})));
    attestor_ = std::make_unique<Attestor>(td_, verifiers_.get(), registry_.get(), &store_.agents(),
                                           &clock_);
    entries_ =
        std::make_unique<EntryApi>(td_, registry_.get(), &store_.entries(), &clock_, &random_);
    agents_ = std::make_unique<AgentApi>(td_, registry_.get(), &store_.agents(), attestor_.get(),
                                         issuer_.get(), &clock_, &random_);
    svids_ = std::make_unique<SvidApi>(td_, registry_.get(), issuer_.get(), bundle_.get(), &clock_);
    bundles_ = std::make_unique<BundleApi>(bundle_.get());
    logger_ = std::make_unique<LoggerApi>(&log_);
    debug_ = std::make_unique<DebugApi>(DebugApi::Needs{
        .registry = registry_.get(),
        .bundle = bundle_.get(),
        .clock = &clock_,
        .own_chain = [this] { return std::vector{*TlsCaller("/spire/server").leaf}; }});
  }

  template <typename T>
  static T Take(Result<T> result) {
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return std::move(result).value();
  }

  SpiffeId Id(const std::string& path) const { return *SpiffeId::FromPath(td_, path); }

  // ---- callers ----
  ApiCaller LocalCaller() const { return {.local = true, .actor = "unix:uid:0"}; }
  // With a certificate whose serial number AddAgent() of the same ID takes for the current one.
  ApiCaller TlsCaller(const std::string& path, Duration ttl = std::chrono::hours(1)) {
    SpiffeId id = Id(path);
    CertificateTemplate leaf{.serial = Serial::Generate(random_),
                             .subject = {.organization = "Writ"},
                             .not_before = clock_.Now() - std::chrono::hours(2),
                             .not_after = clock_.Now() + ttl,
                             .uri_sans = {id.text()}};
    if (auto known = serials_.find(path); known != serials_.end()) leaf.serial = known->second;
    auto ca = authorities_->CurrentX509();
    std::string der = Take(SignCertificate(leaf, LeafKey().Public(),
                                           {.name_der = ca->certificate.subject_der(),
                                            .subject_key_id = ca->certificate.subject_key_id(),
                                            .signer = ca->signer.get()}));
    return {.id = id, .leaf = Take(Certificate::FromDer(der)), .actor = id.text()};
  }
  Call As(ApiCaller caller) const { return Call{.caller = std::move(caller)}; }
  Call AsLocal() const { return As(LocalCaller()); }
  Call AsAgent() { return As(TlsCaller(kAgentPath)); }

  // ---- what is there ----
  std::string AddEntry(
      const std::string& path, const std::function<void(Entry&)>& change = [](Entry&) {}) {
    Entry entry{
        .spiffe_id = Id(path), .parent_id = Id(kAgentPath), .selectors = {{"unix", "uid:0"}}};
    change(entry);
    auto outcomes =
        Take(store_.entries().Create({entry}, clock_.Now(), [this] { return random_.Uuid(); }));
    EXPECT_TRUE(outcomes[0].status.ok()) << outcomes[0].status.ToString();
    return outcomes[0].entry->id;
  }
  void AddAgent(
      const std::string& path, const std::function<void(Agent&)>& change = [](Agent&) {}) {
    Serial serial = Serial::Generate(random_);
    serials_.emplace(path, serial);
    Agent agent{.id = Id(path),
                .attestation_type = "join_token",
                .serial = serial.ToDecimal(),
                .not_after = ToUnixSeconds(clock_.Now()) + 3600};
    // A banned agent cannot be stored by an attestation: changed afterwards.
    ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", clock_.Now()).ok());
    ASSERT_TRUE(store_.agents()
                    .Edit(agent.id.text(),
                          [&](Agent& stored) {
                            change(stored);
                            return OkStatus();
                          })
                    .ok());
  }

  // ---- requests ----
  static const PrivateKey& LeafKey() {
    static const PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
    return key;
  }
  static std::string Csr(std::vector<std::string> uris = {}, std::vector<std::string> dns = {},
                         Subject subject = {}) {
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(LeafKey());
    return Take(MakeCsr({.subject = subject, .uri_sans = uris, .dns_sans = dns}, *signer));
  }
  static void SetId(types::SPIFFEID* id, const std::string& path,
                    const std::string& td = "example.org") {
    id->set_trust_domain(td);
    id->set_path(path);
  }
  static types::Entry NewEntry(const std::string& path) {
    types::Entry entry;
    SetId(entry.mutable_spiffe_id(), path);
    SetId(entry.mutable_parent_id(), kAgentPath);
    AddSelector(&entry, "unix", "uid:1000");
    return entry;
  }
  static void AddSelector(types::Entry* entry, const std::string& type, const std::string& value) {
    types::Selector* selector = entry->add_selectors();
    selector->set_type(type);
    selector->set_value(value);
  }

  static constexpr const char* kAgentPath = "/spire/agent/join_token/node";

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  FakeClock clock_;
  SeededRandom random_{7};
  FakeLog log_;
  FakeStore store_;
  FakeAuditLog audit_;
  std::map<std::string, Serial> serials_;  // of AddAgent(), by path
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<BundleHolder> bundle_;
  std::unique_ptr<KeyManager> keys_;
  std::unique_ptr<Authorities> authorities_;
  std::unique_ptr<Issuer> issuer_;
  std::unique_ptr<AgentGate> gate_;
  std::unique_ptr<Authorization> authorization_;
  std::unique_ptr<NodeVerifiers> verifiers_;
  std::unique_ptr<Attestor> attestor_;
  std::unique_ptr<EntryApi> entries_;
  std::unique_ptr<AgentApi> agents_;
  std::unique_ptr<SvidApi> svids_;
  std::unique_ptr<BundleApi> bundles_;
  std::unique_ptr<DebugApi> debug_;
  std::unique_ptr<LoggerApi> logger_;
};

}  // namespace writ
