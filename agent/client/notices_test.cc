// SPDX-License-Identifier: Apache-2.0
#include "agent/client/notices.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

// Says what a test wants, then ends the stream.
class Server final : public writ::v1::Notices::Service {
 public:
  grpc::Status Follow(grpc::ServerContext*, const writ::v1::FollowRequest* request,
                      grpc::ServerWriter<writ::v1::Notice>* writer) override {
    after = request->after();
    for (const writ::v1::Notice& notice : notices) writer->Write(notice);
    return ending;
  }

  std::vector<writ::v1::Notice> notices;
  grpc::Status ending = grpc::Status(grpc::UNAVAILABLE, "the server is stopping");
  uint64_t after = 0;
};

class NoticesTest : public testing::Test {
 protected:
  NoticesTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&server_);
    running_ = builder.BuildAndStart();
    stub_ = writ::v1::Notices::NewStub(running_->InProcessChannel({}));
  }
  ~NoticesTest() override { running_->Shutdown(); }

  writ::v1::Notice& Add(uint64_t sequence) {
    writ::v1::Notice& notice = server_.notices.emplace_back();
    notice.set_sequence(sequence);
    return notice;
  }
  Status Follow(const std::function<void(Notice)>& on_notice) {
    grpc::ClientContext context;
    return FollowNotices(*stub_, context, 41, *TrustDomain::Parse("example.org"), faults_,
                         on_notice);
  }

  Server server_;
  FakeClock clock_;
  FakeLog log_;
  ServerFaults faults_{&clock_, &log_};
  std::unique_ptr<grpc::Server> running_;
  std::unique_ptr<writ::v1::Notices::Stub> stub_;
};

TEST_F(NoticesTest, TellsWhatComesAndHowTheStreamEnds) {
  Add(42);
  Add(43).set_resync(true);
  std::vector<uint64_t> told;
  EXPECT_EQ(Follow([&](const Notice& notice) { told.push_back(notice.sequence); }),
            Unavailable("the server is stopping"));
  EXPECT_EQ(server_.after, 41u);
  EXPECT_EQ(told, (std::vector<uint64_t>{42, 43}));
}

// The end may come at any time: also where a notice is being worked on, so that no read runs.
TEST_F(NoticesTest, AStreamEndsAlsoBetweenTwoReads) {
  constexpr int kRounds = 300;
  Add(42);
  for (int round = 0; round < kRounds; ++round) {
    const int work_ms = round % 3;
    EXPECT_EQ(Follow([work_ms](const Notice&) { poll(nullptr, 0, work_ms); }),
              Unavailable("the server is stopping"));
  }
}

TEST_F(NoticesTest, MalformedEntriesAreGoneAndToldOfOnce) {
  for (uint64_t sequence : {42, 43}) {
    writ::v1::Notice& notice = Add(sequence);
    for (int i = 0; i < 1000; ++i) notice.add_entries()->set_id("id" + std::to_string(i));
    notice.add_entries();  // without an ID, so that nothing can be gone
  }
  size_t removed = 0;
  EXPECT_EQ(Follow([&](const Notice& notice) { removed += notice.changes.removed.size(); }),
            Unavailable("the server is stopping"));
  EXPECT_EQ(removed, 2000u);
  EXPECT_EQ(log_.Count("malformed entries"), 1);
  EXPECT_EQ(log_.Count("entries=1001"), 1);
}

TEST_F(NoticesTest, AMalformedBundleEndsTheStream) {
  Add(42).mutable_bundle()->set_trust_domain("other.org");
  Add(43);
  const Status status = Follow([](const Notice&) { ADD_FAILURE() << "nothing can be told"; });
  EXPECT_EQ(status.code(), Code::kInternal) << status.ToString();
}

}  // namespace
}  // namespace writ
