// SPDX-License-Identifier: Apache-2.0
#include "server/api/debug_api.h"

#include "server/api/api_fixture.h"

namespace writ {
namespace {

class DebugApiTest : public ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    chain_ = {*TlsCaller("/spire/server").leaf};
    debug_ = std::make_unique<DebugApi>(DebugApi::Needs{.registry = registry_.get(),
                                                        .bundle = bundle_.get(),
                                                        .clock = &clock_,
                                                        .own_chain = [this] { return chain_; }});
  }
  Result<debug_pb::GetInfoResponse> Info() {
    Call call = AsLocal();
    return debug_->GetInfo(call, {});
  }

  std::vector<Certificate> chain_;
};

TEST_F(DebugApiTest, ShowsTheChainToItsRootTheCountsAndTheUptime) {
  AddEntry("/a");
  AddEntry("/b");
  AddAgent("/spire/agent/join_token/x");
  clock_.Advance(std::chrono::seconds(90));
  debug_pb::GetInfoResponse info = Take(Info());
  ASSERT_EQ(info.svid_chain_size(), 2);
  EXPECT_EQ(info.svid_chain(0).id().trust_domain(), "example.org");
  EXPECT_EQ(info.svid_chain(0).id().path(), "/spire/server");
  EXPECT_EQ(info.svid_chain(0).expires_at(), ToUnixSeconds(chain_[0].not_after()));
  EXPECT_EQ(info.svid_chain(0).subject(), "O=Writ");
  EXPECT_EQ(info.svid_chain(1).id().path(), "");
  EXPECT_EQ(info.svid_chain(1).expires_at(),
            ToUnixSeconds(authorities_->CurrentX509()->certificate.not_after()));
  EXPECT_EQ(info.uptime(), 90);
  EXPECT_EQ(info.entries_count(), 2);
  EXPECT_EQ(info.agents_count(), 1);
  EXPECT_EQ(info.federated_bundles_count(), 1);
}

TEST_F(DebugApiTest, AnAnswerIsGoodForFiveSeconds) {
  EXPECT_EQ(Take(Info()).entries_count(), 0);
  AddEntry("/a");
  clock_.Advance(std::chrono::milliseconds(4999));
  EXPECT_EQ(Take(Info()).entries_count(), 0);
  EXPECT_EQ(Take(Info()).uptime(), 0);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Take(Info()).entries_count(), 1);
  EXPECT_EQ(Take(Info()).uptime(), 5);
}

TEST_F(DebugApiTest, AChainThatTheBundleDoesNotVouchForIsAnErrorAndNotKept) {
  std::vector<Certificate> good = chain_;
  chain_ = {};
  EXPECT_EQ(Info().code(), Code::kInternal);
  chain_ = good;
  EXPECT_TRUE(Info().ok());
}

}  // namespace
}  // namespace writ
