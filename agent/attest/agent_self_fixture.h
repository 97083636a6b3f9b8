// SPDX-License-Identifier: Apache-2.0
//
// What tests of AgentSelf share: a server in memory, a directory and keys that outlive a process,
// and processes that can be made to die between any two of their deeds.
#pragma once

#include <gtest/gtest.h>

#include "agent/attest/agent_self.h"
#include "core/base/file.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_held_entries.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_prover.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {

// Counts what a process does to the world outside it, and cuts it off: after `limit` deeds nothing
// works any more, as after a crash.
class Fuse {
 public:
  explicit Fuse(int limit) : limit_(limit) {}
  Status Burn() { return ++deeds_ > limit_ ? Internal("the process is dead") : OkStatus(); }
  bool blown() const { return deeds_ > limit_; }
  void Repair() { limit_ = kNever; }

  static constexpr int kNever = 1'000'000;

 private:
  int limit_;
  int deeds_ = 0;
};

class FusedKeys final : public KeyManager {
 public:
  FusedKeys(KeyManager* keys, Fuse* fuse) : keys_(keys), fuse_(fuse) {}
  Result<std::shared_ptr<Signer>> Generate(const std::string& name, KeyType type) override {
    TRY(fuse_->Burn());
    return keys_->Generate(name, type);
  }
  Result<std::shared_ptr<Signer>> Get(const std::string& name) override {
    TRY(fuse_->Burn());
    return keys_->Get(name);
  }
  Result<std::vector<std::string>> List() override {
    TRY(fuse_->Burn());
    return keys_->List();
  }
  Status Remove(const std::string& name) override {
    TRY(fuse_->Burn());
    return keys_->Remove(name);
  }

 private:
  KeyManager* const keys_;
  Fuse* const fuse_;
};

class FusedState final : public AgentState {
 public:
  FusedState(AgentState* state, Fuse* fuse) : state_(state), fuse_(fuse) {}
  std::optional<StoredSvid> LoadSvid() override { return state_->LoadSvid(); }
  Status StoreSvid(const StoredSvid& svid) override {
    TRY(fuse_->Burn());
    return state_->StoreSvid(svid);
  }
  std::optional<Bundle> LoadBundle() override { return state_->LoadBundle(); }
  Status StoreBundle(const Bundle& bundle) override {
    TRY(fuse_->Burn());
    return state_->StoreBundle(bundle);
  }

 private:
  AgentState* const state_;
  Fuse* const fuse_;
};

class FusedServer final : public ServerApi {
 public:
  FusedServer(std::unique_ptr<ServerApi> server, Fuse* fuse)
      : server_(std::move(server)), fuse_(fuse) {}
  Result<AttestedAgent> Attest(const std::string& type, NodeProver& prover,
                               const std::string& csr) override {
    TRY(fuse_->Burn());
    return server_->Attest(type, prover, csr);
  }
  Result<Bundle> FetchBundle(bool anonymous) override {
    TRY(fuse_->Burn());
    return server_->FetchBundle(anonymous);
  }
  Result<CertificateChain> Renew(const std::string& csr) override {
    TRY(fuse_->Burn());
    return server_->Renew(csr);
  }
  Status PostStatus(const std::string& version) override { return server_->PostStatus(version); }
  Result<EntryChanges> SyncEntries(const HeldEntries& held) override {
    TRY(fuse_->Burn());
    return server_->SyncEntries(held);
  }
  Result<std::vector<Result<CertificateChain>>> NewX509Svids(
      const std::vector<SvidRequest>& requests) override {
    return server_->NewX509Svids(requests);
  }
  Result<ReceivedJwt> NewJwtSvid(const Entry& entry, const std::vector<std::string>& audience,
                                 MonoTime deadline) override {
    return server_->NewJwtSvid(entry, audience, deadline);
  }
  Status Follow(uint64_t, const std::function<void(Notice)>&, std::stop_token) override {
    return Unimplemented("no notices");
  }
  void Reconnect() override { server_->Reconnect(); }

 private:
  const std::unique_ptr<ServerApi> server_;
  Fuse* const fuse_;
};

class AgentSelfTest : public testing::Test {
 protected:
  AgentSelfTest() {
    server_.AddToken("t1");
    WriteBundleFile();
  }

  void WriteBundleFile() {
    EXPECT_TRUE(WriteFileAtomic(dir_ / "bootstrap.pem", ToPem(server_.CurrentBundle()), 0644).ok());
  }

  // One run of the agent's process.
  struct Process {
    Process(AgentSelfTest& test, int limit = Fuse::kNever)
        : fuse(limit), keys(test.keys_.get(), &fuse), state(test.state_.get(), &fuse) {
      AgentSelfOptions options{.trust_domain = test.td_,
                               .bootstrap = test.bootstrap_,
                               .rebootstrap = test.rebootstrap_,
                               .attestor_type = "join_token",
                               .prover = &test.prover_,
                               .state = &state,
                               .keys = &keys,
                               .clock = &test.clock_,
                               .random = &test.random_,
                               .log = &test.log_,
                               .fetch = test.fetch_};
      self = std::make_unique<AgentSelf>(std::move(options));
      ServerApiOptions api{.trust_domain = test.td_,
                           .identity = [this] { return self->Tls(); },
                           .verify = [this](const auto& chain) { return self->Verify(chain); },
                           .clock = &test.clock_,
                           .log = &test.log_};
      server = std::make_unique<FusedServer>(test.server_.Connect(std::move(api)), &fuse);
    }
    Outcome Step() { return self->Step(*server); }
    Status Call() { return server->SyncEntries(FakeHeldEntries()).status(); }

    Fuse fuse;
    FusedKeys keys;
    FusedState state;
    std::unique_ptr<AgentSelf> self;
    std::unique_ptr<FusedServer> server;
  };

  std::string SerialOf(Process& process) {
    return process.self->Tls()->chain.front().serial().ToDecimal();
  }
  size_t KeyCount() { return keys_->List()->size(); }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_{7};
  FakeLog log_;
  FakeServer server_{td_, &clock_, &random_};
  TokenProver prover_{"t1"};
  std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  std::unique_ptr<AgentState> state_ = MakeFileAgentState(dir_.path(), td_, &log_);
  BootstrapOptions bootstrap_{.bundle_file = dir_ / "bootstrap.pem"};
  bool rebootstrap_ = true;
  HttpFetch fetch_;
  const std::string agent_id_ = "spiffe://example.org/spire/agent/join_token/t1";
};

}  // namespace writ
