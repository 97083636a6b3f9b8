// SPDX-License-Identifier: Apache-2.0
#include "server/bundle/bundle_holder.h"

#include <gtest/gtest.h>

#include "core/base/thread.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

class BundleHolderTest : public testing::Test {
 protected:
  std::unique_ptr<BundleHolder> Load() { return BundleHolder::Load(store_.bundles(), td_).value(); }
  static Status Hint(Bundle& bundle, int64_t seconds) {
    bundle.refresh_hint_seconds = seconds;
    return OkStatus();
  }

  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  FakeStore store_;
};

TEST_F(BundleHolderTest, StartsEmptyAndLoadsWhatWasStored) {
  std::unique_ptr<BundleHolder> holder = Load();
  EXPECT_EQ(*holder->Current(), Bundle{.trust_domain = td_});
  ASSERT_TRUE(holder->Edit([](Bundle& bundle) { return Hint(bundle, 300); }).ok());
  EXPECT_EQ(holder->Current()->refresh_hint_seconds, 300);
  EXPECT_EQ(holder->Current()->sequence_number, 1u);
  EXPECT_EQ(*Load()->Current(), *holder->Current());
}

TEST_F(BundleHolderTest, TellsWatchersAboutChangesOnly) {
  std::unique_ptr<BundleHolder> holder = Load();
  std::vector<int64_t> seen;
  holder->Watch([&](const Bundle& bundle) { seen.push_back(bundle.refresh_hint_seconds); });
  for (int64_t seconds : {1, 2, 2, 2, 3}) {
    ASSERT_TRUE(holder->Edit([&](Bundle& bundle) { return Hint(bundle, seconds); }).ok());
  }
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(holder->Current()->sequence_number, 3u);
}

TEST_F(BundleHolderTest, AFailedOrRefusedEditChangesNothing) {
  std::unique_ptr<BundleHolder> holder = Load();
  int told = 0;
  holder->Watch([&](const Bundle&) { ++told; });
  store_.FailWrites(Unavailable("disk full"));
  EXPECT_EQ(holder->Edit([](Bundle& bundle) { return Hint(bundle, 1); }).code(),
            Code::kUnavailable);
  store_.FailWrites(OkStatus());
  Result<std::shared_ptr<const Bundle>> refused = holder->Edit([](Bundle& bundle) {
    bundle.refresh_hint_seconds = 7;
    return NotFound("no such authority");
  });
  EXPECT_EQ(refused.code(), Code::kNotFound);
  EXPECT_EQ(*holder->Current(), Bundle{.trust_domain = td_});
  EXPECT_EQ(told, 0);
}

TEST_F(BundleHolderTest, CatchesUpWithAnEditWhoseOutcomeWasUnknown) {
  std::unique_ptr<BundleHolder> holder = Load();
  ASSERT_TRUE(store_.bundles().Edit(td_, [](Bundle& bundle) { return Hint(bundle, 9); }).ok());
  ASSERT_TRUE(holder->Edit([](Bundle& bundle) { return Hint(bundle, 9); }).ok());
  EXPECT_EQ(holder->Current()->refresh_hint_seconds, 9);
}

TEST_F(BundleHolderTest, RefusesToLoadFromAStoreThatFails) {
  store_.FailReads(DataLoss("corrupt"));
  EXPECT_EQ(BundleHolder::Load(store_.bundles(), td_).code(), Code::kDataLoss);
}

TEST_F(BundleHolderTest, ReadersSeeSnapshotsThatNeverGoBack) {
  std::unique_ptr<BundleHolder> holder = Load();
  std::vector<uint64_t> told;
  holder->Watch([&](const Bundle& bundle) { told.push_back(bundle.sequence_number); });
  bool ordered = true;
  {
    Thread reader("reader", [&](std::stop_token stop) {
      uint64_t last = 0;
      while (!stop.stop_requested()) {
        uint64_t now = holder->Current()->sequence_number;
        ordered = ordered && now >= last;
        last = now;
      }
    });
    std::vector<Thread> writers;
    for (int i = 0; i < 2; ++i) {
      writers.emplace_back("writer", [&](std::stop_token) {
        for (int round = 0; round < 100; ++round) {
          (void)holder->Edit([](Bundle& bundle) {
            return Hint(bundle, bundle.refresh_hint_seconds + 1);
          });
        }
      });
    }
    for (Thread& writer : writers) writer.Join();
    reader.RequestStop();
  }
  EXPECT_TRUE(ordered);
  EXPECT_EQ(holder->Current()->refresh_hint_seconds, 200);
  ASSERT_EQ(told.size(), 200u);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
}

}  // namespace
}  // namespace writ
