// SPDX-License-Identifier: Apache-2.0
//
// AgentState: what an agent keeps over restarts, besides its keys: its own SVID (with the name of
// its key and whether it may re-attest) in one file that is replaced atomically, and the last
// bundle.
//
// What is torn, altered or of another trust domain counts as absent, with a line in the log: the
// agent then attests (or bootstraps) anew.
//
// Trust: the files may hold anything. Threads: not thread-safe; the agent's loop uses it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/id.h"

namespace writ {

struct StoredSvid {
  std::string key_name;            // in the KeyManager
  std::vector<Certificate> chain;  // leaf first; the leaf's ID is an agent's of the trust domain
  bool reattestable = false;
};

class AgentState {
 public:
  virtual ~AgentState() = default;
  virtual std::optional<StoredSvid> LoadSvid() = 0;
  virtual Status StoreSvid(const StoredSvid& svid) = 0;  // durable when it returns
  virtual std::optional<Bundle> LoadBundle() = 0;
  virtual Status StoreBundle(const Bundle& bundle) = 0;  // likewise
};

// agent-svid.json and bundle.json in `directory`, which exists.
std::unique_ptr<AgentState> MakeFileAgentState(const std::string& directory, TrustDomain td,
                                               Log* log);

}  // namespace writ
