// SPDX-License-Identifier: Apache-2.0
//
// ForEachEntry: visits all entries of a store while another thread reads the next ones: at a start
// with many, reading them and putting them in their place take about as long as each other.
//
// Threads: `visit` runs on the caller's. Memory: few entries are under way at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"
#include "server/store/store.h"

namespace writ {

class EntryPipe {
 public:
  using Batch = std::vector<Entry>;

  // Waits while enough is under way.
  void Put(Batch batch) {
    MutexLock lock(mu_);
    while (batches_.size() >= kBatchesMax) changed_.Wait(mu_);
    batches_.push_back(std::move(batch));
    changed_.NotifyAll();
  }
  void Close() {
    MutexLock lock(mu_);
    closed_ = true;
    changed_.NotifyAll();
  }
  // Empty at the end.
  Batch Take() {
    MutexLock lock(mu_);
    while (batches_.empty() && !closed_) changed_.Wait(mu_);
    if (batches_.empty()) return {};
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    changed_.NotifyAll();
    return batch;
  }

 private:
  static constexpr size_t kBatchesMax = 4;

  Mutex mu_;
  CondVar changed_;
  std::deque<Batch> batches_ GUARDED_BY(mu_);
  bool closed_ GUARDED_BY(mu_) = false;
};

inline Status ForEachEntry(EntryStore& store, uint64_t* sequence,
                           const std::function<void(Entry)>& visit) {
  constexpr size_t kBatch = 256;
  EntryPipe pipe;
  Status read;
  Thread reader("read-entries", [&](const std::stop_token&) {
    EntryPipe::Batch batch;
    read = store.ForEach(sequence, [&](Entry entry) {
      batch.push_back(std::move(entry));
      if (batch.size() < kBatch) return;
      pipe.Put(std::exchange(batch, {}));
      batch.reserve(kBatch);
    });
    if (!batch.empty()) pipe.Put(std::move(batch));
    pipe.Close();
  });
  for (EntryPipe::Batch batch = pipe.Take(); !batch.empty(); batch = pipe.Take()) {
    for (Entry& entry : batch) visit(std::move(entry));
  }
  reader.Join();
  return read;
}

}  // namespace writ
