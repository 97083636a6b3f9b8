// SPDX-License-Identifier: Apache-2.0
//
// The agent's whole life against a server in memory. Time leaps: each wait of the loop moves the
// clock to its end, and a test looks at the world there. So a week takes seconds, in one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/sync/agent_loop.h"
#include "core/base/file.h"
#include "core/base/mutex.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_prover.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {

class LeapingClock final : public Clock {
 public:
  Time Now() const override { return time_.Now(); }
  MonoTime Monotonic() const override { return time_.Monotonic(); }
  WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) override {
    if (before_wait) before_wait();
    const bool notified =
        time_.WaitUntil(Monotonic(), wake, std::stop_token()) == WakeReason::kNotified;
    if (!notified && deadline > Monotonic()) time_.Advance(deadline - Monotonic());
    if (on_wait) on_wait();
    if (stop.stop_requested()) return WakeReason::kStopped;
    return notified ? WakeReason::kNotified : WakeReason::kTime;
  }
  using Clock::WaitUntil;
  void JumpWallTime(Duration by) { time_.JumpWallTime(by); }

  std::function<void()> before_wait;
  std::function<void()> on_wait;

 private:
  FakeClock time_;
};

class AgentLoopTest : public testing::Test {
 protected:
  AgentLoopTest() {
    server_.AddToken("t1");
    EXPECT_TRUE(WriteFileAtomic(dir_ / "bundle.pem", ToPem(server_.CurrentBundle()), 0644).ok());
    MakeLoop();
  }

  // A new process; the directory, the keys and the cache's subscribers' view start over or stay as
  // they would.
  void MakeLoop(Duration sync_interval = std::chrono::seconds(5), CacheLimits limits = {}) {
    loop_.reset();
    cache_ = Cache::Make(&clock_, limits);
    loop_ = AgentLoop::Make(AgentLoopOptions{
        .trust_domain = td_,
        .bootstrap = {.bundle_file = dir_ / "bundle.pem"},
        .data_dir = dir_.path(),
        .agent_version = "test",
        .sync_interval = sync_interval,
        .attestor_type = "join_token",
        .prover = &prover_,
        .keys = keys_.get(),
        .cache = cache_.get(),
        .clock = &clock_,
        .random = &random_,
        .log = &log_,
        .connect = [this](ServerApiOptions options) { return server_.Connect(std::move(options)); },
        .fetch_in_flight = false,
    });
  }

  void PutEntry(const std::string& id, int uid) {
    server_.PutEntry(Entry{.id = id,
                           .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
                           .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
                           .selectors = Of(uid)});
  }
  static Selectors Of(int uid) { return {Selector{"unix", "uid:" + std::to_string(uid)}}; }
  std::shared_ptr<const WorkloadUpdate> Look(int uid) { return cache_->Lookup(Of(uid)); }

  // Runs until `life` is over, looking at each wait; the status that ended it.
  Status RunFor(Duration life, std::function<void()> look = nullptr) {
    std::stop_source stop;
    MonoTime end = clock_.Monotonic() + life;
    clock_.on_wait = [&] {
      if (look) look();
      if (clock_.Monotonic() >= end) stop.request_stop();
    };
    Status status = loop_->Run(stop.get_token());
    clock_.on_wait = nullptr;
    return status;
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  TempDir dir_;
  LeapingClock clock_;
  SeededRandom random_{11};
  FakeLog log_;
  FakeServer server_{td_, &clock_, &random_};
  TokenProver prover_{"t1"};
  std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<AgentLoop> loop_;
};

}  // namespace writ
