// SPDX-License-Identifier: Apache-2.0
//
// Journal: the authorities as the store's journal has them, each with its key. A write that fails
// leaves open whether it was stored, so that afterwards the rows are read anew before anything else
// is decided by them.
//
// Threads: none; it belongs to the loop that steps Authorities.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"
#include "core/keys/key_manager.h"
#include "core/spiffe/id.h"
#include "server/store/store.h"

namespace writ {

struct Authority {
  JournalRow row;
  std::shared_ptr<Signer> signer;          // null when its key is gone, and for old ones
  std::optional<Certificate> certificate;  // X.509 only

  bool UsableAt(Time now) const;
};

// What a row says, checked, without its signer.
Result<Authority> ReadAuthority(const JournalRow& row, const TrustDomain& td);

class Journal {
 public:
  // All borrowed.
  Journal(TrustDomain td, JournalStore& store, KeyManager& keys, Log& log)
      : trust_domain_(std::move(td)), store_(store), keys_(keys), log_(log) {}

  // Reads the rows and loads their keys unless what is held is known to be current.
  Status Refresh();
  // The newest authority of that kind and status, or null.
  const Authority* Find(AuthorityKind kind, AuthorityStatus status) const;
  bool Holds(const std::string& authority_id) const;
  const std::vector<Authority>& authorities() const { return authorities_; }

  // Adds a new authority.
  Status Add(Authority authority);
  // Makes the prepared one active and whatever was active old, in one step.
  Status Activate(const std::string& authority_id, Time now);
  // A prepared one that cannot be used any more becomes old.
  Status Retire(const std::string& authority_id);
  Status Remove(const std::vector<std::string>& authority_ids);

 private:
  Result<Authority> LoadAuthority(const JournalRow& row) const;
  Status Apply(const std::vector<JournalRow>& put, const std::vector<std::string>& remove);

  const TrustDomain trust_domain_;
  JournalStore& store_;
  KeyManager& keys_;
  Log& log_;
  bool current_ = false;  // whether authorities_ is what the store has
  std::vector<Authority> authorities_;
};

}  // namespace writ
