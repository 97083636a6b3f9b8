// SPDX-License-Identifier: Apache-2.0
//
// KeyManager: makes, names and lists keys; private bytes never leave it. One interface for both
// daemons. A conformance suite (keys/key_manager_conformance.h) holds every kind to this contract.
//
// Threads: thread-safe. Lifetime: Signers stay usable after Remove() and after the manager is gone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"

namespace writ {

inline constexpr size_t kKeyNameBytesMax = 128;

class KeyManager {
 public:
  virtual ~KeyManager() = default;
  // Makes a key under `name` ([A-Za-z0-9._-]+, not beginning with '.'), durable when it returns; a
  // key of that name is replaced.
  virtual Result<std::shared_ptr<Signer>> Generate(const std::string& name, KeyType type) = 0;
  virtual Result<std::shared_ptr<Signer>> Get(const std::string& name) = 0;  // NotFound
  virtual Result<std::vector<std::string>> List() = 0;  // sorted names
  virtual Status Remove(const std::string& name) = 0;   // durable; an absent key is no error
};

// InvalidArgument unless `name` may name a key: what every kind checks first.
Status ValidateKeyName(std::string_view name);

// A Signer over a software key, for memory and disk managers and for SVIDs handed to workloads.
std::shared_ptr<Signer> MakeSoftwareSigner(PrivateKey key);

// Which of these a daemon uses, by its name in the configuration.
enum class KeyManagerKind { kDisk, kMemory };

std::unique_ptr<KeyManager> MakeMemoryKeys();
// One file per key under `directory` (made 0700): PKCS#8 PEM, 0600, replaced atomically, file and
// directory fsynced. Wider modes, another owner or a symbolic link found on a key file or on the
// directory are refused; what a crash left half written is removed when it is opened.
Result<std::unique_ptr<KeyManager>> OpenDiskKeys(const std::string& directory);

}  // namespace writ
