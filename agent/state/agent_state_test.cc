// SPDX-License-Identifier: Apache-2.0
#include "agent/state/agent_state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class AgentStateTest : public testing::Test {
 protected:
  Certificate Make(const std::string& id, bool is_ca = false) {
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(*PrivateKey::Generate(KeyType::kEcP256));
    CertificateTemplate certificate{.serial = Serial::Generate(random_),
                                    .subject = {.organization = "Test"},
                                    .not_before = clock_.Now(),
                                    .not_after = clock_.Now() + std::chrono::hours(1),
                                    .uri_sans = {id},
                                    .is_ca = is_ca};
    return *Certificate::FromDer(*SignSelfSigned(certificate, *signer));
  }
  std::string SvidPath() { return dir_ / "agent-svid.json"; }

  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_{1};
  FakeLog log_;
  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  std::unique_ptr<AgentState> state_ = MakeFileAgentState(dir_.path(), td_, &log_);
  const std::string agent_id_ = "spiffe://example.org/spire/agent/join_token/x";
};

TEST_F(AgentStateTest, NothingIsThereAtFirst) {
  EXPECT_FALSE(state_->LoadSvid().has_value());
  EXPECT_FALSE(state_->LoadBundle().has_value());
  EXPECT_TRUE(log_.Lines().empty());
}

TEST_F(AgentStateTest, KeepsTheSvid) {
  StoredSvid svid{"agent-svid-1", {Make(agent_id_), Make("spiffe://example.org", true)}, true};
  ASSERT_TRUE(state_->StoreSvid(svid).ok());
  std::optional<StoredSvid> loaded = MakeFileAgentState(dir_.path(), td_, &log_)->LoadSvid();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->key_name, "agent-svid-1");
  EXPECT_EQ(loaded->chain, svid.chain);
  EXPECT_TRUE(loaded->reattestable);
  struct stat info {};
  ASSERT_EQ(stat(SvidPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AgentStateTest, KeepsTheBundle) {
  Bundle bundle{.trust_domain = td_, .sequence_number = 4};
  bundle.x509.push_back(X509Authority{Make("spiffe://example.org", true)});
  bundle.jwt.push_back(JwtAuthority{"kid", PrivateKey::Generate(KeyType::kEcP256)->Public()});
  ASSERT_TRUE(state_->StoreBundle(bundle).ok());
  std::optional<Bundle> loaded = state_->LoadBundle();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->x509, bundle.x509);
  EXPECT_EQ(loaded->jwt.size(), 1u);
}

TEST_F(AgentStateTest, ATornSvidFileCountsAsAbsentAtEveryLength) {
  ASSERT_TRUE(state_->StoreSvid({"agent-svid-1", {Make(agent_id_)}, false}).ok());
  std::string whole = *ReadFile(SvidPath());
  for (size_t length = 0; length + 2 < whole.size(); length += 7) {
    ASSERT_TRUE(WriteFileAtomic(SvidPath(), whole.substr(0, length), 0600).ok());
    EXPECT_FALSE(state_->LoadSvid().has_value()) << length;
  }
  EXPECT_GT(log_.Count("counts as absent"), 0);
}

TEST_F(AgentStateTest, WhatIsNoAgentSvidOfTheTrustDomainCountsAsAbsent) {
  for (const Certificate& leaf :
       {Make("spiffe://example.org/workload"), Make("spiffe://example.org/spire/server"),
        Make("spiffe://other.org/spire/agent/join_token/x"), Make("spiffe://example.org", true)}) {
    ASSERT_TRUE(state_->StoreSvid({"agent-svid-1", {leaf}, false}).ok());
    EXPECT_FALSE(state_->LoadSvid().has_value());
  }
  for (const char* text : {"[]", "{}", R"({"format":2})", R"({"format":"1"})",
                           R"({"format":1,"key":"","reattestable":true,"chain":["AA=="]})",
                           R"({"format":1,"key":"k","reattestable":1,"chain":["AA=="]})",
                           R"({"format":1,"key":"k","reattestable":true,"chain":[]})",
                           R"({"format":1,"key":"k","reattestable":true,"chain":[7]})",
                           R"({"format":1,"key":"k","reattestable":true,"chain":["!"]})",
                           R"({"format":1,"key":"k","reattestable":true,"chain":["AA=="]})"}) {
    ASSERT_TRUE(WriteFileAtomic(SvidPath(), text, 0600).ok());
    EXPECT_FALSE(state_->LoadSvid().has_value()) << text;
  }
}

TEST_F(AgentStateTest, ABundleWithoutAuthoritiesCountsAsAbsent) {
  for (const char* text : {"", "{", R"({"keys":[]})"}) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "bundle.json", text, 0644).ok());
    EXPECT_FALSE(state_->LoadBundle().has_value()) << text;
  }
}

}  // namespace
}  // namespace writ
