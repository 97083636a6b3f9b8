// SPDX-License-Identifier: Apache-2.0
#include "agent/client/grpc_calls.h"

#include <gtest/gtest.h>

#include "agent/client/server_api.h"
#include "google/rpc/status.pb.h"
#include "spire/api/types/status.pb.h"
#include "test/fake/fake_clock.h"

namespace writ {
namespace {

using std::chrono::seconds;

using Details = spire::api::types::PermissionDeniedDetails;

grpc::Status Refusal(grpc::StatusCode code, Details::Reason why) {
  Details denied;
  denied.set_reason(why);
  google::rpc::Status rich;
  rich.set_code(code);
  rich.add_details()->PackFrom(denied);
  return grpc::Status(code, "no", rich.SerializeAsString());
}

TEST(FromServerTest, KeepsCodeMessageAndTheReasonOfADenial) {
  EXPECT_TRUE(FromServer(grpc::Status::OK).ok());
  Status plain = FromServer(grpc::Status(grpc::NOT_FOUND, "no such entry"));
  EXPECT_EQ(plain, NotFound("no such entry"));
  EXPECT_EQ(DenialOf(plain), Denial::kNone);
  EXPECT_EQ(DenialOf(FromServer(Refusal(grpc::PERMISSION_DENIED, Details::AGENT_EXPIRED))),
            Denial::kExpired);
  EXPECT_EQ(DenialOf(FromServer(Refusal(grpc::PERMISSION_DENIED, Details::AGENT_BANNED))),
            Denial::kBanned);
  EXPECT_EQ(DenialOf(FromServer(Refusal(grpc::PERMISSION_DENIED, Details::AGENT_MUST_REATTEST))
                         .Annotate("renew")),
            Denial::kMustReattest);
  EXPECT_EQ(DenialOf(FromServer(Refusal(grpc::PERMISSION_DENIED, Details::UNKNOWN))),
            Denial::kNone);
}

TEST(FromServerTest, MakesNoMoreOfStrangeAnswersThanThereIs) {
  EXPECT_EQ(DenialOf(FromServer(grpc::Status(grpc::PERMISSION_DENIED, "no", "garbage"))),
            Denial::kNone);
  EXPECT_EQ(DenialOf(PermissionDenied("no").WithReason(77)), Denial::kNone);
  EXPECT_EQ(DenialOf(Unavailable("no").WithReason(4)), Denial::kNone);
  EXPECT_EQ(FromServer(grpc::Status(static_cast<grpc::StatusCode>(99), "?")).code(),
            Code::kUnknown);
}

class CountingChannel final : public TlsChannel {
 public:
  Result<std::shared_ptr<grpc::Channel>> Get() override {
    ++gets;
    if (!failure.ok()) return failure;
    return given.emplace_back(
        grpc::CreateChannel("unix:/nonexistent", grpc::InsecureChannelCredentials()));
  }
  void Drop() override { FAIL() << "the current connection may be another by now"; }
  void DropLost(const std::shared_ptr<grpc::Channel>& lost) override { dropped.push_back(lost); }
  Status failure;
  int gets = 0;
  std::vector<std::shared_ptr<grpc::Channel>> given, dropped;
};

class GrpcCallsTest : public testing::Test {
 protected:
  Status Run(const std::vector<Status>& answers) {
    size_t at = 0;
    return calls_.Run([&](const auto&, grpc::ClientContext&) { return answers.at(at++); });
  }

  FakeClock clock_;
  std::stop_source stop_;
  std::unique_ptr<CountingChannel> made_ = std::make_unique<CountingChannel>();
  CountingChannel* const channel_ = made_.get();
  GrpcCalls calls_{std::move(made_), &clock_, stop_.get_token()};
};

TEST_F(GrpcCallsTest, TriesALostConnectionOnceMore) {
  EXPECT_TRUE(Run({Unavailable("lost"), OkStatus()}).ok());
  EXPECT_EQ(channel_->gets, 2);
  ASSERT_EQ(channel_->dropped.size(), 1u);
  EXPECT_EQ(channel_->dropped[0], channel_->given[0]) << "the one that was lost";
  EXPECT_EQ(Run({Unavailable("lost"), Unavailable("lost again")}), Unavailable("lost again"));
}

TEST_F(GrpcCallsTest, OtherFailuresAreNotRepeated) {
  EXPECT_EQ(Run({NotFound("x")}).code(), Code::kNotFound);
  EXPECT_EQ(channel_->gets, 1);
  EXPECT_TRUE(channel_->dropped.empty());
  int calls = 0;
  EXPECT_EQ(calls_
                .RunOnce(clock_.Monotonic() + seconds(1),
                         [&](const auto&, grpc::ClientContext&) {
                           ++calls;
                           return Unavailable("lost");
                         })
                .code(),
            Code::kUnavailable);
  EXPECT_EQ(calls, 1);
}

TEST_F(GrpcCallsTest, SaysWhyThereIsNoConnection) {
  channel_->failure = Unauthenticated("wrong server");
  EXPECT_EQ(Run({}), Unauthenticated("connect to the server: wrong server"));
}

TEST_F(GrpcCallsTest, MakesNoCallAfterAStopRequest) {
  stop_.request_stop();
  EXPECT_EQ(Run({}).code(), Code::kCancelled);
}

}  // namespace
}  // namespace writ
