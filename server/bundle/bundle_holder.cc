// SPDX-License-Identifier: Apache-2.0
#include "server/bundle/bundle_holder.h"

#include <vector>

#include "core/base/mutex.h"

namespace writ {
namespace {

class StoredBundle final : public BundleHolder {
 public:
  StoredBundle(BundleStore& store, Bundle bundle)
      : store_(store),
        trust_domain_(bundle.trust_domain),
        current_(std::make_shared<const Bundle>(std::move(bundle))) {}

  std::shared_ptr<const Bundle> Current() const override {
    MutexLock lock(mu_);
    return current_;
  }

  Result<std::shared_ptr<const Bundle>> Edit(
      const std::function<Status(Bundle&)>& edit) override {
    MutexLock editing(edit_mu_);
    // Compared with what readers have, not with what this edit changed: an earlier edit whose
    // outcome the store could not tell may have been stored after all.
    auto stored = std::make_shared<const Bundle>(TRY(store_.Edit(trust_domain_, edit)));
    std::vector<std::function<void(const Bundle&)>> watchers;
    {
      MutexLock lock(mu_);
      if (*stored == *current_) return current_;
      current_ = stored;
      watchers = watchers_;
    }
    for (const auto& watcher : watchers) watcher(*stored);
    return stored;
  }

  void Watch(std::function<void(const Bundle&)> watcher) override {
    MutexLock lock(mu_);
    watchers_.push_back(std::move(watcher));
  }

 private:
  BundleStore& store_;              // borrowed, thread-safe
  const TrustDomain trust_domain_;  // constant after construction
  Mutex edit_mu_;                   // taken before mu_; keeps snapshots and watchers in order
  mutable Mutex mu_;
  std::shared_ptr<const Bundle> current_ GUARDED_BY(mu_);
  std::vector<std::function<void(const Bundle&)>> watchers_ GUARDED_BY(mu_);
};

}  // namespace

Result<std::unique_ptr<BundleHolder>> BundleHolder::Load(BundleStore& store,
                                                         const TrustDomain& td) {
  Result<Bundle> stored = store.Get(td);
  if (!stored.ok() && stored.code() != Code::kNotFound) {
    return stored.status().Annotate("load the bundle of " + td.name());
  }
  Bundle bundle = stored.ok() ? std::move(stored).value() : Bundle{.trust_domain = td};
  return std::unique_ptr<BundleHolder>(std::make_unique<StoredBundle>(store, std::move(bundle)));
}

}  // namespace writ
