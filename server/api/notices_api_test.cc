// SPDX-License-Identifier: Apache-2.0
//
// The streams of notices in time: an agent's, over a real gRPC server that takes its connection for
// the agent's, under a clock that the test moves.
#include "server/api/notices_api.h"

#include "server/api/front_fixture.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {
namespace {

// Whoever calls is one agent.
class AgentsServer final : public GrpcServer {
 public:
  explicit AgentsServer(Certificate leaf)
      : peer_(std::make_shared<const Peer>(
            Peer{.kind = Peer::Kind::kTls, .connection_id = 1, .chain = {std::move(leaf)}})) {}
  std::shared_ptr<const Peer> PeerOf(const grpc::ServerContextBase&) const override {
    return peer_;
  }
  int TcpPort(size_t) const override { return 0; }
  size_t ConnectionCount() const override { return 1; }
  void CloseConnections(const std::function<bool(const Peer&)>&) override {}
  void Shutdown(MonoTime) override {}

 private:
  const std::shared_ptr<const Peer> peer_;
};

class NoticesApiTest : public FrontFixture {
 protected:
  void SetUp() override {
    FrontFixture::SetUp();
    AddAgent(kAgentPath);
    ApiCaller caller = TlsCaller(kAgentPath);
    agents_server_ = std::make_unique<AgentsServer>(*caller.leaf);
    front_->Attach(agents_server_.get());
    context_.set_deadline(system_clock_.Now() + std::chrono::minutes(1));
    stream_ = notices_pb::Notices::NewStub(channel_)->Follow(&context_, {});
    ASSERT_TRUE(stream_->Read(&notice_));
    EXPECT_TRUE(notice_.resync()) << "its number is not known";
  }
  void TearDown() override {
    context_.TryCancel();
    notices_->EndStreams();
    FrontFixture::TearDown();
  }

  std::unique_ptr<AgentsServer> agents_server_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<notices_pb::Notice>> stream_;
  notices_pb::Notice notice_;
};

// An agent takes a stream that is silent for longer for a dead one.
TEST_F(NoticesApiTest, AQuietStreamCarriesItsNumberEveryHalfMinute) {
  const uint64_t sequence = notice_.sequence();
  for (int beat = 0; beat < 3; ++beat) {
    clock_.Advance(kNoticeEvery);
    ASSERT_TRUE(stream_->Read(&notice_));
    EXPECT_EQ(notice_.sequence(), sequence);
    EXPECT_FALSE(notice_.resync());
    EXPECT_EQ(notice_.entries_size(), 0);
  }
}

TEST_F(NoticesApiTest, NewsCountAsABeat) {
  clock_.Advance(kNoticeEvery - std::chrono::seconds(1));
  const std::string id = AddEntry("/web");
  ASSERT_TRUE(stream_->Read(&notice_));
  ASSERT_EQ(notice_.entries_size(), 1) << "no beat before its time";
  EXPECT_EQ(notice_.entries(0).id(), id);
  clock_.Advance(kNoticeEvery - std::chrono::seconds(1));
  const std::string later = AddEntry("/later");
  ASSERT_TRUE(stream_->Read(&notice_));
  ASSERT_EQ(notice_.entries_size(), 1) << "nor half a minute after the beat that was not needed";
  EXPECT_EQ(notice_.entries(0).id(), later);
  clock_.Advance(kNoticeEvery);
  ASSERT_TRUE(stream_->Read(&notice_));
  EXPECT_EQ(notice_.entries_size(), 0);
}

TEST_F(NoticesApiTest, ACertificateThatEndsEndsTheStreamAtTheNextBeat) {
  // Beat by beat: a leap would make a stuck reader of this one.
  do {
    clock_.Advance(kNoticeEvery);
  } while (stream_->Read(&notice_));
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(NoticesApiTest, AnAgentThatHasANewerSvidIsSentToFollowWithThat) {
  AddAgent(kAgentPath);  // anew, with another serial number
  clock_.Advance(kNoticeEvery);
  while (stream_->Read(&notice_)) EXPECT_EQ(notice_.entries_size(), 0);
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace writ
