// SPDX-License-Identifier: Apache-2.0
//
// MemoryKeys: keys that are gone with the process.
#include <map>

#include "core/base/mutex.h"
#include "core/keys/key_manager.h"

namespace writ {
namespace {

class MemoryKeys final : public KeyManager {
 public:
  Result<std::shared_ptr<Signer>> Generate(const std::string& name, KeyType type) override {
    TRY(ValidateKeyName(name));
    // Outside the lock: an RSA key takes its time.
    auto signer = MakeSoftwareSigner(TRY(PrivateKey::Generate(type), "generate key " + name));
    MutexLock lock(mu_);
    signers_[name] = signer;
    return signer;
  }

  Result<std::shared_ptr<Signer>> Get(const std::string& name) override {
    TRY(ValidateKeyName(name));
    MutexLock lock(mu_);
    auto it = signers_.find(name);
    if (it == signers_.end()) return NotFound("no key named " + name);
    return it->second;
  }

  Result<std::vector<std::string>> List() override {
    MutexLock lock(mu_);
    std::vector<std::string> names;
    for (const auto& [name, signer] : signers_) names.push_back(name);
    return names;
  }

  Status Remove(const std::string& name) override {
    TRY(ValidateKeyName(name));
    MutexLock lock(mu_);
    signers_.erase(name);
    return OkStatus();
  }

 private:
  Mutex mu_;
  std::map<std::string, std::shared_ptr<Signer>> signers_ GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<KeyManager> MakeMemoryKeys() { return std::make_unique<MemoryKeys>(); }

}  // namespace writ
