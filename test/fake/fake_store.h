// SPDX-License-Identifier: Apache-2.0
//
// FakeStore: a Store in memory, held to the same conformance suite as the real ones, whose failures
// are set by the test.
#pragma once

#include <memory>
#include <string>

#include "server/store/store.h"

namespace writ {

class FakeStore final : public Store {
 public:
  FakeStore();
  ~FakeStore() override;

  EntryStore& entries() override;
  AgentStore& agents() override;
  BundleStore& bundles() override;
  JournalStore& journal() override;
  ChangeFeed& changes() override;
  Status Check(bool deep) override;
  // Unimplemented: there is no file.
  Status Close() override;

  // After `after` more writes that succeed every write fails with `failure`, having changed
  // nothing; OK ends it.
  void FailWrites(Status failure, int after = 0);
  // Every read fails; OK ends it.
  void FailReads(Status failure);

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace writ
