// SPDX-License-Identifier: Apache-2.0
#include "server/attest/agent_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "core/base/thread.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

class AgentGateTest : public ::testing::Test {
 protected:
  void SetUp() override { registry_ = std::move(Registry::Load(store_, td_)).value(); }

  Certificate NewLeaf() {
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(*PrivateKey::Generate(KeyType::kEcP256));
    CertificateTemplate leaf{.serial = Serial::Generate(random_),
                             .subject = {.common_name = "agent"},
                             .not_before = clock_.Now(),
                             .not_after = clock_.Now() + std::chrono::hours(1),
                             .uri_sans = {id_.text()}};
    return *Certificate::FromDer(*SignSelfSigned(leaf, *signer));
  }
  void Attested(const Certificate& leaf) {
    ASSERT_TRUE(
        store_.agents()
            .CommitAttestation(
                {.id = id_, .attestation_type = "join_token", .serial = leaf.serial().ToDecimal()},
                "", clock_.Now())
            .ok());
  }
  void Edit(const std::function<void(Agent&)>& change) {
    ASSERT_TRUE(store_.agents()
                    .Edit(id_.text(),
                          [&](Agent& agent) {
                            change(agent);
                            return OkStatus();
                          })
                    .ok());
  }
  int Reason(const Certificate& leaf) { return Gate().Admit(id_, leaf).reason(); }
  AgentGate Gate() { return AgentGate(registry_.get(), &store_.agents(), &clock_); }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  const SpiffeId id_ = *SpiffeId::FromPath(td_, "/spire/agent/join_token/node");
  FakeClock clock_;
  SeededRandom random_{5};
  FakeStore store_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(AgentGateTest, EachReasonHasItsNumber) {
  Certificate leaf = NewLeaf();
  EXPECT_EQ(Reason(leaf), 2);
  Attested(leaf);
  EXPECT_TRUE(Gate().Admit(id_, leaf).ok());
  EXPECT_EQ(Reason(NewLeaf()), 3);
  Edit([](Agent& agent) {
    agent.banned = true;
    agent.serial.clear();
  });
  EXPECT_EQ(Reason(leaf), 4);
  clock_.Advance(std::chrono::hours(1) + std::chrono::seconds(1));
  EXPECT_EQ(Reason(leaf), 1);
}

TEST_F(AgentGateTest, PendingSerialBecomesCurrentAtItsFirstUseByManyCallsAtOnce) {
  Certificate old = NewLeaf();
  Certificate renewed = NewLeaf();
  Attested(old);
  Edit([&](Agent& agent) { agent.pending_serial = renewed.serial().ToDecimal(); });
  EXPECT_TRUE(Gate().Admit(id_, old).ok());
  std::atomic<int> admitted = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back("caller",
                           [&](std::stop_token) { admitted += Gate().Admit(id_, renewed).ok(); });
    }
  }
  EXPECT_EQ(admitted, 8);
  EXPECT_EQ(Reason(old), 3);
}

TEST_F(AgentGateTest, RenewingAgainReplacesThePendingSerial) {
  Certificate old = NewLeaf();
  Certificate lost = NewLeaf();
  Certificate renewed = NewLeaf();
  Attested(old);
  Edit([&](Agent& agent) { agent.pending_serial = lost.serial().ToDecimal(); });
  Edit([&](Agent& agent) { agent.pending_serial = renewed.serial().ToDecimal(); });
  EXPECT_EQ(Reason(lost), 3);
  EXPECT_TRUE(Gate().Admit(id_, old).ok());
  EXPECT_TRUE(Gate().Admit(id_, renewed).ok());
}

}  // namespace
}  // namespace writ
