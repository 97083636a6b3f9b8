// SPDX-License-Identifier: Apache-2.0
//
// What the agent makes of notices: that its view equals the server's after any changes, losses,
// syncs and restarts, and that the loop is woken by them.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

#include "agent/sync/agent_loop.h"
#include "agent/sync/following.h"
#include "agent/sync/synchronizer.h"
#include "core/base/file.h"
#include "core/base/thread.h"
#include "core/crypto/csr.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_prover.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;
const TrustDomain kDomain = *TrustDomain::Parse("example.org");

Selectors Of(int uid) { return {Selector{"unix", "uid:" + std::to_string(uid)}}; }

Entry EntryOf(const std::string& id, int uid) {
  return Entry{.id = id,
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = Of(uid)};
}

// One agent's synchronizer, with no thread: it takes a notice when the test says so.
class NoticesModel {
 public:
  explicit NoticesModel(uint64_t seed) : random_(seed) {
    server_.AddToken("t1");
    server_.Set([](FakeServer::Knobs& knobs) { knobs.notices = true; });
    api_ = server_.Connect({.trust_domain = kDomain,
                            .identity = [this] { return identity_; },
                            .verify = [](const auto&) { return OkStatus(); },
                            .clock = &clock_,
                            .log = &log_});
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(*PrivateKey::Generate(KeyType::kEcP256));
    std::unique_ptr<NodeProver> prover = prover_.Begin().value();
    auto agent = api_->Attest("join_token", *prover, *MakeCsr({}, *signer));
    identity_ = TlsIdentity{agent->chain, signer};
    Restart();
  }

  void Run() {
    for (int step = 0; step < 1500 && !testing::Test::HasFailure(); ++step) {
      ChangeOne();
      if (Pick(20) == 0) server_.RotateAuthority();
      if (Pick(50) == 0) Restart();
      if (Pick(15) == 0) FullSync();
      if (Pick(3) == 0) {
        TakeNotice(Pick(4) == 0);
        Compare();
      }
    }
    EXPECT_LT(resyncs_, 200);
  }

 private:
  int Pick(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }

  // An entry that is made anew has the version of the old one within a second.
  void ChangeOne() {
    clock_.Advance(std::chrono::seconds(1));
    const std::string id = "e" + std::to_string(Pick(15));
    if (Pick(3) == 0) {
      server_.RemoveEntry(id);
      uid_of_.erase(id);
    } else {
      uid_of_[id] = Pick(4);
      server_.PutEntry(EntryOf(id, uid_of_[id]));
    }
  }

  void Restart() {
    cache_ = Cache::Make(&clock_, {});
    fetcher_ = std::make_unique<X509Fetcher>(
        X509FetcherOptions{.svid_key_type = KeyType::kEcP256,
                           .retry_after = std::chrono::seconds(5),
                           .in_flight = false,
                           .server = api_.get(),
                           .cache = cache_.get(),
                           .clock = &clock_,
                           .random = &seeded_,
                           .log = &log_});
    sync_ = std::make_unique<Synchronizer>(
        SynchronizerOptions{api_.get(), cache_.get(), fetcher_.get(), &log_});
    FullSync();
    position_ = 0;
  }
  void FullSync() {
    ASSERT_TRUE(sync_->Sync(server_.CurrentBundle()).ok());
    ASSERT_TRUE(fetcher_->Renew({}).ok());
  }

  // `twice`: what the stream brought is taken again, after a loss.
  void TakeNotice(bool twice) {
    std::stop_source stop;
    Notice notice;
    Status ended = api_->Follow(
        position_,
        [&](Notice told) {
          notice = std::move(told);
          stop.request_stop();
        },
        stop.get_token());
    EXPECT_EQ(ended.code(), Code::kUnavailable);
    if (notice.resync) {
      ++resyncs_;
      FullSync();
    } else {
      sync_->Take({notice});
      ASSERT_TRUE(fetcher_->Renew({}).ok());
    }
    if (!twice) position_ = notice.sequence;
  }

  void Compare() {
    for (int uid = 0; uid < 4; ++uid) {
      std::set<std::string> expected;
      for (const auto& [id, of] : uid_of_) {
        if (of == uid) expected.insert(id);
      }
      std::set<std::string> found;
      std::shared_ptr<const WorkloadUpdate> update = cache_->Lookup(Of(uid));
      for (const Identity& identity : update->identities) {
        found.insert(identity.entry->id);
        EXPECT_NE(identity.x509, nullptr);
      }
      ASSERT_EQ(found, expected);
    }
    ASSERT_EQ(cache_->CurrentBundle()->x509.size(), server_.CurrentBundle().x509.size());
  }

  std::mt19937_64 random_;
  FakeClock clock_;
  SeededRandom seeded_{5};
  FakeLog log_;
  FakeServer server_{kDomain, &clock_, &seeded_};
  TokenProver prover_{"t1"};
  std::optional<TlsIdentity> identity_;
  std::unique_ptr<ServerApi> api_;
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<X509Fetcher> fetcher_;
  std::unique_ptr<Synchronizer> sync_;
  std::map<std::string, int> uid_of_;  // the entries that the server has
  uint64_t position_ = 0;
  int resyncs_ = 0;
};

TEST(NoticesModelTest, ViewEqualsTheServersAfterAnyChangesLossesAndRestarts) {
  for (uint64_t seed = 1; seed <= 2 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    NoticesModel(seed).Run();
  }
}

// The whole loop on a thread. Time stands still: what comes, comes by notice.
class NoticesLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.AddToken("t1");
    server_.Set([](FakeServer::Knobs& knobs) { knobs.notices = true; });
    ASSERT_TRUE(WriteFileAtomic(dir_ / "bundle.pem", ToPem(server_.CurrentBundle()), 0644).ok());
    loop_ = AgentLoop::Make(AgentLoopOptions{
        .trust_domain = kDomain,
        .bootstrap = {.bundle_file = dir_ / "bundle.pem"},
        .data_dir = dir_.path(),
        .sync_interval = std::chrono::minutes(10),
        .attestor_type = "join_token",
        .prover = &prover_,
        .keys = keys_.get(),
        .cache = cache_.get(),
        .clock = &clock_,
        .random = &random_,
        .log = &log_,
        .connect = [this](ServerApiOptions options) { return server_.Connect(std::move(options)); },
    });
    subscription_ = cache_->Subscribe(Of(1), Interest::kX509, [this] { updated_.Notify(); });
    thread_ = Thread("loop", [this](std::stop_token stop) { (void)loop_->Run(stop); });
  }

  std::set<std::string> AwaitIds(size_t count) {
    while (true) {
      std::shared_ptr<const WorkloadUpdate> update = cache_->Lookup(Of(1));
      if (update->state != State::kNotSynced && update->identities.size() == count) {
        std::set<std::string> ids;
        for (const Identity& identity : update->identities) ids.insert(identity.entry->id);
        return ids;
      }
      const MonoTime limit = system_clock_.Monotonic() + std::chrono::seconds(60);
      if (system_clock_.WaitUntil(limit, updated_, {}) == WakeReason::kTime) {
        ADD_FAILURE() << "no update came";
        return {};
      }
      (void)subscription_->Take();
    }
  }

  // Until Release(), calls for SVIDs of these entries wait at the server.
  void Hold(std::set<std::string> ids) {
    MutexLock lock(hold_mu_);
    held_ = std::move(ids);
    server_.Set([this](FakeServer::Knobs& knobs) {
      knobs.before_x509 = [this](const std::vector<SvidRequest>& requests) {
        MutexLock wait(hold_mu_);
        for (const SvidRequest& request : requests) {
          while (held_.contains(request.entry_id)) released_.Wait(hold_mu_);
        }
      };
    });
  }
  void Release() {
    MutexLock lock(hold_mu_);
    held_.clear();
    released_.NotifyAll();
  }
  void AwaitReady() {
    while (cache_->Lookup(Of(1))->state != State::kReady) {
      const MonoTime limit = system_clock_.Monotonic() + std::chrono::seconds(60);
      if (system_clock_.WaitUntil(limit, updated_, {}) == WakeReason::kTime) {
        ADD_FAILURE() << "no SVID came";
        return;
      }
      (void)subscription_->Take();
    }
  }

  Mutex hold_mu_;
  CondVar released_;
  std::set<std::string> held_ GUARDED_BY(hold_mu_);
  TempDir dir_;
  SystemClock system_clock_;
  FakeClock clock_;
  SeededRandom random_{3};
  FakeLog log_;
  FakeServer server_{kDomain, &clock_, &random_};
  TokenProver prover_{"t1"};
  std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  std::shared_ptr<Cache> cache_ = Cache::Make(&clock_, {});
  std::unique_ptr<AgentLoop> loop_;
  Wake updated_;
  std::unique_ptr<Subscription> subscription_;
  Thread thread_;
};

TEST_F(NoticesLoopTest, ChangesArriveWithoutPolling) {
  server_.PutEntry(EntryOf("a", 1));
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"a"});
  server_.PutEntry(EntryOf("b", 1));
  EXPECT_EQ(AwaitIds(2), (std::set<std::string>{"a", "b"}));
  server_.RemoveEntry("a");
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"b"});
  EXPECT_TRUE(loop_->Follows());
  const int syncs = server_.Calls("SyncEntries");
  EXPECT_EQ(syncs, 1);  // the stream came first: nothing fell between it and the sync
  server_.LoseStreams();
  server_.PutEntry(EntryOf("c", 1));
  EXPECT_EQ(AwaitIds(2), (std::set<std::string>{"b", "c"}));
  EXPECT_EQ(server_.Calls("SyncEntries"), syncs);  // resumed, not fetched anew
}

// A server's rate limit makes calls wait for seconds.
TEST_F(NoticesLoopTest, ChangesArriveWhileCallsForSvidsWait) {
  Hold({"slow", "far"});
  server_.PutEntry(EntryOf("far", 9));  // nobody waits for it
  server_.PutEntry(EntryOf("a", 1));
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"a"});
  AwaitReady();  // beside the call that waits
  server_.PutEntry(EntryOf("slow", 1));
  EXPECT_EQ(AwaitIds(2), (std::set<std::string>{"a", "slow"}));
  server_.RemoveEntry("a");
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"slow"});
  EXPECT_EQ(cache_->Lookup(Of(1))->state, State::kPending);
  Release();
  AwaitReady();
}

TEST_F(NoticesLoopTest, AnSvidOfWhatAnEntryWasIsNotTaken) {
  Hold({"a"});
  server_.PutEntry(EntryOf("a", 1));
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"a"});
  server_.PutEntry(EntryOf("a", 1));  // another revision
  server_.PutEntry(EntryOf("b", 1));
  EXPECT_EQ(AwaitIds(2), (std::set<std::string>{"a", "b"}));
  Release();
  AwaitReady();
  EXPECT_GE(server_.Calls("NewX509Svids"), 2);
  EXPECT_EQ(loop_->Counts().x509_refused, 0u);
}

TEST_F(NoticesLoopTest, AFailureInFlightIsToldByTheNextTurn) {
  server_.PutEntry(EntryOf("a", 1));
  AwaitReady();
  server_.Set([](FakeServer::Knobs& knobs) {
    knobs.refuse["NewX509Svids"] = Internal("out of order");
  });
  server_.PutEntry(EntryOf("b", 1));
  EXPECT_EQ(AwaitIds(2), (std::set<std::string>{"a", "b"}));
  while (log_.Count("ERROR The agent is not in step with the server; it tries again") == 0) {
    std::this_thread::yield();
  }
  server_.RemoveEntry("a");  // is heard of all the same
  EXPECT_EQ(AwaitIds(1), std::set<std::string>{"b"});
  server_.Set([](FakeServer::Knobs& knobs) { knobs.refuse.clear(); });
  clock_.Advance(std::chrono::minutes(5));
  AwaitReady();
}

}  // namespace
}  // namespace writ
