// SPDX-License-Identifier: Apache-2.0
//
// For this folder's tests: what ApiFixture has, behind a real gRPC server on a Unix socket, with
// the fake clock everywhere but in that server.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "core/net/grpc_channel.h"
#include "server/api/api_fixture.h"
#include "server/api/front.h"
#include "server/api/notices_api.h"
#include "server/api/services.h"
#include "test/support/paths.h"

namespace writ {

class FrontFixture : public ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    metrics_ = Metrics::Make("test_");
    rpc_metrics_ = std::make_unique<RpcMetrics>(metrics_.get());
    workers_ = std::make_unique<WorkerPool>("worker", 4, 100);
    limits_ = std::make_unique<RateLimits>(RateLimitSettings{}, &clock_);
    front_ = std::make_unique<Front>(FrontOptions{.authorization = authorization_.get(),
                                                  .limits = limits_.get(),
                                                  .workers = workers_.get(),
                                                  .audit = &audit_,
                                                  .metrics = rpc_metrics_.get(),
                                                  .clock = &clock_,
                                                  .log = &log_});
    notices_ = NoticesApi::Make({.trust_domain = td_,
                                 .feeds = registry_.get(),
                                 .bundles = &store_.bundles(),
                                 .authorization = authorization_.get(),
                                 .metrics = metrics_.get(),
                                 .clock = &clock_});
    services_ = std::make_unique<ServerServices>(ServerApis{.agent = agents_.get(),
                                                            .bundle = bundles_.get(),
                                                            .entry = entries_.get(),
                                                            .notices = notices_.get(),
                                                            .svid = svids_.get(),
                                                            .debug = debug_.get(),
                                                            .logger = logger_.get()},
                                                 front_.get(), /*admin_socket=*/true);
    server_ = Take(GrpcServer::Start({.name = "admin",
                                      .services = services_->Borrow(),
                                      .unix_listeners = {{.path = dir_ / "admin.sock"}},
                                      .clock = &system_clock_,
                                      .log = &log_}));
    front_->Attach(server_.get());
    channel_ = UnixChannel(dir_ / "admin.sock");
  }
  void TearDown() override { server_->Shutdown(system_clock_.Monotonic()); }

  TempDir dir_;
  SystemClock system_clock_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<RpcMetrics> rpc_metrics_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<RateLimits> limits_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<NoticesApi> notices_;
  std::unique_ptr<ServerServices> services_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace writ
