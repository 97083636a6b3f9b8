// SPDX-License-Identifier: Apache-2.0
#include "core/net/health.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>

#include "core/base/thread.h"
#include "core/net/grpc_server.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListResponse;

constexpr int kLooksUnchanged = 5;

class HealthTest : public testing::Test {
 protected:
  HealthTest()
      : health_(HealthService::Make(
            {.ready = [this] { return ready_ ? OkStatus() : Unavailable("not yet"); },
             .services = {"Named"},
             .clock = &clock_})) {
    auto server = GrpcServer::Start({.name = "test",
                                     .services = {health_->service()},
                                     .unix_listeners = {{.path = dir_ / "health.sock"}},
                                     .clock = &system_clock_,
                                     .log = &log_});
    CHECK(server.ok());
    server_ = std::move(server).value();
    stub_ = Health::NewStub(
        grpc::CreateChannel("unix:" + (dir_ / "health.sock"), grpc::InsecureChannelCredentials()));
  }
  ~HealthTest() override {
    health_->EndWatches();
    server_->Shutdown(system_clock_.Monotonic() + std::chrono::seconds(20));
  }

  static HealthCheckRequest For(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    return request;
  }
  grpc::Status Check(const std::string& service) {
    grpc::ClientContext context;
    return stub_->Check(&context, For(service), &answer_);
  }

  TempDir dir_;
  SystemClock system_clock_;
  FakeClock clock_;
  FakeLog log_;
  std::atomic<bool> ready_ = true;
  HealthCheckResponse answer_;
  std::unique_ptr<HealthService> health_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthTest, CheckSaysWhetherTheDaemonIsReady) {
  for (const char* service : {"", "Named"}) {
    ready_ = true;
    ASSERT_TRUE(Check(service).ok());
    EXPECT_EQ(answer_.status(), HealthCheckResponse::SERVING);
    ready_ = false;
    ASSERT_TRUE(Check(service).ok());
    EXPECT_EQ(answer_.status(), HealthCheckResponse::NOT_SERVING);
  }
}

TEST_F(HealthTest, CheckOfAnUnknownServiceIsNotFound) {
  EXPECT_EQ(Check("Other").error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthTest, ListNamesEveryService) {
  grpc::ClientContext context;
  HealthListResponse list;
  ASSERT_TRUE(stub_->List(&context, {}, &list).ok());
  ASSERT_EQ(list.statuses_size(), 2);
  EXPECT_EQ(list.statuses().at("").status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(list.statuses().at("Named").status(), HealthCheckResponse::SERVING);
}

TEST_F(HealthTest, WatchTellsTheStateAndItsChanges) {
  grpc::ClientContext context;
  auto watch = stub_->Watch(&context, For(""));
  ASSERT_TRUE(watch->Read(&answer_));
  EXPECT_EQ(answer_.status(), HealthCheckResponse::SERVING);
  std::atomic<bool> seen = false;
  Thread mover("clock", [&](std::stop_token) {
    for (int i = 0; !seen; ++i) {
      if (i == kLooksUnchanged) ready_ = false;  // before, nothing is sent
      clock_.Advance(kHealthLookEvery);
      poll(nullptr, 0, 1);
    }
  });
  ASSERT_TRUE(watch->Read(&answer_));
  seen = true;
  EXPECT_EQ(answer_.status(), HealthCheckResponse::NOT_SERVING);
  health_->EndWatches();
  EXPECT_FALSE(watch->Read(&answer_));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthTest, WatchOfAnUnknownServiceStaysOpen) {
  grpc::ClientContext context;
  auto watch = stub_->Watch(&context, For("Other"));
  ASSERT_TRUE(watch->Read(&answer_));
  EXPECT_EQ(answer_.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  health_->EndWatches();
  EXPECT_FALSE(watch->Read(&answer_));
}

}  // namespace
}  // namespace writ
