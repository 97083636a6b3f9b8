// SPDX-License-Identifier: Apache-2.0
//
// BundleHolder: the trust domain's own bundle: the current snapshot for readers, and the one way to
// change it (through the store, durable before anyone sees it). Watchers are told after each
// change.
//
// Threads: thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "core/base/status.h"
#include "core/spiffe/bundle.h"
#include "server/store/store.h"

namespace writ {

class BundleHolder {
 public:
  // A trust domain without a bundle starts with an empty one. `store` is borrowed.
  static Result<std::unique_ptr<BundleHolder>> Load(BundleStore& store, const TrustDomain& td);
  virtual ~BundleHolder() = default;
  virtual std::shared_ptr<const Bundle> Current() const = 0;
  // Changes the bundle by `edit`, which sees what is stored, and returns the outcome, changed or
  // not. `edit` and the watchers must not call Edit.
  virtual Result<std::shared_ptr<const Bundle>> Edit(
      const std::function<Status(Bundle&)>& edit) = 0;
  // Called after each change, in order, on the changer's thread. Set before the first change; never
  // removed.
  virtual void Watch(std::function<void(const Bundle&)> watcher) = 0;
};

}  // namespace writ
